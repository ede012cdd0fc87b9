"""Providers that fail, at every point of their lives; in virtual time."""

from __future__ import annotations

from pathlib import Path

import pytest

from sttgate.session.session import Session
from tests.faults.engines.parrot import Parrot
from tests.faults.promises import Report
from tests.faults.sessions import hear, parrot
from tests.faults.speech import check, check_times, count, finals, speech, spell, text
from tests.faults.virtual import run_virtually

POINTS = ("connect", "first", "middle", "before_final", "after_final", "finalize", "drain", "end")
KINDS = ("break", "quota", "raise", "cancel", "return", "mute", "deaf")
CASES = [
    (point, kind)
    for point in POINTS
    for kind in KINDS
    # Who ends in order and keeps the last words back is believed: that may have been silence.
    if (point, kind) != ("drain", "return")
]


@pytest.mark.promise("P1", "P2")
@pytest.mark.parametrize(("point", "kind"), CASES)
def test_every_word_comes_once_wherever_a_stream_fails(
    tmp_path: Path, measure: Report, point: str, kind: str
) -> None:
    """A stream that fails is replaced, and the words are those of an undisturbed run."""
    numbers = [*count(18), *[0] * 30, *count(19, 19)]
    provider = parrot(faults=[{"point": point, "kind": kind, "words": 7}])
    heard = run_virtually(hear(tmp_path, numbers, provider, finalize_after={13, 60}))
    check(heard.log, numbers)
    assert heard.recording == speech(numbers)
    assert len(provider.fell) == 1
    measure.total(
        "P1", f"{len(POINTS)} points of life, {len(KINDS)} kinds of failure: {{:.0f}} cases", 1
    )


@pytest.mark.promise("P1", "P2")
@pytest.mark.parametrize("cut_every", [3.0, 15.0, 60.0])
def test_ten_minutes_of_random_cuts_lose_nothing(
    tmp_path: Path, measure: Report, cut_every: float
) -> None:
    """Ten minutes in real time with random cuts and one connection in five refused."""
    numbers = count(6000)
    lags: list[float] = []
    for seed in range(2):
        provider = parrot(cut_every=cut_every, refuse=0.2, seed=seed)

        def look(session: Session, provider: Parrot = provider) -> None:
            settled = session.audio.format.seconds(session._recognitions[0].settled)
            lags.append(session.audio.seconds - settled)
            # At the end tries are few, so that a client need not wait for ever.
            provider.calm = session.audio.seconds > 560

        heard = run_virtually(hear(tmp_path / str(seed), numbers, provider, in_step=look, step=2))
        check(heard.log, numbers)
        assert heard.recording == speech(numbers)
        measure.total("P1", "random cuts: {:.0f} words all there", len(numbers))
        measure.total("P1", "in spite of {:.0f} drops", provider.streams - 1)
        measure.most("P2", "words off by {:.3f} s at most", check_times(finals(heard.log), numbers))
        measure.total("P2", "{:.0f} finals in order", len(finals(heard.log)))
    measure.most("P1", "backlog {:.0f} s at most", max(lags))


@pytest.mark.promise("P1")
def test_a_provider_that_comes_back_at_the_end_hears_the_rest(tmp_path: Path) -> None:
    """When every provider has failed, they are tried once more after the audio has ended."""
    numbers = count(450)
    provider = parrot(faults=[{"point": "middle", "kind": "break", "words": 42}])
    provider.outage = (4.0, 44.9)
    heard = run_virtually(hear(tmp_path, numbers, provider))
    check(heard.log, numbers)
    assert heard.of("error")


@pytest.mark.promise("P3")
def test_words_of_a_stream_that_was_replaced_are_dropped(tmp_path: Path, measure: Report) -> None:
    """A stream that ignores its cancellation talks on in vain."""
    numbers = count(400)
    stalls = [{"point": "middle", "kind": "deaf", "words": 42}]
    provider = parrot(faults=stalls, stubborn=True)
    heard = run_virtually(hear(tmp_path, numbers, provider))
    check(heard.log, numbers)
    assert provider.streams == 2
    assert provider.spoken_in_vain
    measure.say("P3", "a replaced stream that talks on is not heard")


@pytest.mark.promise("P3")
def test_finals_that_are_repeated_are_dropped(tmp_path: Path, measure: Report) -> None:
    """A provider that says each final twice is heard once, with and without drops."""
    numbers = count(1200)
    provider = parrot(repeats=True, cut_every=10.0)
    heard = run_virtually(hear(tmp_path, numbers, provider))
    check(heard.log, numbers)
    assert provider.streams > 3
    measure.say("P3", f"{len(finals(heard.log))} finals said twice, shown once")


@pytest.mark.promise("P4")
@pytest.mark.parametrize("speed", [1.25, 2.0])
def test_a_backlog_is_replayed_at_the_declared_speed(
    tmp_path: Path, measure: Report, speed: float
) -> None:
    """After an outage the provider never hears more than it can take, and the lag goes away."""
    numbers = count(2500)
    falls = {"point": "middle", "kind": "break", "words": 100}
    provider = parrot(faults=[falls], replay_speed=speed)
    provider.outage = (9.0, 35.0)
    heard = run_virtually(hear(tmp_path, numbers, provider))
    check(heard.log, numbers)
    begun = provider.begun[-1]
    replay = [(at - begun, read - 10.0) for at, read in provider.read if at >= begun]
    backlog = begun - 10.0
    # Nothing is read faster than declared, but for half a second at the start.
    burst = max(
        read2 - read1 - speed * (at2 - at1)
        for n, (at1, read1) in enumerate(replay)
        for at2, read2 in replay[n : n + 40]
    )
    cleared = next(at for at, read in replay if read >= at + backlog - 1.0)
    assert backlog > 15
    assert burst <= 0.7
    assert cleared <= 1.1 * backlog / (speed - 1)
    measure.say(
        "P4",
        f"declared {speed:g}: never more than {burst:.1f} s of audio ahead of that pace, "
        f"{backlog:.0f} s made up for in {cleared:.0f} s (virtual time)",
    )


