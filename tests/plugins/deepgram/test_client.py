"""What the streams of a provider share, and how it is checked."""

from __future__ import annotations

import asyncio
import gc
import logging
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from sttgate import (
    ProviderAuth,
    ProviderError,
    ProviderRejected,
    ProviderUnavailable,
)
from sttgate.testing import ScriptedAudio, collect, silence
from sttgate_deepgram import DeepgramOptions, DeepgramProvider
from tests.fakes.deepgram_server import FakeDeepgram
from tests.fakes.deepgram_speech import SENTENCES
from tests.plugins.deepgram.helpers import (
    KEY,
    failure,
    hear,
    opened,
    seconds,
    text,
)


async def test_the_sdk_passes_text_frames_on_unparsed(server: FakeDeepgram) -> None:
    """Bytes mean "unparsed" to deepgram-sdk 7.17, which its next version may change."""
    async with opened(server.url) as provider:
        client = provider._client
        assert client is not None
        query = {"model": "nova-3", "encoding": "linear16", "sample_rate": 16_000}
        async with client.connect(query) as connection:
            await connection.send_media(silence(1))
            await connection.send_finalize()
            assert isinstance(await connection.recv(), bytes)
            await connection.send_close_stream()
            assert all([isinstance(message, bytes) async for message in connection])
    assert server.connections[0].headers["User-Agent"].startswith("deepgram-sdk/7.17.")


async def test_two_providers_work_side_by_side() -> None:
    """Providers with other keys and addresses in one process do not mix."""
    async with (
        FakeDeepgram(["One two three."], api_key="one") as first,
        FakeDeepgram(["Four five six."], api_key="two") as second,
        opened(first.url, api_key="one") as one,
        opened(second.url, api_key="two", model="nova-2") as two,
    ):
        heard = await asyncio.gather(
            *(collect(provider, ScriptedAudio(seconds(3))) for provider in [one, two] * 5)
        )
    assert [text(events) for events in heard] == ["One two three.", "Four five six."] * 5
    assert {connection.headers["Authorization"] for connection in second.connections} == {
        "Token two"
    }


def test_event_loops_may_follow_one_another() -> None:
    """A provider in a new event loop works though the SDK's patch is for the whole process."""

    async def session() -> str:
        async with FakeDeepgram() as server:
            return text(await hear(server, seconds(4)))

    assert [asyncio.run(session()) for _ in range(2)] == [SENTENCES[0]] * 2


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """Return a self-signed certificate for 127.0.0.1, and a server's TLS context with it."""
    if shutil.which("openssl") is None:
        pytest.skip("makes its certificate with openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    return certificate, tls


async def test_all_connections_share_one_tls_context(
    certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    """TLS is checked against the system's authorities with one context, for contexts are dear."""
    authority, tls = certificate

    def contexts() -> list[ssl.SSLContext]:
        # isinstance() asks lazy objects of other libraries for their class, and they make contexts.
        return [thing for thing in gc.get_objects() if issubclass(type(thing), ssl.SSLContext)]

    async with FakeDeepgram(tls=tls) as server:
        error = await failure(server)
        assert isinstance(error, ProviderUnavailable)
        assert "certificate is not trusted" in str(error)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        gc.collect()
        before = contexts()
        async with opened(server.url) as provider:
            streams = (collect(provider, ScriptedAudio(seconds(4))) for _ in range(5))
            heard = await asyncio.gather(*streams)
            assert len(contexts()) == len(before) + 1
        assert [text(events) for events in heard] == [SENTENCES[0]] * 5


async def test_check_sends_no_audio(server: FakeDeepgram) -> None:
    """A good key passes, for a connection that carries no audio and costs nothing."""
    async with opened(server.url) as provider:
        await provider.check()
    assert server.connections[0].audio == 0
    assert server.connections[0].texts == ['{"type": "CloseStream"}']


async def test_check_is_content_with_a_server_that_accepts(server: FakeDeepgram) -> None:
    """A slow goodbye is no failure."""
    server.faults.mute = True
    async with opened(server.url, connect_timeout=0.3) as provider:
        await provider.check()


@pytest.mark.parametrize(
    ("options", "kind"), [({"api_key": "bad"}, ProviderAuth), ({"model": "nope"}, ProviderRejected)]
)
async def test_check_finds_bad_keys_and_options(
    server: FakeDeepgram, options: dict[str, Any], kind: type[ProviderError]
) -> None:
    """What would fail a stream fails the check."""
    async with opened(server.url, **options) as provider:
        with pytest.raises(kind):
            await provider.check()


async def test_a_provider_that_is_not_open_says_so() -> None:
    """Using a provider before open is an error of the usual kind."""
    with pytest.raises(ProviderUnavailable, match="not open"):
        await DeepgramProvider(DeepgramOptions(api_key=SecretStr(KEY))).check()


async def test_logs_have_neither_key_nor_words(
    server: FakeDeepgram, caplog: pytest.LogCaptureFixture
) -> None:
    """Even at DEBUG, from every library, no key and no transcript is logged."""
    with caplog.at_level(logging.DEBUG):
        await hear(server, seconds(6))
        server.faults.refuse = 401
        await failure(server)
    assert "stream open" in caplog.text
    assert KEY not in caplog.text
    assert "library" not in caplog.text
