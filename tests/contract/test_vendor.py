"""The fake vendor: it says what its author wrote, and each of its faults shows on the wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import aiohttp
import pytest

from sttgate.testing import Call, FakeVendorServer, HangUp, VendorFaults, silence
from tests.docs.pages import block

KEY = {"Authorization": "Bearer testkey"}
HALF = silence(0.5)


def acme() -> type[FakeVendorServer]:
    """Return the server printed in docs/testing.md."""
    names: dict[str, Any] = {}
    exec(block("docs/testing.md", "acme_server.py"), names)
    server: type[FakeVendorServer] = names["FakeAcme"]
    return server


async def talk(
    faults: VendorFaults, sent: Iterable[bytes | str], patience: float = 5.0
) -> tuple[list[str], int | None]:
    """Send everything, then read until the server ends; return the messages and the close code."""
    async with acme()(faults) as server, aiohttp.ClientSession() as session:
        async with session.ws_connect(server.ws_url, headers=KEY) as socket:
            got = []
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    with suppress(ConnectionError):
                        for item in sent:
                            if isinstance(item, bytes):
                                await socket.send_bytes(item)
                            else:
                                await socket.send_str(item)
                    async for message in socket:
                        got.append(message.data)
            code = socket.close_code
        async with asyncio.timeout(5):
            while server.open:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    return got, code


FINALIZE, STOP = '{"type": "finalize"}', '{"type": "stop"}'


async def test_it_says_what_was_written() -> None:
    """Without faults the messages are a function of the audio, and the end is the vendor's."""
    got, code = await talk(VendorFaults(), [HALF, HALF, FINALIZE, STOP])
    assert [json.loads(each)["final"] for each in got] == [False, True, True]
    assert code == 1000


@pytest.mark.parametrize(
    ("faults", "headers", "status", "after"),
    [
        (VendorFaults(), {}, 401, None),
        (VendorFaults(refuse=401), KEY, 401, None),
        (VendorFaults(refuse=429, retry_after=2), KEY, 429, "2"),
    ],
)
async def test_refusals(
    faults: VendorFaults, headers: dict[str, str], status: int, after: str | None
) -> None:
    """Bad credentials, and what is to be refused, are answered with a status and Retry-After."""
    async with acme()(faults) as server, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as raised:
            await session.ws_connect(server.ws_url, headers=headers)
        assert raised.value.status == status
        assert raised.value.headers is not None
        assert raised.value.headers.get("Retry-After") == after
        assert (server.refused, server.calls) == (1, [])


async def test_late() -> None:
    """A late server answers after a while, and a client that does not wait leaves nothing behind."""
    async with acme()(VendorFaults(accept_late=0.3)) as server, aiohttp.ClientSession() as session:
        began = asyncio.get_running_loop().time()
        async with session.ws_connect(server.ws_url, headers=KEY):
            assert asyncio.get_running_loop().time() - began >= 0.29
        server.faults.accept_late = 60
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await session.ws_connect(server.ws_url, headers=KEY)


async def test_refused_at_first() -> None:
    """Only the first requests are refused when a number is given."""
    faults = VendorFaults(refuse=503, refuse_first=1)
    async with acme()(faults) as server, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(server.ws_url, headers=KEY)
        async with session.ws_connect(server.ws_url, headers=KEY):
            assert server.open == 1


async def test_dropped() -> None:
    """A dropped connection ends without a goodbye."""
    got, code = await talk(VendorFaults(drop_after=1.0), [HALF, HALF, HALF, STOP])
    assert len(got) <= 2
    assert code == 1006


async def test_half_open() -> None:
    """A half-open connection stays and says nothing more."""
    got, code = await talk(VendorFaults(half_open_after=1.0), [HALF, HALF, FINALIZE, STOP], 0.5)
    assert len(got) == 2
    assert code in (None, 1000, 1006)


async def test_interims_late() -> None:
    """A late interim comes after the final that was to replace it."""
    got, _ = await talk(VendorFaults(interims_late=True), [HALF, HALF, STOP])
    assert [json.loads(each)["final"] for each in got] == [True, False]


async def test_finalize_ignored() -> None:
    """Finalize has no answer, everything else has."""
    got, code = await talk(VendorFaults(ignore_finalize=True), [HALF, HALF, FINALIZE, STOP])
    assert len(got) == 2
    assert code == 1000


async def test_malformed() -> None:
    """Every second message is cut in half."""
    got, _ = await talk(VendorFaults(malformed_every=2), [HALF, HALF, FINALIZE, STOP])
    assert json.loads(got[0])
    with pytest.raises(ValueError, match=r"."):
        json.loads(got[1])
    assert json.loads(got[2])


class FakeBatch(FakeVendorServer):
    """A vendor that takes whole utterances."""

    def hear(self, call: Call, audio: bytes) -> Iterable[HangUp]:
        return ()

    def answer(self, call: Call, body: bytes) -> dict[str, int]:
        return {"bytes": len(body)}


async def test_whole_utterances() -> None:
    """A POST is answered, refused, dropped or left hanging like a connection."""
    async with FakeBatch() as server, aiohttp.ClientSession() as session:
        async with session.post(server.url, data=HALF) as answer:
            assert await answer.json() == {"bytes": len(HALF)}
        server.faults = VendorFaults(refuse=429, retry_after=1)
        async with session.post(server.url, data=HALF) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
        server.faults = VendorFaults(drop_after=0.1)
        with pytest.raises(aiohttp.ClientError):
            await session.post(server.url, data=HALF)
        server.faults = VendorFaults(half_open_after=0.1)
        with pytest.raises(TimeoutError):
            await session.post(server.url, data=HALF, timeout=aiohttp.ClientTimeout(total=0.3))
