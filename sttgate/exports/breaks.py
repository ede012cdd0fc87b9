"""Where the words of a subtitle begin and end, and where its lines break.

Of all ways to cut what is said into subtitles, take the one that costs least: a break within a
phrase costs more than one at a comma, a subtitle that flashes by or stays too long costs too.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from math import inf

from sttgate.exports.characters import width
from sttgate.exports.turns import Piece, join

COLUMNS = 42  # of a line; two lines at most, as most broadcasters have it
LONGEST = 7.0  # seconds, as said; and as shown, see cues.py
PAUSE = 0.8  # seconds of silence that end a subtitle

_SENTENCE, _CLAUSE, _BREATH, _PHRASE = 0.0, 1.0, 1.0, 2.5  # what a break there costs
_BOUND = 3.2  # after a short word, often an article or a preposition: it belongs to the next
_CUE = 0.3  # what each subtitle costs: sentences stay together as long as little speaks against it
_COMFORT = (1.5, 5.0)  # seconds; costs 2 for each second below, 0.5 for each above
# ruff finds some of these look like others: they are meant
_PERIODS = frozenset(".!?…‥。！？．｡؟۔।॥")  # noqa: RUF001
_COMMAS = frozenset(",;:،؛、，；：､–—")  # noqa: RUF001
_CLOSING = "\"'”’»›)]}」』）】》"  # noqa: RUF001


def break_costs(pieces: Sequence[Piece]) -> list[float]:
    """Return what a break after each of the pieces costs; nothing after the last."""
    return [*(_cost(piece, after) for piece, after in pairwise(pieces)), _SENTENCE]


def room_beside(name: str) -> int:
    """Return how many columns of text fit on a line after ``name``.

    A name that takes more than half a line makes its line longer rather than its text short.
    """
    taken = width(name)
    return COLUMNS - taken if taken <= COLUMNS // 2 else COLUMNS


def split(
    pieces: Sequence[Piece], costs: Sequence[float], room: int = COLUMNS
) -> Iterator[tuple[int, int]]:
    """Yield from where to where the pieces of each subtitle go.

    ``room`` columns are free on the first line. No piece may be wider than a line.
    """
    count = len(pieces)
    ends = [piece.end for piece in pieces]
    starts = [piece.start for piece in pieces]
    starts.append(ends[-1] + PAUSE)
    sums = _sums(pieces)
    one, two = _reach(pieces, sums, room), _reach(pieces, sums, COLUMNS)
    low, high = _COMFORT
    best, came = [0.0, *[inf] * count], [0] * (count + 1)
    for first in range(count):
        start, so_far = starts[first], best[first] + _CUE
        for last in range(first, two[one[first]]):
            length, shown = ends[last] - start, starts[last + 1] - start
            if length > LONGEST and last > first:
                break
            cost = so_far + costs[last]
            if shown < low:
                cost += 2.0 * (low - shown)
            if length > high:
                cost += 0.5 * (length - high)
            if cost < best[last + 1]:
                best[last + 1], came[last + 1] = cost, first
    stops = [count]
    while stops[-1]:
        stops.append(came[stops[-1]])
    return pairwise(reversed(stops))


def layout(pieces: Sequence[Piece], costs: Sequence[float], name: str = "") -> tuple[str, ...]:
    """Return the one or two lines of a subtitle that ``split`` has found, after ``name``."""
    sums, room = _sums(pieces), room_beside(name)
    total = _width(pieces, sums, 0, len(pieces))
    if total <= room:
        return (name + join(pieces),)

    def ugliness(at: int) -> float:
        upper = _width(pieces, sums, 0, at) if at else 0
        lower = _width(pieces, sums, at, len(pieces))
        if upper > room or lower > COLUMNS:
            return inf
        cost = costs[at - 1] if at else _PHRASE
        # The lower line is the longer one where nothing else counts: it covers less of the picture.
        return abs(COLUMNS - room + upper - lower + 2) / COLUMNS + 0.2 * cost

    at = min(range(0 if name else 1, len(pieces)), key=ugliness)
    upper = name + join(pieces[:at])
    return (upper.rstrip(), join(pieces[at:]))


def _cost(piece: Piece, after: Piece) -> float:
    end = (piece.text.rstrip(_CLOSING) or piece.text)[-1]
    if end in _PERIODS and not after.text[0].islower():  # not: e.g. this
        return _SENTENCE
    if end in _COMMAS or end in _PERIODS:
        return _CLAUSE
    if after.start - piece.end >= PAUSE / 2:
        return _BREATH
    return _BOUND if len(piece.text) <= 3 else _PHRASE


def _sums(pieces: Sequence[Piece]) -> list[int]:
    """Return how many columns there are before each piece, and before the end."""
    return [0, *accumulate(piece.spaced + width(piece.text) for piece in pieces)]


def _width(pieces: Sequence[Piece], sums: Sequence[int], first: int, stop: int) -> int:
    return sums[stop] - sums[first] - pieces[first].spaced


def _reach(pieces: Sequence[Piece], sums: Sequence[int], room: int) -> list[int]:
    """Return for each piece where a line that begins with it stops; the end stops at itself."""
    return [
        *(
            bisect_right(sums, sums[first] + piece.spaced + room, first) - 1
            for first, piece in enumerate(pieces)
        ),
        len(pieces),
    ]
