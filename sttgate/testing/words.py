"""The provider contract, clauses 1 to 4: what is said, and when."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from sttgate.audio import MAX_SAMPLE_RATE, MIN_SAMPLE_RATE
from sttgate.events import Finalized
from sttgate.provider import Control
from sttgate.testing.bench import Bench, until
from sttgate.testing.hearing import (
    Heard,
    finals_in_disorder,
    interims_in_disorder,
    left_open,
    pieces,
    times_beyond,
    unsettled_by_finalize,
    words_in_disorder,
)
from sttgate.testing.kit import Kit
from sttgate.testing.scripted import silence, tone
from sttgate.testing.verdicts import keeps, same_words


class WordClauses(Kit):
    """Tests of what comes out; they work on the fixture ``bench`` of ``ProviderTests``."""

    # -- clause 1 -----------------------------------------------------------------------------

    @pytest.mark.asyncio
    async def test_ends_with_the_last_words_final(self, bench: Bench) -> None:
        """Clause 1: soon after the audio has ended the events end, and nothing said is left open.

        A failure usually means that the generator returns as soon as the audio has ended: ask the
        engine for its last result and yield it as a final first.
        """
        heard = await bench.hear_speech()
        keeps(left_open(heard))

    @pytest.mark.asyncio
    async def test_no_word_is_lost_at_the_end(self, bench: Bench) -> None:
        """Clause 1: the end of the audio gives as many words as FINALIZE right before it.

        A failure usually means that what the engine holds back (the last word, the last frame) is
        not flushed when the audio ends, or that its connection is closed before it has answered.
        """
        finalized = await bench.hear([*bench.cut(bench.speech), Control.FINALIZE])
        ended = await bench.hear_speech()
        _need_words(finalized, ended)
        lost = len(finalized.words) - len(ended.words)
        assert lost <= 0, f"{lost} of {len(finalized.words)} words are missing at the end"

    @pytest.mark.asyncio
    async def test_empty_audio(self, bench: Bench) -> None:
        """Clause 1: audio that ends before it began gives no words and ends at once.

        A failure usually means that an engine is waited for that was never given anything.
        """
        heard = await bench.hear([])
        assert not heard.words, "there are words although there was no audio"
        heard = await bench.hear([Control.FINALIZE])
        assert not heard.words, "there are words although there was no audio"
        answers = sum(isinstance(event, Finalized) for event in heard.events)
        assert answers == 1, f"FINALIZE without audio was answered {answers} times, not once"

    # -- clauses 2 and 3 ----------------------------------------------------------------------

    @pytest.mark.asyncio
    async def test_finals_are_in_order(self, bench: Bench) -> None:
        """Clause 2: finals are in order and do not overlap, also after FINALIZE.

        A failure usually means that times are counted from the last FINALIZE or the last utterance
        instead of the beginning of the stream, or that a final is repeated with more words in it.
        """
        for heard in (await bench.hear_speech(), await _hear_in_parts(bench)):
            keeps(finals_in_disorder(heard))

    @pytest.mark.asyncio
    async def test_times_lie_within_the_audio(self, bench: Bench) -> None:
        """Clause 2: all times are seconds of this stream's audio, and never beyond what was read.

        A failure usually means another unit (milliseconds, samples), another rate, a clock of the
        engine that runs on over several streams, or an end that is rounded up.
        """
        for heard in (await bench.hear_speech(), await bench.hear_speech()):
            keeps(times_beyond(heard))

    @pytest.mark.asyncio
    async def test_times_at_every_rate(self, bench: Bench) -> None:
        """Clause 2: at each sample rate the provider takes, a second lasts a second.

        A failure usually means that 16000 is written somewhere instead of params.sample_rate.
        """
        rates = bench.provider.capabilities.sample_rates or (MIN_SAMPLE_RATE, MAX_SAMPLE_RATE)
        for rate in rates:
            params = replace(bench.params, sample_rate=rate)
            sound = tone(0.7, rate) + silence(0.3, rate)
            heard = await bench.hear(pieces(sound, [rate // 5]), params)
            keeps(times_beyond(heard))

    @pytest.mark.asyncio
    async def test_words_lie_within_their_final(self, bench: Bench) -> None:
        """Clause 2: the words of a final are in order and within its time.

        A failure usually means that times of words are relative to their segment.
        """
        if bench.provider.capabilities.word_times == "none":
            pytest.skip("its capabilities say that its words have no times")
        heard = await bench.hear_speech()
        keeps(words_in_disorder(heard))

    @pytest.mark.asyncio
    async def test_no_interim_after_its_final(self, bench: Bench) -> None:
        """Clause 3: an interim is about what is open, never about what a final has settled.

        A failure usually means that interims and finals come by two ways and overtake each other:
        send them through one queue, and drop interims that start before the end of the last final.
        """
        if not bench.provider.capabilities.interim_results:
            pytest.skip("its capabilities say that it has no interims")
        for heard in (await bench.hear_speech(), await _hear_in_parts(bench)):
            keeps(interims_in_disorder(heard))

    @pytest.mark.asyncio
    async def test_words_without_interims(self, bench: Bench) -> None:
        """Clause 3: a stream that asks for no interims has the same words.

        A failure usually means that finals are made of interims that were not asked for. (Interims
        may come nevertheless; the gateway drops them.)
        """
        expected = await bench.hear_speech()
        heard = await bench.hear_speech(interim_results=False)
        same_words(expected, heard, "without interims")

    # -- clause 4 -----------------------------------------------------------------------------

    @pytest.mark.asyncio
    async def test_finalize_settles_and_answers(self, bench: Bench) -> None:
        """Clause 4: after FINALIZE finals cover all audio so far, then Finalized follows.

        A failure usually means that FINALIZE is skipped as "not bytes", that Finalized does not
        wait for the engine's answer, or that an engine without such a request is not cut here.
        """
        audio = bench.audio()
        async with bench.stream(audio) as (heard, task):
            for item in bench.cut(bench.speech):
                await audio.put(item)
            await audio.put(Control.FINALIZE)
            patience = bench.patience + bench.seconds / (bench.speed or 1)
            await until(lambda: task.done() or _answers(heard), patience)
            if task.done() and not task.cancelled():
                task.result()
            assert _answers(heard) == 1, (
                f"{_answers(heard)} Finalized within {bench.patience:g} s, while audio went on"
            )
            for item in bench.cut(bench.speech):
                await audio.put(item)
            await audio.end()
            async with asyncio.timeout(patience):
                await task
        keeps(unsettled_by_finalize(heard, bench.seconds))
        keeps(finals_in_disorder(heard))
        assert _answers(heard) == 1, f"{_answers(heard)} Finalized came for one FINALIZE"

    @pytest.mark.asyncio
    async def test_finalize_twice(self, bench: Bench) -> None:
        """Clause 4: each FINALIZE has its answer, also when there is nothing new to settle.

        A failure usually means that the engine says nothing when nothing is open: answer for it.
        """
        finalize = Control.FINALIZE
        rest = bench.cut(bench.silence(0.2))
        heard = await bench.hear([*bench.cut(bench.speech), finalize, finalize, *rest])
        assert _answers(heard) == 2, f"{_answers(heard)} Finalized came for two FINALIZE"


def _need_words(*all_heard: Heard) -> None:
    if not any(heard.words for heard in all_heard):
        pytest.skip("no words were heard: write a fixture `speech` with audio it recognises")


def _answers(heard: Heard) -> int:
    return sum(isinstance(event, Finalized) for event in heard.events)


async def _hear_in_parts(bench: Bench) -> Heard:
    speech = list(bench.cut(bench.speech))
    half = len(speech) // 2
    return await bench.hear([*speech[:half], Control.FINALIZE, *speech[half:], *speech])
