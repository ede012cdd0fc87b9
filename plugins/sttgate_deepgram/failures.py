"""How Deepgram refuses, breaks off and falls silent, and which typed error each becomes.

Decided by structured codes only: the HTTP status and ``err_code`` of a refused upgrade, the close
code and the ``NET-`` or ``DATA-`` code in a close reason (Deepgram's "errors" and "WebSocket close
codes" pages).
"""

from __future__ import annotations

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

NO_CLOSE_FRAME = 1006
NORMAL_CLOSURE = 1000
_QUOTE_MAX_CHARS = 200
_RETRY_AFTER_MAX = 3_600.0

_REFUSALS: dict[int, tuple[type[ProviderError], str]] = {
    401: (ProviderAuth, "check its API key"),
    # Deepgram's ASR_PAYMENT_REQUIRED: no stream will work until somebody pays, so not a quota.
    402: (ProviderAuth, "the project has no credit left"),
    403: (ProviderAuth, "the API key may not use this model or feature"),
    404: (ProviderRejected, "check its base_url"),
    408: (ProviderTimeout, "it may work again soon"),
    429: (ProviderQuota, "the project has too many streams at once"),
    499: (ProviderTimeout, "it may work again soon"),
    504: (ProviderTimeout, "it may work again soon"),
}
_PEER_BLAMES_US = {1002, 1003, 1007, 1008, 1009, 1010}


@dataclass(eq=False)
class Refused(Exception):
    """The upgrade was answered with another status than 101; texts are the server's."""

    status: int
    code: str | None
    text: str
    request_id: str | None
    retry_after: str | None


class Closed(Exception):
    """The connection is over: the server's close code and reason, 1006 when it sent none."""

    def __init__(self, code: int = NO_CLOSE_FRAME, reason: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.reason = reason


class Silent(Closed):
    """The server answered no ping."""


class Garbled(Closed):
    """The server sent frames that are not allowed or too large."""


class Failures:
    """Writes the errors of one provider: names its ``host``, never its ``secret``."""

    def __init__(self, host: str, secret: str) -> None:
        self._host = host
        self._secret = secret

    def refused(self, refusal: Refused) -> ProviderError:
        """Return the error for a refused upgrade."""
        status = refusal.status
        if status in _REFUSALS:
            kind, advice = _REFUSALS[status]
        elif 400 <= status < 500:
            kind, advice = ProviderRejected, "check its options and what the session asked for"
        elif status >= 500:
            kind, advice = ProviderUnavailable, "it may work again soon"
        else:
            kind, advice = ProviderProtocol, "check its base_url"
        said = self._quote(refusal.text)
        request = self._quote(refusal.request_id or "")
        return kind(
            f"Deepgram at {self._host} refused the stream with status {status}"
            + (f" ({said})" if said else "")
            + f": {advice}"
            + (f" (request {request})." if request else "."),
            provider_code=self._quote(refusal.code or refusal.text) or None,
            retry_after=_seconds(refusal.retry_after),
        )

    def closed(self, closed: Closed, complaint: str | None = None) -> ProviderError:
        """Return the error for a connection that ended too early; ``complaint`` is its last Error."""
        if isinstance(closed, Silent):
            return ProviderTimeout(f"Deepgram at {self._host} stopped answering; it may come back.")
        if isinstance(closed, Garbled):
            return self.garbled()
        how = "broke off the connection"
        if closed.code != NO_CLOSE_FRAME:
            said = self._quote(closed.reason).rstrip(".")
            how = f"ended the stream too early with close code {closed.code}"
            how += f" ({said})" if said else ""
        code = _vendor_code(closed.reason) or (complaint and self._quote(complaint))
        if code is None and closed.code != NO_CLOSE_FRAME:
            code = str(closed.code)
        kind: type[ProviderError] = ProviderUnavailable
        if closed.code in _PEER_BLAMES_US or (code and code.startswith("DATA-")):
            kind = ProviderRejected
        elif code and code.startswith("NET-"):
            kind = ProviderTimeout
        return kind(f"Deepgram at {self._host} {how}.", provider_code=code)

    def unreachable(self, why: str) -> ProviderError:
        """Return the error for a connection that could not be made."""
        return ProviderUnavailable(
            f"Deepgram at {self._host} cannot be reached: {self._quote(why)}; check base_url and network."
        )

    def slow(self, to: str, seconds: float) -> ProviderError:
        """Return the error for something that took longer than ``seconds``."""
        return ProviderTimeout(f"Deepgram at {self._host} took more than {seconds:g} s to {to}.")

    def garbled(self) -> ProviderError:
        """Return the error for messages that cannot be read."""
        return ProviderProtocol(
            f"Deepgram at {self._host} sent messages that cannot be read; check that base_url is Deepgram."
        )

    def _quote(self, text: str) -> str:
        """Return a stranger's text fit for our sentences and logs."""
        if self._secret:
            text = text.replace(self._secret, "***")
        return "".join(c if c.isprintable() else " " for c in text)[:_QUOTE_MAX_CHARS].strip()


def _vendor_code(reason: str) -> str | None:
    """Find a code such as ``NET-0001`` in a reason that may only link to .../net0001."""
    found = re.search(r"\b(NET|DATA)-?(\d{4})\b", reason, re.IGNORECASE)
    return f"{found[1].upper()}-{found[2]}" if found else None


def _seconds(retry_after: str | None) -> float | None:
    """Read a Retry-After header: seconds or an HTTP date (RFC 9110, 10.2.3)."""
    if retry_after is None:
        return None
    if retry_after.strip().isdecimal():
        seconds = float(retry_after)
    else:
        try:
            seconds = parsedate_to_datetime(retry_after).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, 0.0), _RETRY_AFTER_MAX)
