"""Every error sttgate raises on purpose: a type, a sentence for people, and "may I retry" for machines."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ErrorCode(StrEnum):
    """The closed list of codes a client of protocol 2 can meet (docs/protocol.md)."""

    BAD_REQUEST = "bad_request"
    INVALID_JSON = "invalid_json"
    UNKNOWN_PROVIDER = "unknown_provider"
    UNSUPPORTED_LANGUAGE = "unsupported_language"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    AUDIO_MISALIGNED = "audio_misaligned"
    AUDIO_TOO_FAST = "audio_too_fast"
    IDLE_TIMEOUT = "idle_timeout"
    MAX_DURATION = "max_duration"
    CAPACITY = "capacity"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    SESSION_NOT_FOUND = "session_not_found"
    SESSION_TAKEN = "session_taken"
    PROVIDER_AUTH = "provider_auth"
    PROVIDER_QUOTA = "provider_quota"
    PROVIDER_UNAVAILABLE = "provider_unavailable"
    PROVIDER_TIMEOUT = "provider_timeout"
    PROVIDER_PROTOCOL = "provider_protocol"
    STORAGE_FAILED = "storage_failed"
    SHUTDOWN = "shutdown"
    INTERNAL = "internal"


class SttgateError(Exception):
    """Base of all errors sttgate raises on purpose; ``str(error)`` is one sentence for a person."""


class RequestError(SttgateError):
    """A client asked for something that cannot be had; ``code`` says which kind of mistake it was."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class ProviderError(SttgateError):
    """A provider failed. Raise a subclass: it decides the code and whether another try makes sense.

    ``provider_code`` is the vendor's own word for what happened, ``retry_after`` the seconds the
    vendor asked to wait. The message may be shown to operators; clients get a text of the host's.
    """

    code: ErrorCode = ErrorCode.PROVIDER_UNAVAILABLE
    retryable: bool = True

    def __init__(
        self, message: str, *, provider_code: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.provider_code = provider_code
        # What a vendor says may be anything, and nobody can wait for NaN seconds.
        sensible = retry_after is not None and 0 <= retry_after < float("inf")
        self.retry_after = retry_after if sensible else None


class ProviderUnavailable(ProviderError):
    """Not reachable, or it broke off; the next connection may work."""


class ProviderTimeout(ProviderError):
    """It was reachable but did not answer in time."""

    code = ErrorCode.PROVIDER_TIMEOUT


class ProviderQuota(ProviderError):
    """Too many streams or too much use for now; another provider can help at once."""

    code = ErrorCode.PROVIDER_QUOTA


class ProviderAuth(ProviderError):
    """Credentials are missing, wrong or not allowed to do this; trying again will not help."""

    code = ErrorCode.PROVIDER_AUTH
    retryable = False


class ProviderRejected(ProviderError):
    """The provider understood the request and refuses it (parameters, audio); do not repeat it."""

    code = ErrorCode.BAD_REQUEST
    retryable = False


class ProviderProtocol(ProviderError):
    """It said something that its own protocol does not allow."""

    code = ErrorCode.PROVIDER_PROTOCOL


class NotConfigured(SttgateError):
    """Raised by a provider's factory that has nothing to work with, such as no key.

    The provider is then skipped with a warning that carries this sentence.
    """


class StoreError(SttgateError):
    """A transcript or recording store could not do what was asked; trying again may help."""


class PluginError(SttgateError):
    """A plugin could not be loaded; the sentence names it, its file, the cause and the cure."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a configuration: where it stands and what is wrong (lines and columns from 1).

    A value that does not come from a file has the environment variable or the command line option
    as its ``file``, and line 0. ``key`` is empty when the mistake has no key, as in bad syntax.
    """

    file: str
    line: int
    column: int
    key: str
    message: str
    warning: bool = False

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place} {self.key}: {self.message}" if self.key else f"{place}: {self.message}"


class ConfigError(SttgateError):
    """A configuration cannot be used; ``problems`` has every mistake, in file order."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems
