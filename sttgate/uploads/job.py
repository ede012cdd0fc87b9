"""One uploaded file on its way to being a conversation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum

import msgspec

from sttgate.admission import Caller
from sttgate.audio import AudioFormat
from sttgate.errors import ErrorCode
from sttgate.provider import StreamParams
from sttgate.session.params import SessionParams
from sttgate.session.session import Session
from sttgate.uploads.files import UploadFile

PROTOCOL = "upload"
"""What sessions of uploads have for the name of a wire."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for a file; its JSON lies beside the file, so that it outlives the process.

    ``id`` is also that of the session. ``raw`` is the format of samples without a header, None for a
    file that says itself what it is.
    """

    id: str
    created_at: float
    owner: str | None = None
    provider: str | None = None
    model: str | None = None
    language: str | None = None
    title: str | None = None
    metadata: Mapping[str, str] = {}
    raw: AudioFormat | None = None

    def session_params(self, audio_format: AudioFormat) -> SessionParams:
        """Return the parameters of its session."""
        return SessionParams(
            id=self.id,
            created_at=self.created_at,
            protocol=PROTOCOL,
            provider=self.provider,
            format=audio_format,
            stream=StreamParams(language=self.language, model=self.model),
            title=self.title,
            owner=self.owner,
            metadata=self.metadata,
        )


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    DECODING = "decoding"
    TRANSCRIBING = "transcribing"
    DONE = "done"
    FAILED = "failed"


class Failure(msgspec.Struct, frozen=True):
    """What went wrong; ``detail`` is a sentence for a person."""

    code: ErrorCode
    detail: str


CANCELLED = Failure(ErrorCode.SESSION_NOT_FOUND, "It was cancelled.")


class Job:
    """The state of one upload.

    ``progress`` goes from 0 to 1 with the audio that is transcribed, ``duration`` is its length in
    seconds once it is known; ``handed_over`` says that the session has all of it. ``left``: nothing more
    happens in this process. ``failure`` of a job that is done tells what part was not transcribed.
    """

    def __init__(self, order: Order, caller: Caller, file: UploadFile) -> None:
        self.id = order.id
        self.order = order
        self.caller = caller
        self.file = file
        self.state = JobState.QUEUED
        self.progress = 0.0
        self.duration: float | None = None
        self.failure: Failure | None = None
        self.session: Session | None = None
        self.had_session = False
        self.handed_over = False
        self.left = False
        self.cancelled = False
        self._watchers: set[Callable[[], None]] = set()

    @property
    def over(self) -> bool:
        """Whether nothing more happens."""
        return self.state in (JobState.DONE, JobState.FAILED)

    def decode(self) -> None:
        """Note that it is its turn."""
        self.state = JobState.DECODING
        self._tell()

    def transcribe(self, session: Session, duration: float) -> None:
        """Note the session that gets the audio."""
        self.state, self.session, self.duration = JobState.TRANSCRIBING, session, duration
        self.had_session = True
        self._tell()

    def advance(self, seconds: float) -> None:
        """Note how much is transcribed."""
        if self.duration:
            progress = round(min(seconds / self.duration, 1.0), 3)
            if progress > self.progress:
                self.progress = progress
                self._tell()

    def finish(self, failure: Failure | None = None) -> None:
        """Note that the conversation is there; all of it, unless there is a ``failure``."""
        self.state, self.progress, self.failure = JobState.DONE, 1.0, failure
        self._tell()

    def fail(self, failure: Failure) -> None:
        """Note that there will be no conversation."""
        self.state, self.failure = JobState.FAILED, failure
        self._tell()

    def leave(self) -> None:
        """Note that nobody works on it any more, over or not."""
        self.left, self.session = (
            True,
            None,
        )  # it may be remembered for long, and a session is large
        self._tell()

    def watch(self, notify: Callable[[], None]) -> None:
        """Have ``notify`` called after each change."""
        self._watchers.add(notify)

    def unwatch(self, notify: Callable[[], None]) -> None:
        """Call it no more."""
        self._watchers.discard(notify)

    def _tell(self) -> None:
        for notify in self._watchers:
            notify()
