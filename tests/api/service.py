"""A running API for tests, whose every answer is held against the document it gives of itself."""

from __future__ import annotations

import asyncio
import json
import re
import wave
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient
from jsonschema import Draft202012Validator
from numpy.typing import ArrayLike

from sttgate.access.gate import Gate
from sttgate.access.principal import Scope
from sttgate.api.routing import PREFIX
from sttgate.config.model import AccessConfig, LimitsConfig
from sttgate.events import Word
from sttgate.gateway import Gateway
from sttgate.session.params import SessionParams
from sttgate.session.session import Session
from sttgate.stores import SessionEnd, SessionStart, Utterance

CREATED_AT = 1_795_600_000.25  # 2026-11-25T09:46:40.250Z
PROBLEM = "application/problem+json"


class Service:
    """A gateway behind the real application, and a client that checks each answer."""

    def __init__(
        self, gateway: Gateway, gate: Gate, client: TestClient[Any, Any], folder: Path
    ) -> None:
        self.gateway = gateway
        self.gate = gate
        self.client = client
        self.document: dict[str, Any] = {}
        self.key = ""
        self._folder = folder
        self._count = 0

    async def read_document(self) -> None:
        """Fetch the document, once the server runs."""
        async with self.client.get(f"{PREFIX}/openapi.json") as response:
            assert response.status == 200
            self.document = await response.json()

    def create_key(self, *scopes: Scope) -> tuple[str, str]:
        """Return the id and the secret of a new API key."""
        key, secret = self.gate.keys.create("test", scopes)
        return key.id, secret

    async def request(
        self,
        method: str,
        path: str,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Answer:
        """Make a request below ``/api/v1`` and check the answer against the document."""
        secret = self.key if key is None else key
        sent = {**({"Authorization": f"Bearer {secret}"} if secret else {}), **(headers or {})}
        async with self.client.request(
            method, f"{PREFIX}{path}", headers=sent, **options
        ) as response:
            answer = Answer(response, await response.read())
        self.check(method, path, answer)
        return answer

    async def get(self, path: str, status: int = 200, **options: Any) -> Any:
        """GET something; return its JSON."""
        answer = await self.request("GET", path, **options)
        assert answer.status == status, answer.body
        return answer.json()

    def check(self, method: str, path: str, answer: Answer) -> None:
        """Assert that the document tells of this answer."""
        described = self.described(method, path)
        if described is None:
            assert answer.status in (403, 404, 405)
            self.assert_valid({"$ref": "#/components/schemas/ProblemDetails"}, answer.json())
            return
        responses = described["responses"]
        response = responses.get(str(answer.status)) or responses["default"]
        if "$ref" in response:
            assert answer.status >= 400, f"{answer.status} is not in the document"
            response = self.document["components"]["responses"]["Problem"]
        for header in response.get("headers", {}):
            assert header in answer.headers, header
        content = response.get("content")
        if method == "HEAD" or content is None:
            assert answer.body == b""
            return
        assert answer.media in content, answer.media
        schema = content[answer.media].get("schema")
        if schema is not None:
            self.assert_valid(schema, answer.json())
        if answer.status >= 400:
            assert answer.json()["status"] == answer.status

    def described(self, method: str, path: str) -> dict[str, Any] | None:
        """Return what the document says of an operation."""
        method = "get" if method == "HEAD" else method.lower()
        for template, operations in self.document["paths"].items():
            pattern = re.sub(r"\{\w+\}", r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", template)
            if re.fullmatch(pattern, path.partition("?")[0]):
                found: dict[str, Any] | None = operations.get(method)
                return found
        return None

    def assert_valid(self, schema: Mapping[str, Any], value: Any) -> None:
        """Assert that ``value`` is as the schema says, and has no field the schema lacks."""
        components = json.loads(json.dumps(self.document["components"]))
        for component in components["schemas"].values():
            if component.get("properties"):
                component["additionalProperties"] = False
        validator = Draft202012Validator({**schema, "components": components})
        errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]
        assert errors == []

    # --- what there is to ask for ---------------------------------------------------------------

    async def store(
        self,
        *said: str,
        session_id: str | None = None,
        owner: str | None = None,
        ended: bool = True,
        pcm: ArrayLike | None = None,
        usage: Mapping[str, float] | None = None,
        **start: Any,
    ) -> str:
        """Store a session in which ``said`` was said, a second each; ``pcm`` is frames of samples."""
        self._count += 1
        session_id = session_id or f"session-{self._count}"
        transcripts = self.gateway.transcripts
        await transcripts.begin(
            SessionStart(
                id=session_id,
                created_at=start.pop("created_at", CREATED_AT + self._count),
                protocol="native/2",
                sample_rate=16_000,
                channels=1 if pcm is None else np.shape(pcm)[1],
                owner=owner,
                **start,
            )
        )
        for number, text in enumerate(said, 1):
            words = tuple(
                Word(text=word, start=number - 1 + place / 10, end=number - 0.9 + place / 10)
                for place, word in enumerate(text.split())
            )
            await transcripts.add_utterance(
                session_id,
                Utterance(number=number, start=number - 1, end=number, text=text, words=words),
            )
        if pcm is not None:
            await self.record(session_id, pcm)
        if ended:
            await transcripts.end(
                session_id,
                SessionEnd(
                    state="completed",
                    ended_at=CREATED_AT + 60,
                    duration=len(said),
                    reason="client",
                    recording=pcm is not None,
                    usage=usage or {"audio_s": float(len(said))},
                ),
            )
        return session_id

    async def record(self, session_id: str, pcm: ArrayLike) -> bytes:
        """Store a recording of these frames; return the file."""
        path = self._folder / f"{session_id}.wav"
        with wave.open(str(path), "wb") as file:
            file.setparams((np.shape(pcm)[1], 2, 16_000, 0, "NONE", ""))
            file.writeframes(np.asarray(pcm, "<i2").tobytes())
        content = path.read_bytes()
        await self.gateway.recordings.put(session_id, path)
        return content

    async def open(self, session_id: str, owner: str | None = None) -> Session:
        """Open a session that runs, with a second of audio, and wait until it is in the store."""
        session = await self.gateway.open_session(
            SessionParams(id=session_id, protocol="test", owner=owner)
        )
        session.append(bytes(32_000))
        await eventually(lambda: self.gateway.transcripts.find(session_id))
        return session


class Answer:
    """An answer that was read to its end."""

    def __init__(self, response: ClientResponse, body: bytes) -> None:
        self.status = response.status
        self.headers = response.headers
        self.media = response.content_type
        self.body = body

    def json(self) -> Any:
        """Return the JSON of the body."""
        return json.loads(self.body)

    def assert_problem(self, status: int, code: str) -> Any:
        """Assert that it is this problem; return it."""
        assert (self.status, self.media) == (status, PROBLEM), self.body
        problem = self.json()
        assert problem["code"] == code
        return problem


def gate_for(folder: Path, *, enforced: bool) -> Gate:
    """Return a gate with keys of its own, one of them so that it opens at all."""
    access = AccessConfig(keys=folder / "keys.json", secret=folder / "access.secret")
    gate = Gate(access, LimitsConfig.model_validate({}), enforced=enforced)
    gate.keys.create("first", ("admin",))
    return gate


async def eventually(condition: Callable[[], Awaitable[object]], timeout: float = 15.0) -> None:
    """Return once ``condition`` gives something true."""
    async with asyncio.timeout(timeout):
        while not await condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


Serve = Callable[..., Awaitable[Service]]
