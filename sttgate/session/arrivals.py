"""When which audio came in, coarsely: what latencies are counted from."""

from __future__ import annotations

import time
from array import array
from bisect import bisect_right
from collections.abc import Callable

_STEP = 0.25  # seconds of audio between two notes
_MOST = 256  # notes; of a longer tail that nobody settles the latencies are not known
_KEPT = 10.0  # seconds of settled audio: another channel may be that far behind


class Arrivals:
    """Notes on the monotonic clock for positions in an audio log of ``bytes_per_second``.

    Between two notes audio is taken to have come in real time, and no later than the second.
    """

    __slots__ = ("_clock", "_positions", "_rate", "_times", "due")

    def __init__(
        self, bytes_per_second: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.due = 0  # note the time once the log is at least this long: all it costs per append
        self._rate = bytes_per_second
        self._clock = clock
        # Arrays, since there is one of these per session: a note takes 16 bytes.
        self._positions = array("q")
        self._times = array("d")

    def note(self, before: int, size: int) -> None:
        """Say that the log has just grown from ``before`` to ``size`` bytes."""
        now = self._clock()
        if not self._positions:
            self._positions.append(before)
            self._times.append(now)
        self._positions.append(size)
        self._times.append(now)
        if len(self) > _MOST:
            self._forget(len(self) - _MOST)
        self.due = size + int(_STEP * self._rate)

    def __len__(self) -> int:
        return len(self._positions)

    def at(self, position: int) -> float | None:
        """Return when the audio up to ``position`` was there; None if that is not known any more."""
        latest = self._clock()
        for noted, when in zip(reversed(self._positions), reversed(self._times), strict=True):
            if noted <= position:
                return min(when + (position - noted) / self._rate, latest)
            latest = when
        return None

    def settle(self, position: int) -> None:
        """Say that the audio before ``position`` is final, so that soon nobody will ask for it."""
        position -= int(_KEPT * self._rate)
        old = bisect_right(self._positions, position) - 1
        if old > 0:
            self._forget(old)

    def _forget(self, count: int) -> None:
        del self._positions[:count]
        del self._times[:count]
