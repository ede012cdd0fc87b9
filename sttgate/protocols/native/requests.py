"""What a client of the native protocol sends, parsed: pure, no I/O (docs/protocol.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from sttgate.audio import MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, AudioFormat
from sttgate.errors import ErrorCode, RequestError
from sttgate.provider import StreamParams
from sttgate.session.params import SessionParams
from sttgate.stores import Scalar

MAX_TEXT_BYTES = 64 * 1024
MAX_METADATA_BYTES = 4 * 1024
_KNOWN_ENCODINGS = (
    "linear16",
    "mulaw",
    "alaw",
    "opus",
    "ogg_opus",
    "webm_opus",
    "flac",
    "wav",
    "auto",
)

Milliseconds = Annotated[int, Meta(ge=0, le=60_000)]
Text = Annotated[str, Meta(max_length=200)]
Reference = Annotated[str, Meta(max_length=128)]
Keyterm = Annotated[str, Meta(min_length=1, max_length=200)]


class Store(msgspec.Struct, frozen=True):
    """What may outlive the session."""

    transcript: bool = True
    audio: bool = True


class Resume(msgspec.Struct, frozen=True):
    """Which session to take up again, and the last ``seq`` that was seen of it."""

    session_id: str
    token: str
    last_seq: Annotated[int, Meta(ge=0)] = 0


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of ``start``; every one is optional."""

    event: Literal["start"] = "start"
    protocol: Literal[1, 2] | None = None
    provider: Text = "auto"
    model: Text | None = None
    language: Text | None = None
    encoding: str = "linear16"
    sample_rate: Annotated[int, Meta(ge=MIN_SAMPLE_RATE, le=MAX_SAMPLE_RATE)] = 16_000
    channels: Annotated[int, Meta(ge=1, le=8)] = 1
    multichannel: bool = False
    interim_results: bool = True
    endpointing_ms: Milliseconds | bool | None = None
    utterance_end_ms: Milliseconds | bool | None = None
    keyterms: Annotated[tuple[Keyterm, ...], Meta(max_length=100)] = ()
    punctuate: bool | None = None
    profanity_filter: bool | None = None
    diarize: bool | None = None
    metadata: dict[str, Scalar] = {}
    title: Text | None = None
    client_ref: Reference | None = None
    store: bool | Store = True
    provider_options: dict[str, Any] = {}
    words: bool = False
    acks: bool | Annotated[float, Meta(gt=0, le=60)] = False
    resumable: bool = False
    resume: Resume | None = None

    def session_params(
        self, session_id: str, protocol: int, owner: str | None = None
    ) -> SessionParams:
        """Return what the session core needs; RequestError for what this build cannot do."""
        if self.encoding not in _KNOWN_ENCODINGS:
            raise RequestError(ErrorCode.BAD_REQUEST, _invalid("encoding", "it is not known"))
        if self.encoding != "linear16":
            message = f"The audio encoding {self.encoding} is not supported; send linear16."
            raise RequestError(ErrorCode.UNSUPPORTED_ENCODING, message)
        store = Store(self.store, self.store) if isinstance(self.store, bool) else self.store
        return SessionParams(
            id=session_id,
            protocol=f"native/{protocol}",
            provider=None if self.provider == "auto" else self.provider,
            format=AudioFormat(self.sample_rate, self.channels),
            multichannel=self.multichannel and self.channels > 1,
            stream=StreamParams(
                language=self.language,
                model=self.model,
                interim_results=self.interim_results,
                endpointing_ms=_pause("endpointing_ms", self.endpointing_ms),
                utterance_end_ms=_pause("utterance_end_ms", self.utterance_end_ms),
                keyterms=self.keyterms,
                punctuate=self.punctuate,
                profanity_filter=self.profanity_filter,
                diarize=self.diarize,
            ),
            title=self.title,
            client_ref=self.client_ref,
            owner=owner,
            metadata=self.metadata,
            store_transcript=store.transcript,
            store_audio=store.audio,
            resumable=self.resumable and protocol == 2,
        )


_FIELDS = frozenset(Start.__struct_fields__)


def parse_event(text: str) -> dict[str, Any] | None:
    """Return a text message's object, or None when it is no JSON object with a string ``event``."""
    if len(text) > MAX_TEXT_BYTES:
        return None
    try:
        message = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None
    if isinstance(message, dict) and isinstance(message.get("event"), str):
        return message
    return None


def parse_start(message: Mapping[str, Any]) -> Start:
    """Return the typed ``start``; RequestError names the first field that is wrong."""
    try:
        start = msgspec.convert(message, Start)
    except msgspec.ValidationError as error:
        what, _, path = str(error).rpartition(" - at `$")
        field = path.strip("`.").split("[")[0].split(".")[0] or "start"
        detail = (what or str(error)).replace("`", "")
        raise RequestError(
            ErrorCode.BAD_REQUEST, _invalid(field, detail[:1].lower() + detail[1:])
        ) from error
    check_metadata(start.metadata)
    return start


def parse_metadata(message: Mapping[str, Any]) -> dict[str, Scalar]:
    """Return the ``metadata`` of a metadata event; RequestError when it is not an object of scalars."""
    try:
        metadata = msgspec.convert(message.get("metadata"), dict[str, Scalar])
    except msgspec.ValidationError as error:
        problem = _invalid("metadata", "it must be an object of scalars")
        raise RequestError(ErrorCode.BAD_REQUEST, problem) from error
    return metadata


def parse_id(message: Mapping[str, Any]) -> Scalar:
    """Return the ``id`` a client wants its answer to carry; RequestError when it is no scalar."""
    request_id = message.get("id")
    if request_id is None or isinstance(request_id, str | int | float):
        return request_id
    raise RequestError(ErrorCode.BAD_REQUEST, _invalid("id", "it must be a scalar"))


def check_metadata(metadata: Mapping[str, Scalar]) -> None:
    """Raise RequestError for metadata over 4 KiB."""
    if len(msgspec.json.encode(metadata)) > MAX_METADATA_BYTES:
        problem = _invalid("metadata", f"it must be at most {MAX_METADATA_BYTES} bytes")
        raise RequestError(ErrorCode.BAD_REQUEST, problem)


def unknown_fields(message: Mapping[str, Any]) -> list[str]:
    """Return the fields of ``start`` that mean nothing here, in order."""
    return sorted(set(message) - _FIELDS)


def _pause(name: str, value: int | bool | None) -> int | Literal[False] | None:
    if value is True:
        raise RequestError(
            ErrorCode.BAD_REQUEST, _invalid(name, "it must be milliseconds or false")
        )
    return value


def _invalid(field: str, problem: str) -> str:
    return f"The field {field!r} of the request is not valid: {problem}."
