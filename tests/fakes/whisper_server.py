"""A transcription server of one's own: Whisper behind ``POST /v1/audio/transcriptions``.

It speaks like speaches, LocalAI or whisper.cpp, so that real speech can go through the openai
provider, with nothing but loopback between them.
"""

from __future__ import annotations

import io
import math
import wave
from typing import Self

from aiohttp import web

from sttgate import Recognized, StreamParams
from sttgate_whisper import WhisperOptions, WhisperProvider
from tests.speech import whisper_model


class WhisperServer:
    """The server; use it as a context manager. ``url`` is the base URL, ``heard`` counts utterances."""

    def __init__(self) -> None:
        self.heard = 0
        self._engine = WhisperProvider(WhisperOptions(model=str(whisper_model()), workers=2))

    async def __aenter__(self) -> Self:
        await self._engine.open()
        app = web.Application(client_max_size=32 << 20)
        app.router.add_post("/v1/audio/transcriptions", self._transcribe)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/v1"
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._runner.cleanup()
        await self._engine.close()

    async def _transcribe(self, request: web.Request) -> web.Response:
        form = await request.post()
        upload = form["file"]
        assert isinstance(upload, web.FileField)
        with wave.open(io.BytesIO(upload.file.read())) as file:
            assert (file.getframerate(), file.getnchannels()) == (16_000, 1)
            pcm = file.readframes(file.getnframes())
        said = await self._engine.recognize(pcm, StreamParams())
        self.heard += 1
        if form["response_format"] != "verbose_json":
            return web.json_response({"text": said.text})
        return web.json_response(_verbose(said, len(pcm) / 32_000))


def _verbose(said: Recognized, seconds: float) -> dict[str, object]:
    """Say it as ``verbose_json`` does, with words and one segment."""
    words = [{"word": word.text, "start": word.start, "end": word.end} for word in said.words]
    sure = math.log(said.confidence) if said.confidence else -1.0
    segment = {"id": 0, "start": 0.0, "end": seconds, "text": said.text, "avg_logprob": sure}
    return {
        **{"task": "transcribe", "language": said.language or "en", "duration": seconds},
        **{"text": said.text, "words": words, "segments": [segment | {"no_speech_prob": 0.0}]},
    }
