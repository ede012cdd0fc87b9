"""The Deepgram provider over the wire, with the wire cut, frozen or turned into a black hole."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from sttgate_deepgram import DeepgramOptions, DeepgramProvider
from tests.fakes.deepgram_server import FakeDeepgram, Faults
from tests.faults.attentive_deepgram import TEXT, attentive, tape
from tests.faults.patience import until
from tests.faults.promises import Report
from tests.faults.proxy import FaultProxy
from tests.faults.sessions import Heard, hear
from tests.faults.speech import check, text
from tests.faults.virtual import run_virtually

SECONDS = 25.0
Break = Callable[[FaultProxy], Coroutine[Any, Any, None]]


def deepgram(port: int, **options: Any) -> DeepgramProvider:
    """Return the provider with the options of an operator, aimed at loopback."""
    address = {"api_key": "testkey", "base_url": f"http://127.0.0.1:{port}"}
    return DeepgramProvider(DeepgramOptions.model_validate(address | options))


async def listen(
    folder: Path, trouble: Break, server: FakeDeepgram, **options: Any
) -> tuple[Heard, FaultProxy]:
    """Play the tape to ``server`` through a proxy that ``trouble`` disturbs meanwhile."""
    async with server, FaultProxy(server.port) as proxy:
        troubling = asyncio.create_task(trouble(proxy))
        heard = await hear(folder, tape(SECONDS), deepgram(proxy.port, **options))
        await troubling
    return heard, proxy


async def reset(proxy: FaultProxy) -> None:
    for _ in range(5):
        await asyncio.sleep(3.7)
        proxy.cut("reset")


async def end(proxy: FaultProxy) -> None:
    for _ in range(5):
        await asyncio.sleep(3.7)
        proxy.cut("fin")


async def refuse(proxy: FaultProxy) -> None:
    await asyncio.sleep(4.0)
    proxy.set(refuse=True)
    proxy.cut()
    await asyncio.sleep(8.0)
    proxy.set()


async def blackhole(proxy: FaultProxy) -> None:
    await asyncio.sleep(4.0)
    proxy.set("blackhole")
    await asyncio.sleep(12.0)
    proxy.set()


async def freeze(proxy: FaultProxy) -> None:
    await asyncio.sleep(4.0)
    proxy.set("freeze")
    await asyncio.sleep(12.0)
    proxy.set()


async def half_open(proxy: FaultProxy) -> None:
    await asyncio.sleep(4.0)
    proxy.set("half_open")
    await asyncio.sleep(12.0)
    proxy.set()


async def garbage(proxy: FaultProxy) -> None:
    await asyncio.sleep(4.0)
    proxy.set("garbage")
    await asyncio.sleep(2.0)
    proxy.set()


async def slow(proxy: FaultProxy) -> None:
    await asyncio.sleep(4.0)
    proxy.set(latency=0.3, rate=40_000.0)


TROUBLES = (reset, end, refuse, blackhole, freeze, half_open, garbage, slow)


@pytest.mark.promise("P1", "P2")
@pytest.mark.parametrize("trouble", TROUBLES)
def test_trouble_on_the_wire_loses_no_word(tmp_path: Path, measure: Report, trouble: Break) -> None:
    """Whatever happens to the connection, the words are those of an undisturbed run."""
    with attentive():
        heard, _ = run_virtually(listen(tmp_path, trouble, FakeDeepgram()))
    check(heard.log)
    assert text(heard.log) == TEXT
    assert not heard.of("gap")
    assert not heard.of("error")
    assert heard.recording == tape(SECONDS)
    measure.total("P1", "Deepgram's wire: {:.0f} kinds of trouble, every word", 1)


@pytest.mark.promise("P5")
@pytest.mark.parametrize("trouble", ["blackhole", "freeze", "half_open"])
def test_a_dead_wire_is_noticed(tmp_path: Path, measure: Report, trouble: str) -> None:
    """Without a pong a connection is given up, with the shipped settings."""
    at: list[float] = []

    async def break_off(proxy: FaultProxy) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(4.0)
        proxy.set(trouble)  # type: ignore[arg-type]
        at.append(loop.time())
        tried = proxy.accepted
        await until(lambda: proxy.accepted > tried, every=0.05)
        at.append(loop.time())
        proxy.set()

    with attentive():
        heard, _ = run_virtually(listen(tmp_path, break_off, FakeDeepgram()))
    assert text(heard.log) == TEXT
    assert at[1] - at[0] <= 10
    measure.most(
        "P5", "no pong: a new connection after {:.1f} s at most (virtual time)", at[1] - at[0]
    )


REFUSALS = (400, 401, 402, 403, 404)
PASSING = (408, 429, 500, 503, 504)
OUR_FAULT = (1003, 1008)
BROKEN = (1000, 1001, 1006, 1011, 1012, 1013, 4000)


@pytest.mark.promise("P6")
def test_statuses_and_close_codes_decide_whether_to_try_again(
    tmp_path: Path, measure: Report
) -> None:
    """What may pass is tried again and again, what is our own fault is not."""

    async def tries(name: str, faults: Faults) -> int:
        async with FakeDeepgram(faults=faults) as server:
            heard = await hear(tmp_path / name, tape(3.0), deepgram(server.port))
            assert heard.of("error")
            return len(server.connections) + server.refused

    async def statuses(codes: tuple[int, ...]) -> list[int]:
        return [await tries(str(code), Faults(refuse=code)) for code in codes]

    async def closes(codes: tuple[int, ...]) -> list[int]:
        return [
            await tries(
                str(code),
                Faults(drop_after=0.1)
                if code == 1006
                else Faults(close_after=0.1, close_code=code),
            )
            for code in codes
        ]

    # Twice: every chain that failed is tried once more after the audio has ended.
    assert run_virtually(statuses(REFUSALS)) == [2] * len(REFUSALS)
    assert run_virtually(closes(OUR_FAULT)) == [2] * len(OUR_FAULT)
    assert min(run_virtually(statuses(PASSING))) >= 3
    assert min(run_virtually(closes(BROKEN))) >= 3
    codes = len(OUR_FAULT) + len(BROKEN)
    measure.say(
        "P6",
        f"Deepgram's {len(REFUSALS) + len(PASSING)} statuses and {codes} close codes as listed",
    )


@pytest.mark.promise("P21")
def test_deepgram_is_not_left_idle(tmp_path: Path, measure: Report) -> None:
    """It is called at the first audio, gets KeepAlive as text in pauses, and never an empty frame."""
    server = FakeDeepgram()

    async def late() -> Heard:
        async with server:
            return await hear(
                tmp_path, tape(SECONDS), deepgram(server.port), pause_after={1, 50, 120}, pause=30
            )

    with attentive():
        heard = run_virtually(late())
    assert text(heard.log) == TEXT
    [connection] = server.connections
    kept = [t for t in connection.texts if json.loads(t)["type"] == "KeepAlive"]
    assert len(kept) >= 3 * 30 / 5 - 3
    assert min(connection.frames) > 0
    measure.say("P21", f"Deepgram: three pauses of 30 s, one connection, {len(kept)} KeepAlive")
