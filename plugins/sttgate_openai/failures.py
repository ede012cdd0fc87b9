"""How a server refuses, and which typed error each refusal becomes.

Decided by the HTTP status; ``error.code``, ``error.param`` and ``error.message`` of the body are
those of OpenAI's "Error codes" page, and other servers may send none of them.
"""

from __future__ import annotations

import json
import re
import time
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
_KEY = re.compile(r"\b(?:sk|gsk|pk|key|Bearer)[-_ ][^\s'\",;]+")
"""What looks like a key: OpenAI repeats part of a wrong one in its message."""

_REFUSALS: dict[int, tuple[type[ProviderError], str]] = {
    401: (ProviderAuth, "check its API key"),
    402: (ProviderAuth, "the account has no credit left"),
    403: (ProviderAuth, "the API key may not use this model"),
    404: (ProviderRejected, "check base_url and model"),
    408: (ProviderTimeout, "it may work again soon"),
    413: (ProviderRejected, "make max_utterance smaller"),
    429: (ProviderQuota, "too many requests, or no credit left"),
    504: (ProviderTimeout, "it may work again soon"),
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is no transcript; the texts are the server's, empty when it sent none."""

    status: int
    code: str
    param: str
    message: str
    retry_after: str | None

    @property
    def is_about_format(self) -> bool:
        """Whether the server understood everything but the form of the answer it was asked for."""
        said = f"{self.param} {self.message}"
        return self.status in (400, 422) and any(
            word in said for word in ("response_format", "verbose_json", "timestamp_granularities")
        )


def read_refusal(status: int, retry_after: str | None, body: bytes) -> Refusal:
    """Read what a server says of its refusal, whatever form it has."""
    try:
        content = json.loads(body)
    except ValueError:
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
        param=str(error.get("param") or ""),
        # FastAPI's detail is a list of what it did not like.
        message=message if isinstance(message, str) else json.dumps(message),
        retry_after=retry_after,
    )


class Failures:
    """Writes the errors of one provider: names its ``host``, never its ``secret``."""

    def __init__(self, host: str, secret: str) -> None:
        self._host = host
        self._secret = secret

    def refused(self, refusal: Refusal) -> ProviderError:
        """Return the error for an answer that is no transcript."""
        status = refusal.status
        if status in _REFUSALS:
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
            retry_after=_seconds(refusal.retry_after),
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


def _seconds(retry_after: str | None) -> float | None:
    """Read a Retry-After header: seconds or an HTTP date (RFC 9110, 10.2.3)."""
    if retry_after is None:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(retry_after).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, 0.0), _RETRY_AFTER_MAX) if seconds == seconds else None
