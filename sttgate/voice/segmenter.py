"""Where speech begins, pauses and ends: a state machine over the voice activity of one stream.

It knows neither audio nor models nor clocks: probabilities go in frame by frame, decisions come
out. All positions are samples of the stream at 16 kHz, from 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field

SAMPLE_RATE = 16_000
FRAME = 512
"""Samples of one frame, the unit the voice activity detector judges: 32 ms."""

Span = tuple[int, int]


def samples(seconds: float) -> int:
    """Return how many samples ``seconds`` are."""
    return round(seconds * SAMPLE_RATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """When to call something speech and a pause. Lengths are samples, levels are probabilities."""

    endpoint: int | None
    """The pause that closes an utterance; None: no pause does."""
    part_pauses: tuple[tuple[int, int], ...]
    """Pairs, longest first: speech of this length is cut into parts at this pause. The longer it
    is, the more a decode costs, and the better the words do without what is to come."""
    longest: int
    """No segment is longer: it is cut where the voice is weakest."""
    cut_window: int
    """How far back from its limit a segment may be cut."""
    guess_pause: int = samples(0.2)
    """The pause after which it pays to decode on suspicion, so that the final is ready in time."""
    begin_level: float = 0.5
    """A frame above this level can begin speech."""
    hold_level: float = 0.35
    """A frame above this level continues speech."""
    begin_frames: int = 3
    """So many frames in a row begin speech; fewer are a click, or a syllable nobody can make out."""
    preroll: int = samples(0.4)
    """Audio before the first voiced frame that belongs to a segment: onsets are soft."""
    tail: int = samples(0.25)
    """Audio after the last voiced frame that belongs to a segment: endings fade."""
    settle_every: int = samples(5.0)
    """Settle silence in pieces of this length."""
    settle_margin: int = samples(1.0)
    """The latest silence, never settled: a word may be on its way in."""

    def part_pause(self, length: int) -> int:
        """Return the pause that closes a part of ``length``."""
        return next(pause for least, pause in self.part_pauses if length >= least)


@dataclass(frozen=True, slots=True)
class Speech:
    """Audio from ``start`` to ``end`` to be recognised; ``voiced`` are the spans with a voice in them."""

    start: int
    end: int
    voiced: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Began:
    """Speech began at ``at``, after a pause that is worth a notice."""

    at: int


@dataclass(frozen=True, slots=True)
class Guess:
    """The speaker may have finished: decoding ``speech`` now makes the final quick."""

    speech: Speech


@dataclass(frozen=True, slots=True)
class Closed:
    """``start`` to ``end`` is settled: a segment with ``speech``, or silence (None).

    When a guess has come true, ``speech`` is the object the guess carried.
    """

    start: int
    end: int
    endpoint: bool
    speech: Speech | None = None


Decision = Began | Guess | Closed


@dataclass(slots=True)
class _Segment:
    """Speech that is still going on."""

    start: int
    voiced: list[Span]
    levels: list[float] = field(default_factory=list)
    """One per frame, the last frame's at the end."""

    def hear(self, start: int, end: int) -> None:
        """Add a voiced frame."""
        if self.voiced and self.voiced[-1][1] == start:
            start = self.voiced.pop()[0]
        self.voiced.append((start, end))

    def until(self, end: int) -> Speech:
        """Return what there is before ``end``."""
        spans = ((a, min(b, end)) for a, b in self.voiced if a < end)
        return Speech(self.start, end, tuple(spans))

    def after(self, start: int) -> list[Span]:
        """Return the voiced spans after ``start``."""
        return [(max(a, start), b) for a, b in self.voiced if b > start]


