"""How a server refuses, and which typed error each refusal becomes.

Decided by the HTTP status; ``error.code``, ``error.param`` and ``error.message`` of the body are
those of OpenAI's "Error codes" page, and other servers may send none of them.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from sttgate import (
    ProviderAuth,
    ProviderError,
    ProviderProtocol,
    ProviderQuota,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
)

_QUOTE_MAX_CHARS = 200
_RETRY_AFTER_MAX = 3_600.0
_NO_CREDIT = "insufficient_quota"
"""Type of a refusal with 429 that no waiting mends; ``code`` may name the budget that is spent."""
_KEY = re.compile(r"\b(?:sk|gsk|pk|key|Bearer)[-_ ][^\s'\",;]+")
"""What looks like a key: OpenAI repeats part of a wrong one in its message."""

_REFUSALS: dict[int, tuple[type[ProviderError], str]] = {
    401: (ProviderAuth, "check its API key"),
    402: (ProviderAuth, "the account has no credit left"),
    403: (ProviderAuth, "the API key may not use this model"),
    404: (ProviderRejected, "check base_url and model"),
    408: (ProviderTimeout, "it may work again soon"),
    413: (ProviderRejected, "make max_utterance smaller"),
    429: (ProviderQuota, "too many requests for now"),
    504: (ProviderTimeout, "it may work again soon"),
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is no transcript; the texts are the server's, empty when it sent none."""

    status: int
    code: str
    kind: str
    param: str
    message: str
    retry_after: float | None
    """Seconds."""

    @property
    def is_about_credit(self) -> bool:
        """Whether the account may not use more, rather than not so much at once."""
        return _NO_CREDIT in (self.code, self.kind)

    @property
    def is_about_format(self) -> bool:
        """Whether the server understood everything but the form of the answer it was asked for."""
        said = f"{self.param} {self.message}"
        return self.status in (400, 422) and any(
            word in said for word in ("response_format", "verbose_json", "timestamp_granularities")
        )


def read_refusal(status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
    """Read what a server says of its refusal, whatever form it has."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    error = content.get("error", content) if isinstance(content, dict) else None
    if isinstance(error, str):
        error = {"message": error}
    if not isinstance(error, dict):
        error = {}
    message = error.get("message") or error.get("detail") or ""
    return Refusal(
        status=status,
        code=str(error.get("code") or error.get("type") or ""),
        kind=str(error.get("type") or ""),
        param=str(error.get("param") or ""),
        # FastAPI's detail is a list of what it did not like.
        message=message if isinstance(message, str) else json.dumps(message),
        retry_after=_retry_after(headers),
    )


class Failures:
    """Writes the errors of one provider: names its ``host``, never its ``secret``."""

    def __init__(self, host: str, secret: str) -> None:
        self._host = host
        self._secret = secret

    def refused(self, refusal: Refusal) -> ProviderError:
        """Return the error for an answer that is no transcript."""
        status = refusal.status
        if refusal.is_about_credit:
            kind, advice = _REFUSALS[402]
        elif status in _REFUSALS:
            kind, advice = _REFUSALS[status]
        elif 400 <= status < 500:
            kind, advice = ProviderRejected, "check its options and what the session asked for"
        elif status >= 500:
            kind, advice = ProviderUnavailable, "it may work again soon"
        else:
            kind, advice = ProviderProtocol, "check its base_url"
        said = self._quote(refusal.message).rstrip(".")
        return kind(
            f"the transcription server {self._host} answered with status {status}"
            + (f" ({said})" if said else "")
            + f": {advice}.",
            provider_code=self._quote(refusal.code) or None,
            retry_after=refusal.retry_after,
        )

    def unreachable(self, why: str) -> ProviderError:
        """Return the error for a connection that could not be made or broke."""
        return ProviderUnavailable(
            f"the transcription server {self._host} cannot be reached: {self._quote(why)}; "
            "check base_url and network."
        )

    def slow(self, seconds: float) -> ProviderError:
        """Return the error for a request that took longer than ``seconds``."""
        return ProviderTimeout(
            f"the transcription server {self._host} took more than {seconds:g} s for a request."
        )

    def garbled(self) -> ProviderError:
        """Return the error for an answer that cannot be read."""
        return ProviderProtocol(
            f"the transcription server {self._host} sent an answer that cannot be read; "
            "check that base_url is that of a transcription API."
        )

    def _quote(self, text: str) -> str:
        """Return a stranger's text fit for our sentences and logs."""
        if self._secret:
            text = text.replace(self._secret, "***")
        text = _KEY.sub("***", text)
        return "".join(c if c.isprintable() else " " for c in text)[:_QUOTE_MAX_CHARS].strip()


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Read when to come again: OpenAI's ``retry-after-ms``, else ``Retry-After`` (RFC 9110, 10.2.3)."""
    precise = _number(headers.get("retry-after-ms"))
    told = headers.get("Retry-After")
    seconds = _number(told) if precise is None else precise / 1000
    if seconds is None and told is not None:
        try:
            seconds = parsedate_to_datetime(told).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return None if seconds is None else min(max(seconds, 0.0), _RETRY_AFTER_MAX)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return None if math.isnan(number) else number
