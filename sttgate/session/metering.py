"""What a session costs: how much audio each provider was given, and how long it was held open."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping


class Meter:
    """Adds up the streams of a session, by provider. All figures are seconds.

    ``sent_s`` is audio a provider read, ``replayed_s`` what of it an earlier stream had read already,
    ``open_s`` how long streams were open: some vendors bill the one, some the other.
    """

    def __init__(self) -> None:
        self._sums: dict[str, float] = defaultdict(float)

    def add_stream(self, provider: str, *, sent_s: float, replayed_s: float, open_s: float) -> None:
        """Count a stream that is over."""
        self._sums[f"{provider}.sent_s"] += sent_s
        self._sums[f"{provider}.replayed_s"] += replayed_s
        self._sums[f"{provider}.open_s"] += open_s

    def counters(self) -> Mapping[str, float]:
        """Return the sums, such as ``deepgram.sent_s``, to the millisecond; no zeros."""
        rounded = {name: round(value, 3) for name, value in self._sums.items()}
        return {name: value for name, value in rounded.items() if value}