class Segmenter:
    """The segmentation of one stream.

    ``position`` is how far it has judged, ``settled`` the end of the last ``Closed``; ``guess`` is
    the standing guess, None once the voice is back.
    """

    def __init__(self, rules: Rules) -> None:
        self.position = 0
        self.settled = 0
        self.guess: Speech | None = None
        self._rules = rules
        self._segment: _Segment | None = None
        self._open = False  # an utterance has begun and met no endpoint yet
        self._voice_end = 0  # of the last voiced frame
        self._run = 0  # voiced frames in a row, while there is no segment

    @property
    def speech(self) -> Speech | None:
        """The speech going on right now, as far as it has come, or None."""
        return self._segment.until(self.position) if self._segment else None

    @property
    def needed(self) -> int:
        """Where the audio begins that a segment, present or to come, may still ask for."""
        if self._segment is not None:
            return self._segment.start
        onset = self.position - self._rules.begin_frames * FRAME
        return max(self.settled, onset - self._rules.preroll)

    def push(self, level: float) -> list[Decision]:
        """Judge the next frame by its voice probability."""
        self.position += FRAME
        if self._segment is None:
            return self._listen(level)
        return self._follow(self._segment, level)

    def settle(self, end: int, *, endpoint: bool = True) -> list[Decision]:
        """Close everything up to ``end``, the end of all audio so far (less than a frame ahead).

        ``endpoint`` says whether an utterance that is open ends with it.
        """
        if self._segment is not None:
            speech = self.guess or self._segment.until(end)
            return [self._close(end, endpoint=endpoint, speech=speech)]
        if end > self.settled:
            return [self._close(end, endpoint=endpoint and self._open)]
        return []

    def idle(self, end: int) -> list[Decision]:
        """Close everything up to ``end`` because no more audio comes for now: a pause of its own kind."""
        return self.settle(end, endpoint=self._rules.endpoint is not None)

    def _listen(self, level: float) -> list[Decision]:
        rules = self._rules
        self._run = self._run + 1 if level > rules.begin_level else 0
        if self._run >= rules.begin_frames:
            return self._begin()
        pause = self.position - self._voice_end
        if self._open and rules.endpoint is not None and pause >= rules.endpoint:
            return [self._close(self._pause_end(), endpoint=True)]
        if self.position - self.settled >= rules.settle_every + rules.settle_margin:
            return [self._close(self.position - rules.settle_margin, endpoint=False)]
        return []

    def _begin(self) -> list[Decision]:
        onset = max(self.settled, self.position - self._run * FRAME)
        news = not self._open or onset - self._voice_end >= self._rules.part_pause(0)
        self._segment = _Segment(
            start=max(self.settled, onset - self._rules.preroll), voiced=[(onset, self.position)]
        )
        self._open = True
        self._voice_end = self.position
        self._run = 0
        return [Began(onset)] if news else []

    def _follow(self, segment: _Segment, level: float) -> list[Decision]:
        rules = self._rules
        segment.levels.append(level)
        if level > rules.hold_level:
            segment.hear(self.position - FRAME, self.position)
            self._voice_end = self.position
            self.guess = None
        pause = self.position - self._voice_end
        decisions: list[Decision] = []
        if self.guess is None and pause >= rules.guess_pause:
            self.guess = segment.until(min(self.position, self._voice_end + rules.tail))
            decisions.append(Guess(self.guess))
        part_pause = rules.part_pause(self._voice_end - segment.start)
        if rules.endpoint is not None and pause >= rules.endpoint:
            decisions.append(self._close_in_pause(segment, endpoint=True))
        elif pause >= part_pause:
            decisions.append(self._close_in_pause(segment, endpoint=False))
        elif self.position - segment.start >= rules.longest:
            decisions.append(self._cut(segment))
        return decisions

    def _pause_end(self) -> int:
        """Return where in the present pause to separate what was said from what comes."""
        pause = self.position - self._voice_end
        return max(self.settled, self._voice_end + min(pause // 2, self._rules.tail))

    def _close_in_pause(self, segment: _Segment, *, endpoint: bool) -> Closed:
        end = self._pause_end()
        speech = self.guess or segment.until(min(self.position, self._voice_end + self._rules.tail))
        return self._close(end, endpoint=endpoint, speech=speech)

    def _close(self, end: int, *, endpoint: bool, speech: Speech | None = None) -> Closed:
        start = self._segment.start if self._segment else self.settled
        self.settled = end
        self.guess = self._segment = None
        self._open = self._open and not endpoint
        return Closed(start, end, endpoint, speech)

    def _cut(self, segment: _Segment) -> Closed:
        """Close a segment that has become too long, and go on with the rest of it."""
        back = _weakest(segment.levels[-self._rules.cut_window // FRAME :])
        end = self.position - back * FRAME
        rest = _Segment(end, segment.after(end), segment.levels[-back:])
        closed = self._close(end, endpoint=False, speech=segment.until(end))
        self._segment = rest if rest.voiced else None
        return closed


def _weakest(levels: list[float]) -> int:
    """Return how many frames before the end of ``levels`` the voice is weakest over five frames."""
    sums = [0.0]
    for level in levels:
        sums.append(sums[-1] + level)
    windows = [sums[i + 5] - sums[i] for i in range(len(levels) - 4)]
    return len(levels) - 2 - min(range(len(windows)), key=windows.__getitem__)