@pytest.mark.promise("P5")
@pytest.mark.parametrize("kind", ["mute", "deaf"])
def test_a_provider_that_falls_silent_is_noticed(
    tmp_path: Path, measure: Report, kind: str
) -> None:
    """While audio comes, a stream without a sign of life is replaced."""
    numbers = count(600)
    provider = parrot(faults=[{"point": "middle", "kind": kind, "words": 42}])
    heard = run_virtually(hear(tmp_path, numbers, provider))
    check(heard.log, numbers)
    noticed = provider.begun[1] - provider.fell[0]
    assert noticed <= 13
    measure.most("P5", "mute or deaf: {:.1f} s at most (virtual time)", noticed)


@pytest.mark.promise("P7")
@pytest.mark.parametrize("kind", ["break", "auth", "reject", "raise", "return"])
def test_the_next_provider_goes_on_in_mid_word(tmp_path: Path, measure: Report, kind: str) -> None:
    """A provider that dies for good is replaced by the next one, within seconds."""
    numbers = count(300)
    dies = {"point": "middle", "kind": kind, "words": 42}
    refuses = {"point": "connect", "kind": kind}
    first = parrot(faults=[dies], always=refuses)
    second = parrot()
    heard = run_virtually(hear(tmp_path, numbers, first, second))
    check(heard.log, numbers)
    assert "failed_over" in [m["state"] for m in heard.of("provider")]
    gap = second.begun[0] - first.fell[0]
    assert gap <= 5
    measure.most("P7", "on the next provider after {:.1f} s at most (virtual time)", gap)


@pytest.mark.promise("P7")
def test_the_next_provider_helps_when_the_first_hangs(tmp_path: Path, measure: Report) -> None:
    """A provider that takes streams and says nothing is given up as well."""
    numbers = count(700)
    falls = {"point": "middle", "kind": "deaf", "words": 42}
    first = parrot(faults=[falls], always={"point": "first", "kind": "deaf"})
    second = parrot()
    heard = run_virtually(hear(tmp_path, numbers, first, second))
    check(heard.log, numbers)
    gap = second.begun[0] - first.fell[0]
    assert gap <= 30
    measure.say("P7", f"after {gap:.0f} s where it hangs without an error (virtual time)")


@pytest.mark.promise("P14")
def test_a_slow_provider_gets_everything_in_the_end(tmp_path: Path, measure: Report) -> None:
    """At half the speed of speech the lag grows, the memory does not, and no word is lost."""
    numbers = count(3000)
    tails: list[int] = []

    def note_tail(session: Session) -> None:
        tails.append(sum(len(piece) for piece in session.audio._tail))

    provider = parrot(speed=0.5)
    heard = run_virtually(hear(tmp_path, numbers, provider, in_step=note_tail))
    check(heard.log, numbers)
    assert heard.recording == speech(numbers)
    assert max(tails) <= 512 * 1024
    measure.say(
        "P14",
        f"half speed: {heard.took:.0f} s behind at the end, {max(tails) // 1024} KiB of audio in "
        "memory at most, every word (virtual time)",
    )


@pytest.mark.promise("P21")
def test_a_pause_without_audio_is_no_failure(tmp_path: Path, measure: Report) -> None:
    """A client that sends nothing for a minute in mid-utterance keeps its stream."""
    numbers = count(94)
    provider = parrot()
    heard = run_virtually(hear(tmp_path, numbers, provider, pause_after={33, 67}))
    check(heard.log, numbers)
    assert provider.streams == 1
    measure.say("P21", "two pauses of 60 s in mid-utterance: one stream (virtual time)")


@pytest.mark.promise("P22")
@pytest.mark.parametrize("kind", ["deaf", "mute"])
@pytest.mark.parametrize("point", ["middle", "drain", "end"])
def test_a_provider_that_never_ends_does_not_hold_up_stopped(
    tmp_path: Path, measure: Report, point: str, kind: str
) -> None:
    """The session ends by the clock; what was not heard is told as a gap, not lost in silence."""
    numbers = count(57)
    provider = parrot(always={"point": point, "kind": kind, "words": 42})
    heard = run_virtually(hear(tmp_path, numbers, provider))
    check(heard.log)
    assert heard.recording == speech(numbers)
    if point == "end":
        check(heard.log, numbers)
        assert heard.took <= 3
        measure.most("P22", "all said, but never closed: {:.0f} s (virtual time)", heard.took)
    else:
        told = numbers[: len(text(heard.log).split())]
        assert text(heard.log) == spell(told)
        gaps = [] if told == numbers else [(len(told) / 10, 5.7)]
        assert [(gap["start"], gap["end"]) for gap in heard.of("gap")] == gaps
        assert heard.took <= 30
        measure.most("P22", "words owed for ever: {:.0f} s (virtual time)", heard.took)
