"""A fake of ``POST /v1/audio/transcriptions``: words by the length of the audio, faults on demand.

Wire facts are those of OpenAI's reference "Create transcription" and its "Error codes" page: the form
fields, the two JSON formats, that gpt models refuse ``verbose_json``, and the bodies of refusals.
``style`` plays the servers that speak like it; tests/plugins/test_openai_vendor.py has OpenAI's own
client check it.
"""

from __future__ import annotations

import asyncio
import io
import wave
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

from aiohttp import web
from multidict import MultiDict

Style = Literal["openai", "whisper.cpp", "vllm"]
WORDS_PER_SECOND = 2


@dataclass
class Faults:
    """What goes wrong with requests for a transcription."""

    status: int = 0
    """Answer with this one, always; or with each of ``statuses`` once, before anything else."""
    statuses: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """Send this in place of the answer's JSON."""
    hang: bool = False
    drop: bool = False
    """Cut the connection in the middle of the answer."""
    refuses_verbose: bool = False
    """As older vLLM does, with a message and nothing else."""


@dataclass(frozen=True)
class Request:
    """One request for a transcription, as it came."""

    fields: MultiDict[str]
    file: tuple[str, str | None, bytes]
    """Name, type and content."""
    authorization: str | None
    sample_rate: int
    seconds: float


class FakeOpenAI:
    """The server; use it as a context manager.

    ``url`` is the base URL to configure, ``requests`` what it was asked.
    """

    def __init__(
        self, *, api_key: str = "", style: Style = "openai", faults: Faults | None = None
    ) -> None:
        self.faults = faults or Faults()
        self.requests: list[Request] = []
        self.running = self.most_running = 0
        self.delay = 0.0
        self.text: str | None = None
        self.has_models = True
        self._api_key = api_key
        self._style = style

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=32 << 20)
        app.router.add_post("/v1/audio/transcriptions", self._transcribe)
        app.router.add_get("/v1/models", self._models)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/v1"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    async def _models(self, request: web.Request) -> web.Response:
        if not self._allowed(request):
            return _wrong_key(request)
        if not self.has_models:
            raise web.HTTPNotFound
        return web.json_response({"object": "list", "data": [{"id": "whisper-1"}]})

    async def _transcribe(self, request: web.Request) -> web.StreamResponse:
        fields: MultiDict[str] = MultiDict()
        file: tuple[str, str | None, bytes] = "", None, b""
        async for part in await request.multipart():
            if part.name == "file":
                assert part.filename
                file = part.filename, part.headers.get("Content-Type"), bytes(await part.read())
            else:
                fields.add(str(part.name), (await part.read()).decode())
        with wave.open(io.BytesIO(file[2])) as audio:
            assert (audio.getnchannels(), audio.getsampwidth()) == (1, 2)
            rate, seconds = audio.getframerate(), audio.getnframes() / audio.getframerate()
        key = request.headers.get("Authorization")
        self.requests.append(Request(fields, file, key, rate, seconds))
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        try:
            await asyncio.sleep(3600 if self.faults.hang else self.delay)
            return await self._answer(request, fields, seconds)
        finally:
            self.running -= 1

    async def _answer(
        self, request: web.Request, fields: MultiDict[str], seconds: float
    ) -> web.StreamResponse:
        faults = self.faults
        if not self._allowed(request):
            return _wrong_key(request)
        if status := faults.statuses.pop(0) if faults.statuses else faults.status:
            body = faults.body or b'{"error":{"message":"No.","type":"no","code":"no_code"}}'
            return web.Response(status=status, body=body, headers=faults.headers)
        if faults.drop:
            response = web.StreamResponse(headers={"Content-Length": "1000"})
            await response.prepare(request)
            await response.write(b'{"text": "half')
            assert request.transport is not None
            request.transport.abort()
            return response
        if faults.body is not None:
            return web.Response(body=faults.body, content_type="application/json")
        verbose = fields.get("response_format") == "verbose_json"
        if verbose and faults.refuses_verbose:
            detail = {
                "object": "error",
                "message": "Currently only supports json, text: verbose_json",
            }
            return web.json_response(detail, status=400)
        if verbose and fields["model"].startswith("gpt-"):
            return _refuses_format(fields["model"])
        return web.json_response(self._transcript(fields, seconds, verbose=verbose))

    def _transcript(
        self, fields: MultiDict[str], seconds: float, *, verbose: bool
    ) -> dict[str, Any]:
        step = 1 / WORDS_PER_SECOND
        count = max(1, int(seconds * WORDS_PER_SECOND))
        said = self.text.split() if self.text is not None else [f"word{n}" for n in range(count)]
        text = " ".join(said)
        if not verbose:
            short: dict[str, Any] = {"text": text}
            if fields["model"] == "gpt-transcribe":
                short["languages"] = [{"code": "en"}]
            return short
        words = [
            {"word": word, "start": n * step, "end": min((n + 1) * step, seconds)}
            for n, word in enumerate(said)
        ]
        segment: dict[str, Any] = {
            **{"id": 0, "seek": 0, "start": 0.0, "end": seconds, "text": text, "tokens": [1]},
            **{"temperature": 0.0, "avg_logprob": -0.2, "compression_ratio": 1.0},
            "no_speech_prob": 0.01,
        }
        whole = {"task": "transcribe", "language": "english", "duration": seconds, "text": text}
        if self._style == "vllm":
            return whole | {"segments": [segment]}
        if self._style == "whisper.cpp":
            told = [word | {"word": f" {word['word']}", "probability": 0.9} for word in words]
            return whole | {"language": "en", "segments": [segment | {"words": told}]}
        whole["usage"] = {"type": "duration", "seconds": seconds}
        asked = fields.getall("timestamp_granularities[]", ["segment"])
        if "segment" in asked:
            whole["segments"] = [segment]
        if "word" in asked:
            whole["words"] = words
        return whole

    def _allowed(self, request: web.Request) -> bool:
        return (
            not self._api_key or request.headers.get("Authorization") == f"Bearer {self._api_key}"
        )


def _wrong_key(request: web.Request) -> web.Response:
    """Refuse as OpenAI does, which repeats the key; some servers do not even shorten it."""
    said = request.headers.get("Authorization", "").removeprefix("Bearer ")
    error = {
        "message": f"Incorrect API key provided: {said}. You can find your API key online.",
        **{"type": "invalid_request_error", "param": None, "code": "invalid_api_key"},
    }
    return web.json_response({"error": error}, status=401)


def _refuses_format(model: str) -> web.Response:
    error = {
        "message": f"response_format 'verbose_json' is not compatible with model '{model}'. "
        "Use 'json' or 'text' instead.",
        **{
            "type": "invalid_request_error",
            "param": "response_format",
            "code": "unsupported_value",
        },
    }
    return web.json_response({"error": error}, status=400)
