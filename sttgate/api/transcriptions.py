"""Transcribing files: send one, see how far it is, watch it, cancel it."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from sttgate.access.addresses import client_address
from sttgate.access.gate import PRINCIPAL
from sttgate.access.principal import EVERYBODY
from sttgate.admission import Caller
from sttgate.api.bodies import MULTIPART, UploadBody
from sttgate.api.models import UploadQueue, describe_queue
from sttgate.api.problems import RETRY_AFTER, ApiProblem, not_found
from sttgate.api.routing import PREFIX, Answer, Operation, Query, json_response
from sttgate.api.streams import EVENT_STREAM, EventStream, Watching, last_seen
from sttgate.audio import MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, AudioFormat
from sttgate.gateway import Gateway
from sttgate.session.states import MOVES
from sttgate.uploads.job import PROTOCOL, Job, JobState, Order
from sttgate.uploads.reception import Reception, TooLarge
from sttgate.uploads.uploads import QueueFull

IDLE_TIMEOUT = 30.0  # seconds without a byte of the body
GRACE = 60.0  # seconds a body may take however small it is
SLOWEST = 8 * 1024  # bytes a second beyond that, on average
_PROGRESS_INTERVAL = 0.5  # seconds between two events about progress
_MAX_METADATA = 4096  # bytes, as over the WebSocket
_METADATA = "metadata."


class TranscriptionQuery(Query):
    """What is asked for a file. `metadata.KEY=VALUE` may be given several times, with other keys."""

    provider: str | None = Field(None, max_length=200)
    """The provider to use, none other; without it, the configured chain."""
    model: str | None = Field(None, max_length=200)
    """The provider's model."""
    language: str | None = Field(None, max_length=200)
    """A BCP-47 tag such as `en-GB`."""
    title: str | None = Field(None, max_length=200)
    """The title of the session; without it, the name of the file if that is known."""
    encoding: Literal["linear16"] | None = None
    """Says that the body is samples without a header: signed 16-bit, little-endian, interleaved."""
    sample_rate: int = Field(16_000, ge=MIN_SAMPLE_RATE, le=MAX_SAMPLE_RATE)
    """Their rate in Hz; only with `encoding`."""
    channels: int = Field(1, ge=1, le=8)
    """Their channels; only with `encoding`."""
    metadata: dict[str, str] = Field(default_factory=dict)
    """What is stored with the session."""

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, str]) -> Any:
        """Gather `metadata.*`."""
        found: dict[str, Any] = {"metadata": {}}
        for name, value in parameters.items():
            if name.startswith(_METADATA):
                found["metadata"][name.removeprefix(_METADATA)] = value
            elif name == "metadata":
                found["metadata."] = value  # not a name that is known
            else:
                found[name] = value
        return found


class TranscriptionLinks(BaseModel):
    """Where to look."""

    self: str
    events: str
    session: str


class TranscriptionAccepted(BaseModel):
    """A file that was taken."""

    id: str
    state: JobState
    links: TranscriptionLinks


class TranscriptionError(BaseModel):
    """What went wrong: a code of the native protocol, and a sentence for a person."""

    code: str
    detail: str


