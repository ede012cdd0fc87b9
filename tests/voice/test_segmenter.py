"""The segmenter: probabilities in, decisions out; no audio, no model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sttgate.voice.segmenter import (
    FRAME,
    Began,
    Closed,
    Decision,
    Guess,
    Rules,
    Segmenter,
    Speech,
    samples,
)
from tests.voice.rules import RULES

VOICE, FAINT, SILENCE = 0.9, 0.4, 0.05


@dataclass
class Scene:
    """Plays levels to a segmenter and remembers what it decided."""

    rules: Rules = RULES
    decisions: list[Decision] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.segmenter = Segmenter(self.rules)

    def play(self, level: float, seconds: float) -> list[Decision]:
        """Play one level for a while and return what was decided meanwhile."""
        return self.push([level] * round(samples(seconds) / FRAME))

    def push(self, levels: Iterable[float]) -> list[Decision]:
        fresh = [decision for level in levels for decision in self.segmenter.push(level)]
        self.decisions += fresh
        return fresh

    def settle(self, extra: int = 0) -> list[Decision]:
        return self.segmenter.settle(self.segmenter.position + extra)


def closed(decisions: list[Decision]) -> list[Closed]:
    return [decision for decision in decisions if isinstance(decision, Closed)]


def seconds(position: int) -> float:
    return position / 16_000


def test_speech_begins_with_a_few_voiced_frames_and_keeps_its_soft_onset() -> None:
    """A segment reaches back before the first voiced frame, where the onset was too soft to judge."""
    scene = Scene()
    assert scene.play(SILENCE, 2) == []
    onset = scene.segmenter.position
    assert scene.push([VOICE, VOICE]) == []
    assert scene.push([VOICE]) == [Began(onset)]
    speech = scene.segmenter.speech
    assert speech is not None
    assert speech.start == onset - scene.rules.preroll
    assert speech.voiced == ((onset, onset + 3 * FRAME),)


def test_a_click_is_no_speech() -> None:
    """A voiced frame or two, however often, begin nothing."""
    scene = Scene()
    assert scene.push([VOICE, VOICE, SILENCE] * 20) == []
    assert scene.segmenter.speech is None


def test_an_endpoint_closes_the_utterance_with_the_guess_made_early_in_the_pause() -> None:
    """What is decoded at the endpoint is what was guessed before it, so that the final is quick."""
    scene = Scene()
    scene.play(VOICE, 2)
    voice_end = scene.segmenter.position
    (guess,) = scene.play(SILENCE, 0.3)
    assert isinstance(guess, Guess)
    assert guess.speech.end - voice_end == pytest.approx(samples(0.2), abs=FRAME)
    (final,) = closed(scene.play(SILENCE, 0.3))
    assert final.endpoint
    assert final.speech is guess.speech
    assert voice_end < final.end < voice_end + samples(0.5)


def test_a_voice_that_comes_back_withdraws_the_guess() -> None:
    """A hesitation within the endpoint leaves one segment, guessed again in the next pause."""
    scene = Scene()
    scene.play(VOICE, 1)
    (first,) = scene.play(SILENCE, 0.3)
    assert scene.segmenter.guess is not None
    scene.play(VOICE, 1)
    assert scene.segmenter.guess is None
    second, final = scene.play(SILENCE, 0.6)
    assert isinstance(final, Closed)
    assert isinstance(second, Guess)
    assert final.speech is second.speech is not first
    assert len(second.speech.voiced) == 2


def test_faint_frames_hold_speech_but_do_not_begin_it() -> None:
    """The level that continues speech is lower than the one that begins it."""
    scene = Scene()
    assert scene.play(FAINT, 2) == []
    scene.play(VOICE, 0.5)
    assert closed(scene.play(FAINT, 2)) == []
    assert scene.segmenter.speech is not None


def test_a_long_segment_is_closed_as_a_part_at_a_micro_pause() -> None:
    """Long speech is settled at short pauses; the endpoint that follows has nothing left to say."""
    scene = Scene()
    scene.play(VOICE, 5)
    decisions = closed(scene.play(SILENCE, 0.4))
    assert [decision.endpoint for decision in decisions] == [False]
    assert decisions[0].speech is not None
    (end,) = closed(scene.play(SILENCE, 0.3))
    assert end.endpoint
    assert end.speech is None
    assert end.start == decisions[0].end


def test_a_part_goes_on_without_a_new_beginning() -> None:
    """Speech after a part belongs to the same utterance: no second notice, no lost onset."""
    scene = Scene()
    scene.play(VOICE, 5)
    (part,) = closed(scene.play(SILENCE, 0.35))
    assert scene.play(VOICE, 1) == []
    speech = scene.segmenter.speech
    assert speech is not None
    assert speech.start == part.end


def test_the_longer_the_speech_the_shorter_the_pause_that_cuts_it() -> None:
    """A pause of 0.2 s is nothing after five seconds and enough after thirteen."""
    for length, parts in ((5, 0), (13, 1)):
        scene = Scene()
        scene.play(VOICE, length)
        scene.play(SILENCE, 0.2)
        scene.play(VOICE, 0.5)
        assert len(closed(scene.decisions)) == parts


def test_speech_without_a_pause_is_cut_where_the_voice_is_weakest() -> None:
    """A segment never exceeds its limit, and the rest of it goes on from the cut."""
    scene = Scene()
    scene.play(VOICE, 16)
    dip = scene.segmenter.position
    scene.push([0.5, 0.4, 0.36, 0.4, 0.5])
    (cut,) = closed(scene.play(VOICE, 2.5))
    assert cut.end == pytest.approx(dip + 2 * FRAME, abs=FRAME)
    assert not cut.endpoint
    assert cut.speech == Speech(cut.start, cut.end, ((0, cut.end),))
    assert scene.segmenter.speech is not None
    assert scene.segmenter.speech.start == cut.end
    assert scene.segmenter.speech.voiced == ((cut.end, scene.segmenter.position),)


def test_endless_speech_is_cut_again_and_again() -> None:
    """Every cut leaves a segment that is cut in turn."""
    scene = Scene()
    cuts = closed(scene.play(VOICE, 120))
    assert len(cuts) >= 6
    assert all(cut.end - cut.start <= scene.rules.longest for cut in cuts)
    assert all(after.start == before.end for before, after in pairwise(cuts))


def test_silence_is_settled_in_pieces_that_leave_room_for_a_word() -> None:
    """In long silence the settled cursor advances, but never over the last second."""
    scene = Scene()
    pieces = closed(scene.play(SILENCE, 23))
    assert len(pieces) == 4
    assert all(piece.speech is None and not piece.endpoint for piece in pieces)
    assert seconds(scene.segmenter.settled) <= 23 - 1
    assert seconds(scene.segmenter.settled) >= 23 - 1 - 5 - 0.1


def test_without_endpoints_pauses_close_parts_only() -> None:
    """With endpointing off the utterance stays open through any silence."""
    scene = Scene(replace(RULES, endpoint=None))
    for _ in range(3):
        scene.play(VOICE, 1)
        scene.play(SILENCE, 12)
    finals = closed(scene.decisions)
    assert not any(final.endpoint for final in finals)
    assert sum(final.speech is not None for final in finals) == 3
    assert [final.endpoint for final in closed(scene.settle())] == [True]


def test_a_late_endpoint_follows_its_part() -> None:
    """With a long endpoint the words do not wait for it."""
    scene = Scene(replace(RULES, endpoint=samples(3)))
    scene.play(VOICE, 1)
    (part,) = closed(scene.play(SILENCE, 1))
    assert part.speech is not None
    assert not part.endpoint
    (end,) = closed(scene.play(SILENCE, 3))
    assert end.endpoint


def test_speech_after_a_long_pause_is_news_even_within_an_utterance() -> None:
    """A late endpoint does not hide that somebody began to speak again."""
    scene = Scene(replace(RULES, endpoint=None))
    scene.play(VOICE, 1)
    scene.play(SILENCE, 2)
    assert any(isinstance(decision, Began) for decision in scene.play(VOICE, 1))


def test_settling_in_speech_covers_the_last_sample() -> None:
    """Finalize settles everything that came, even the samples of an incomplete frame."""
    scene = Scene()
    scene.play(VOICE, 1)
    (final,) = closed(scene.settle(extra=300))
    assert final.end == scene.segmenter.position + 300
    assert final.endpoint
    assert final.speech is not None
    assert final.speech.end == final.end
    scene.play(VOICE, 1)
    assert scene.segmenter.speech is not None
    assert scene.segmenter.speech.start == final.end


def test_settling_in_silence_settles_it_once() -> None:
    """A second finalize without new audio has nothing to say."""
    scene = Scene()
    scene.play(SILENCE, 1)
    (final,) = closed(scene.settle())
    assert (final.start, final.end, final.endpoint) == (0, scene.segmenter.position, False)
    assert scene.settle() == []


def test_settling_nothing_says_nothing() -> None:
    """Without audio there is nothing to settle."""
    assert Segmenter(RULES).settle(0) == []


def test_settling_in_a_pause_uses_the_guess() -> None:
    """Finalize early in a pause costs no second decode."""
    scene = Scene()
    scene.play(VOICE, 1)
    (guess,) = scene.play(SILENCE, 0.3)
    assert isinstance(guess, Guess)
    (final,) = closed(scene.settle())
    assert final.speech is guess.speech


@pytest.mark.parametrize("endpoint", [None, samples(0.5)])
def test_a_microphone_that_stops_is_a_pause(endpoint: int | None) -> None:
    """Audio that no longer comes closes the utterance, unless pauses never do."""
    scene = Scene(replace(RULES, endpoint=endpoint))
    scene.play(VOICE, 1)
    (final,) = closed(scene.segmenter.idle(scene.segmenter.position))
    assert final.end == scene.segmenter.position
    assert final.speech is not None
    assert final.endpoint is (endpoint is not None)
    assert scene.segmenter.idle(scene.segmenter.position) == []


LEVELS = st.lists(
    st.tuples(st.sampled_from([VOICE, FAINT, SILENCE, 0.6]), st.integers(1, 700)), max_size=12
)


@given(
    runs=LEVELS,
    endpoint=st.sampled_from([None, samples(0.1), samples(0.5), samples(4)]),
    finalize=st.sets(st.integers(0, 4000), max_size=4),
)
def test_whatever_comes_segments_are_ordered_bounded_and_complete(
    runs: list[tuple[float, int]], endpoint: int | None, finalize: set[int]
) -> None:
    """Finals never overlap or overrun, ask only for audio still kept, and cover all of it in the end."""
    rules = replace(RULES, endpoint=endpoint)
    segmenter = Segmenter(rules)
    settled = needed = 0
    levels = [level for level, count in runs for _ in range(count)]
    for index in range(len(levels) + 1):
        last = index == len(levels)
        end = segmenter.position + (200 if index in finalize else 0)
        decisions = segmenter.settle(end) if last or index in finalize else []
        decisions += [] if last else segmenter.push(levels[index])
        for decision in decisions:
            if isinstance(decision, Closed):
                assert settled <= decision.start <= decision.end
                assert decision.end <= max(end, segmenter.position)
                assert decision.end - decision.start <= rules.longest + 2 * FRAME
                settled = decision.end
            if isinstance(decision, Closed | Guess) and (speech := decision.speech) is not None:
                assert needed <= speech.start < speech.end <= max(end, segmenter.position)
                assert speech.voiced
                spans = [position for span in speech.voiced for position in span]
                assert spans == sorted(spans)
                assert speech.start <= spans[0]
                assert spans[-1] <= speech.end
        assert segmenter.needed >= needed
        needed = segmenter.needed
        assert (
            segmenter.position - segmenter.settled
            <= rules.longest + rules.settle_every + samples(2)
        )
    assert settled == end
