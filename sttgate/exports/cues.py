"""Subtitles: who says what, in one or two lines that are on the screen long enough to be read.

The rules are those that broadcasters share (among them Netflix's Timed Text Style Guide and the
BBC's Subtitle Guidelines): at most two lines of 42 columns, shown for one to seven seconds, at most
20 columns a second where the speech leaves time for it, two frames between one and the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from sttgate.exports.breaks import (
    COLUMNS,
    LONGEST,
    PAUSE,
    break_costs,
    layout,
    room_beside,
    split,
)
from sttgate.exports.characters import clusters, width
from sttgate.exports.turns import Piece, Turn

# Milliseconds, as everything below that is shown.
GAP = 80  # two frames at 25 a second: the eye sees that there is something new
SHORTEST = 300  # nothing flashes by, even if the next one comes late for it
_READABLE = 1000
_COLUMN = 50
_CLOSE = 500  # a gap shorter than this is a flicker
_LONGEST = round(LONGEST * 1000)
_LONG_WORD = 10_000  # clusters; no sentence is as long, and to weigh each place in it takes minutes
_LUMP = COLUMNS // 2  # clusters, none of which takes more than two columns

Voice = tuple[int, str]
"""A speaker on a channel: one thing at a time is said by it."""


@dataclass(frozen=True, slots=True)
class Cue:
    """What is shown from ``start`` to ``end``, in milliseconds; ``lines`` are plain text."""

    start: int
    end: int
    channel: int
    speaker: str
    lines: tuple[str, ...]


@dataclass(slots=True)
class _Run:
    """What a voice says without a long pause, with what a break after each piece costs."""

    voice: Voice
    pieces: list[Piece] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)


def cues(said: Iterable[Turn], *, named: bool) -> list[Cue]:
    """Return the subtitles of ``said``, sorted by their start.

    Those of one speaker on one channel do not overlap; those of two people who speak at once do.
    ``named`` puts the name of the speaker before the text.
    """
    shown = [cue for run in _runs(said) for cue in _cues_of(run, named)]
    return _timed(sorted(shown, key=lambda cue: cue.start))


def stamp(milliseconds: int, mark: str) -> str:
    """Return a time as ``HH:MM:SS``, ``mark``, ``mmm``."""
    seconds, milliseconds = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{mark}{milliseconds:03}"


def _runs(said: Iterable[Turn]) -> Iterator[_Run]:
    """Yield what each voice says in one go: turns that follow each other closely are one."""
    current: dict[Voice, _Run] = {}
    for turn in said:
        voice = (turn.channel, turn.speaker)
        run = current.get(voice)
        for part in _in_one_go(turn.pieces):
            if run is None or not 0 <= part[0].start - run.pieces[-1].end < PAUSE:
                if run is not None:
                    yield run
                run = current[voice] = _Run(voice)
            run.pieces += part
            run.costs += break_costs(part)
    yield from current.values()


def _in_one_go(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """Yield the pieces between long pauses; none is wider than a line, none before the one before."""
    part: list[Piece] = []
    for piece in pieces:
        start = max(0.0, piece.start, part[-1].start if part else 0.0)
        if part and start - part[-1].end >= PAUSE:
            yield part
            part = []
        part += _narrow(replace(piece, start=start, end=max(start, piece.end)))
    if part:
        yield part


def _narrow(piece: Piece) -> list[Piece]:
    """Cut a piece that is wider than a line, as a sentence in Chinese is that came as one word."""
    if width(piece.text) <= COLUMNS:
        return [piece] if piece.text else []
    parts = list(clusters(piece.text))
    if len(parts) > _LONG_WORD:
        parts = ["".join(parts[n : n + _LUMP]) for n in range(0, len(parts), _LUMP)]
    step = (piece.end - piece.start) / len(parts)
    return [
        replace(
            piece,
            text=part,
            start=piece.start + n * step,
            end=piece.start + (n + 1) * step,
            spaced=piece.spaced and n == 0,
        )
        for n, part in enumerate(parts)
    ]


def _cues_of(run: _Run, named: bool) -> Iterator[Cue]:
    """Yield the cues of a run with the times at which they are said."""
    channel, speaker = run.voice
    name = f"{speaker}: " if named else ""
    for first, stop in split(run.pieces, run.costs, room_beside(name)):
        pieces = run.pieces[first:stop]
        lines = layout(pieces, run.costs[first:stop], name)
        start, end = round(pieces[0].start * 1000), round(pieces[-1].end * 1000)
        yield Cue(start, end, channel, speaker, lines)


def _timed(said: Sequence[Cue]) -> list[Cue]:
    """Return the cues with the times at which they are shown.

    They stay until they can be read, and at most until the next one of their voice. For that of
    another voice on the channel they make room once they were readable.
    """
    timed = []
    free: dict[Voice, int] = {}  # from when the voice may show something
    for cue, (own, other) in zip(said, _following(said), strict=True):
        voice = (cue.channel, cue.speaker)
        start = max(cue.start, free.get(voice, 0))
        columns = sum(map(width, cue.lines))
        end = max(cue.end, start + max(_READABLE, columns * _COLUMN))
        if other is not None:
            end = min(end, max(other - GAP, cue.end, start + _READABLE))
        if own is not None and own - end < _CLOSE:
            end = own - GAP
        end = max(min(end, start + _LONGEST), start + SHORTEST)
        free[voice] = end + GAP
        timed.append(replace(cue, start=start, end=end))
    return sorted(timed, key=lambda cue: cue.start)


def _following(said: Sequence[Cue]) -> list[tuple[int | None, int | None]]:
    """Return when the next cue of the same voice starts, and the next of another on the channel."""
    following: list[tuple[int | None, int | None]] = []
    latest: dict[int, dict[str, int]] = {}
    for cue in reversed(said):
        starts = latest.setdefault(cue.channel, {})
        others = [start for speaker, start in starts.items() if speaker != cue.speaker]
        following.append((starts.get(cue.speaker), min(others, default=None)))
        starts[cue.speaker] = cue.start
    return following[::-1]