class Transcription(BaseModel):
    """How far a file is."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: str
    state: JobState
    progress: float
    """From 0 to 1, by the audio that is transcribed."""
    duration: float | None
    """Seconds of audio, once they are known."""
    session: str | None
    """The session with the words, once there is one; its id is that of the transcription."""
    error: TranscriptionError | None
    """Why it failed; of one that is `done`, why a part could not be transcribed."""


class TranscriptionsApi:
    """The queue of uploads, from outside."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._uploads = gateway.uploads

    def operations(self) -> Iterable[Operation]:
        """Return what can be asked here."""
        gone = {404: "There is no such transcription."}
        return [
            Operation(
                name="getTranscriptionQueue",
                method="GET",
                path="/transcriptions",
                handler=self.queue,
                scope="transcribe",
                summary="See what files are taken",
                text="Worth asking before a large file is sent.",
                answers=(Answer(text="What is taken, and how many are here.", model=UploadQueue),),
            ),
            Operation(
                name="createTranscription",
                method="POST",
                path="/transcriptions",
                handler=self.create,
                scope="transcribe",
                summary="Transcribe a file",
                text="The body is the file, or a form with one part `file`. WAV is always taken, "
                "other formats if the operator has installed the decoder.",
                query=TranscriptionQuery,
                media=("audio/*", "video/*", "application/octet-stream", MULTIPART),
                answers=(
                    Answer(
                        text="The file is here, and waits for its turn.",
                        status=202,
                        model=TranscriptionAccepted,
                        headers={"Location": "Where to see how far it is."},
                    ),
                ),
                problems={
                    408: "The body came too slowly.",
                    413: "The file is too large.",
                    415: "The file is of a type that is not taken.",
                    429: "As many files wait as may wait.",
                    503: "There is no room for the file, or the gateway is about to stop.",
                },
            ),
            Operation(
                name="getTranscription",
                method="GET",
                path="/transcriptions/{id}",
                handler=self.show,
                scope="read",
                summary="See how far a file is",
                answers=(Answer(text="How far it is.", model=Transcription),),
                problems=gone,
            ),
            Operation(
                name="watchTranscription",
                method="GET",
                path="/transcriptions/{id}/events",
                handler=self.watch,
                scope="read",
                summary="Watch a file being transcribed",
                text="Server-sent events: `progress` with the transcription as JSON, all events of "
                "its session (see `watchSession`), and `done` or `failed` with the transcription.",
                answers=(Answer(text="The events.", media=(EVENT_STREAM,)),),
                problems=gone,
                head=False,
            ),
            Operation(
                name="cancelTranscription",
                method="DELETE",
                path="/transcriptions/{id}",
                handler=self.cancel,
                scope="transcribe",
                summary="Cancel a transcription",
                text="The file, and what was transcribed of it, are deleted.",
                answers=(Answer(text="It is cancelled.", status=204),),
                problems=gone | {409: "It is done; delete its session instead."},
            ),
        ]

    async def queue(self, request: web.Request) -> UploadQueue:
        """Tell what is taken, and how many are here."""
        return describe_queue(self._uploads)

    async def create(self, request: web.Request, query: TranscriptionQuery) -> web.Response:
        """Take a file in."""
        if (
            sum(len(k.encode()) + len(v.encode()) for k, v in query.metadata.items())
            > _MAX_METADATA
        ):
            raise ApiProblem(400, f"The metadata must be at most {_MAX_METADATA} bytes.")
        body = UploadBody(request)
        order = self._order(request, query)
        caller = Caller(
            principal=request.get(PRINCIPAL, EVERYBODY),
            address=client_address(request, self._gateway.admission.limits.trusted_proxies),
        )
        try:
            async with self._uploads.receive(order, caller, body.size) as reception:
                await _receive(body, reception)
                if reception.size == 0:
                    raise ApiProblem(400, "The body is empty.")
                reception.complete(PurePath((body.name or "").replace("\\", "/")).name[:200])
        except TooLarge as error:
            raise ApiProblem(413, str(error), headers={"Connection": "close"}) from error
        except QueueFull as error:
            headers = {"Retry-After": RETRY_AFTER, "Connection": "close"}
            raise ApiProblem(429, str(error), "queue_full", headers=headers) from error
        except TimeoutError as error:
            raise ApiProblem(408, headers={"Connection": "close"}) from error
        path = f"{PREFIX}/transcriptions/{order.id}"
        links = TranscriptionLinks(
            self=path, events=f"{path}/events", session=f"{PREFIX}/sessions/{order.id}"
        )
        accepted = TranscriptionAccepted(id=order.id, state=JobState.QUEUED, links=links)
        return json_response(accepted, 202, {"Location": path})

    async def show(self, request: web.Request) -> Transcription:
        """Tell how far a file is."""
        job = self._find(request)
        return describe(job) if job is not None else await self._remember(request)

    async def watch(self, request: web.Request) -> web.StreamResponse:
        """Send what happens to a file until it is over or the client leaves."""
        job = self._find(request)
        if job is None:
            return await self._tell_outcome(request)
        after = last_seen(request, 0)
        stream, more = EventStream(request), asyncio.Event()
        job.watch(more.set)
        watching: Watching | None = None
        told, due = "", 0.0
        loop = asyncio.get_running_loop()
        try:
            await stream.open()
            while True:
                more.clear()
                left = job.left  # before the last look at everything else
                if watching is None and job.session and not job.session.events.ended:
                    watching = Watching(job.session, after, more, words=True)
                batch = await watching.take() if watching is not None else []
                await stream.send_entries(batch, words=True)
                view = describe(job).model_dump_json()
                now = loop.time()
                if view != told and (now >= due or left):
                    told, due = view, now + _PROGRESS_INTERVAL
                    await stream.send("progress", view)
                if not batch and left:
                    break
                if not batch:
                    # What was too early to be told is told when it is time, whatever else happens.
                    await stream.wait(more, due - now if view != told else None)
            if job.over:
                await stream.send(job.state, told)
        finally:
            job.unwatch(more.set)
            if watching is not None:
                watching.close()
        return await stream.close()

    async def cancel(self, request: web.Request) -> web.Response:
        """End a job and keep nothing of it."""
        job = self._find(request)
        if job is None:
            await self._remember(request)
        if job is None or job.state is JobState.DONE:
            raise ApiProblem(409, "It is done already; what it became is deleted as a session.")
        await self._uploads.cancel(job)
        return web.Response(status=204)

    def _order(self, request: web.Request, query: TranscriptionQuery) -> Order:
        return Order(
            id=str(uuid.uuid4()),
            created_at=time.time(),
            owner=request.get(PRINCIPAL, EVERYBODY).id,
            provider=None if query.provider == "auto" else query.provider,
            model=query.model,
            language=query.language,
            title=query.title,
            metadata=query.metadata,
            raw=AudioFormat(query.sample_rate, query.channels) if query.encoding else None,
        )

    def _find(self, request: web.Request) -> Job | None:
        """Return a job of this process, None if it has none by that id; ApiProblem if it is another's."""
        job = self._uploads.find(request.match_info["id"])
        principal = request.get(PRINCIPAL, EVERYBODY)
        if job is not None and not principal.sees(job.order.owner):
            raise not_found("transcription")
        return job

    async def _remember(self, request: web.Request) -> Transcription:
        """Return what became of a file that was sent before this process began, or long ago."""
        upload_id = request.match_info["id"]
        principal = request.get(PRINCIPAL, EVERYBODY)
        session = self._gateway.sessions.get(upload_id)
        if session is not None and session.state in MOVES:
            if session.params.protocol == PROTOCOL and principal.sees(session.params.owner):
                return _of_session(upload_id, JobState.TRANSCRIBING, 0.0, session.audio.seconds)
            raise not_found("transcription")
        stored = await self._gateway.transcripts.find(upload_id)
        if stored is None or stored.end is None or stored.start.protocol != PROTOCOL:
            raise not_found("transcription")
        if not principal.sees(stored.start.owner):
            raise not_found("transcription")
        return _of_session(upload_id, JobState.DONE, 1.0, stored.end.duration)

    async def _tell_outcome(self, request: web.Request) -> web.StreamResponse:
        transcription = await self._remember(request)
        stream = EventStream(request)
        await stream.open()
        event = "done" if transcription.state is JobState.DONE else "progress"
        await stream.send(event, transcription.model_dump_json())
        return await stream.close()


async def _receive(body: UploadBody, reception: Reception) -> None:
    """Take the body in, and give up on one that dribbles."""
    loop = asyncio.get_running_loop()
    began = loop.time()

    def expect_more() -> None:
        slowest = began + GRACE + reception.size / SLOWEST
        reception.deadline.reschedule(min(loop.time() + IDLE_TIMEOUT, slowest))

    expect_more()
    await body.open()
    async for block in body.blocks():
        await reception.write(block)
        expect_more()


def describe(job: Job) -> Transcription:
    """Return a job as the API shows it."""
    failure = job.failure
    return Transcription(
        id=job.id,
        state=job.state,
        progress=job.progress,
        duration=None if job.duration is None else round(job.duration, 3),
        session=job.id if job.had_session else None,
        error=None
        if failure is None
        else TranscriptionError(code=failure.code, detail=failure.detail),
    )


def _of_session(upload_id: str, state: JobState, progress: float, seconds: float) -> Transcription:
    return Transcription(
        id=upload_id,
        state=state,
        progress=progress,
        duration=round(seconds, 3),
        session=upload_id,
        error=None,
    )
