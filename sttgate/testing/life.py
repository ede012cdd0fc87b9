"""The provider contract, clauses 5 to 9 and the rest: how a stream and a provider live and end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace

import pytest

from sttgate.errors import ProviderError
from sttgate.provider import Control
from sttgate.testing.bench import Bench, give_up, until
from sttgate.testing.footprint import Footprint
from sttgate.testing.hearing import (
    COVERED,
    Heard,
    MeteredAudio,
    finals_in_disorder,
    hear,
    pieces,
    times_beyond,
)
from sttgate.testing.kit import FREED_WITHIN, Kit
from sttgate.testing.verdicts import keeps, same_words

SIGN_OF_LIFE = 10.0
"""Seconds of audio after which the gateway may take a stream without an event for stalled."""

READ_AHEAD = 60.0
"""Seconds of audio a provider may read while nobody takes its events."""

GARBAGE = {
    "a language that does not exist": {"language": "xx-nowhere"},
    "a model that does not exist": {"model": "no such model"},
    "options nobody knows": {"provider_options": {"no_such_option": [None, {"a": 1}]}},
    "a negative pause": {"endpointing_ms": -1, "utterance_end_ms": -1},
    "keyterms that make no sense": {"keyterms": ("", "\0", "é" * 5000)},
    "a sample rate of 1 Hz": {"sample_rate": 1},
}


class LifeClauses(Kit):
    """Tests of how streams go; they work on the fixture ``bench`` of ``ProviderTests``."""

    # -- clause 5 -----------------------------------------------------------------------------

    @pytest.mark.asyncio
    @pytest.mark.parametrize("what", GARBAGE)
    async def test_only_provider_errors(self, bench: Bench, what: str) -> None:
        """Clause 5: parameters that make no sense are ignored, or refused with a ProviderError.

        A failure usually means that an exception of the SDK or a KeyError of a table came through:
        catch it where the SDK is called, and raise a ProviderError `from` it.
        """
        params = replace(bench.params, **GARBAGE[what])  # type: ignore[arg-type]
        try:
            async with asyncio.timeout(bench.patience):
                await hear(bench.provider, bench.audio([bench.silence(0.1)]), params)
        except ProviderError as error:
            if not str(error):
                raise AssertionError(f"{what}: the ProviderError has no sentence") from error
        except TimeoutError:
            raise AssertionError(f"{what}: the stream did not end") from None
        except Exception as error:
            raise AssertionError(
                f"{what}: {type(error).__name__} came out, not a ProviderError"
            ) from error

    @pytest.mark.asyncio
    async def test_strange_audio(self, bench: Bench) -> None:
        """Clause 5: full-scale noise and a single sample are audio like any other.

        A failure usually means a division by a level or a length that is zero.
        """
        noise = bytes((0x00, 0x80, 0xFF, 0x7F)) * (bench.params.sample_rate // 4)
        for pcm in (b"\0\0", noise, b"\0\x80" * bench.params.sample_rate):
            keeps(times_beyond(await bench.hear(bench.cut(pcm))))

    # -- clause 6 -----------------------------------------------------------------------------

    @pytest.mark.asyncio
    async def test_cancelling_frees_everything(self, bench: Bench) -> None:
        """Clause 6: cancelling the task that iterates ends it, and frees its tasks and sockets.

        A failure usually means an `except BaseException` or a bare `except:` that goes on, a task
        nobody cancels in a `finally`, or a goodbye to the vendor that is waited for too long.
        """
        await bench.hear_speech()  # what is made for the first stream may stay
        speech = list(bench.cut(bench.speech))
        moments: dict[str, Iterable[bytes | Control]] = {
            "before the first audio": [],
            "amid audio": speech[: len(speech) // 2],
            "after FINALIZE": [*speech, Control.FINALIZE],
            "after all audio": speech,
        }
        before = Footprint()
        for moment, script in moments.items():
            audio = bench.audio()
            async with bench.stream(audio) as (_, task):
                for item in script:
                    await audio.put(item)
                if moment == "after all audio":
                    await audio.end()
                await asyncio.sleep(0.1)
                if not task.done():
                    await _cancel(task, moment)
            left = await before.tasks_left(FREED_WITHIN)
            assert not left, f"cancelled {moment}, the stream left tasks: {left}"
        descriptors = await before.descriptors_left(FREED_WITHIN, allowed=len(moments) - 1)
        assert not descriptors, f"the streams left {descriptors} open sockets or files"

    @pytest.mark.asyncio
    async def test_cancelling_a_consumer_that_holds_an_event(self, bench: Bench) -> None:
        """Clause 6: a consumer that is cancelled while the generator waits at a yield frees it.

        A failure usually means a `yield` inside a TaskGroup or asyncio.timeout, or a clean-up that
        is not in a `finally`.
        """
        await bench.hear_speech()
        before, got = Footprint(), asyncio.Event()
        audio = bench.audio([*bench.cut(bench.speech), Control.FINALIZE])
        task = asyncio.create_task(bench.first_event(audio, got), name="stuck consumer")
        try:
            await until(lambda: got.is_set() or task.done(), bench.patience + bench.seconds)
            assert got.is_set(), "no event came for the speech"
            await _cancel(task, "while it held an event")
        finally:
            await give_up(task, audio)
        left = await before.tasks_left(FREED_WITHIN)
        assert not left, f"the stream left tasks: {left}"

    @pytest.mark.asyncio
    async def test_nothing_is_left_after_close(self, bench: Bench) -> None:
        """Clause 6: after streams that ended and streams that were cancelled, close leaves nothing.

        A failure usually means a thread that waits for a queue nobody fills any more, or a pool
        or client that `close` forgets.
        """
        await bench.hear_speech()
        audio = bench.audio(bench.cut(bench.speech))
        async with bench.stream(audio):
            await asyncio.sleep(0.05)
        await bench.close()
        tasks = await bench.before.tasks_left(FREED_WITHIN)
        assert not tasks, f"tasks are left after close: {tasks}"
        threads = await bench.before.threads_left(FREED_WITHIN)
        assert not threads, f"threads are left after close: {threads}"

    # -- clause 7 -----------------------------------------------------------------------------

    @pytest.mark.asyncio
    async def test_streams_share_no_state(self, bench: Bench) -> None:
        """Clause 7: two streams at once say what each of them says alone.

        A failure usually means that something of a stream is kept in `self`: the provider is shared
        by all of them, so keep it in local variables of `transcribe` or in an object made there.
        """
        if bench.provider.capabilities.max_streams == 1:
            pytest.skip("its capabilities say that it takes one stream at a time")
        one = list(bench.cut(bench.speech))
        other = [*bench.cut(bench.silence(0.7)), *one]
        alone = [await bench.hear(one), await bench.hear(other)]
        audios = [bench.audio(), bench.audio()]
        async with bench.stream(audios[0]) as (_, first), bench.stream(audios[1]) as (_, second):
            for index in range(len(other)):
                for audio, items in zip(audios, (one, other), strict=True):
                    if index < len(items):
                        await audio.put(items[index])
                await asyncio.sleep(0)
            for audio in audios:
                await audio.end()
            async with asyncio.timeout(bench.patience + 2 * bench.seconds / (bench.speed or 1)):
                together = await asyncio.gather(first, second)
        for by_itself, among, which in zip(
            alone, together, ("the first", "the second"), strict=True
        ):
            keeps(times_beyond(among))
            keeps(finals_in_disorder(among))
            same_words(by_itself, among, f"{which} of two streams at once")
            drift = abs(by_itself.settled - among.settled)
            assert drift <= COVERED, f"{which} of two streams settled {drift:.1f} s more or less"

    # -- clause 8 -----------------------------------------------------------------------------

    @pytest.mark.asyncio
    async def test_silence_is_survived(self, bench: Bench) -> None:
        """Clause 8: after thirty seconds of silent audio speech is heard as before.

        A failure usually means that the engine ends a session after silence: begin a new one
        inside the stream, or tell the engine to go on.
        """
        expected = await bench.hear_speech()
        quiet = bench.cut(bench.silence(30.0))
        heard = await bench.hear([*quiet, *bench.cut(bench.speech)])
        keeps(finals_in_disorder(heard))
        if expected.words:
            assert heard.words, "nothing was heard after thirty seconds of silence"

    @pytest.mark.asyncio
    async def test_pause_is_survived(self, bench: Bench) -> None:
        """Clause 8: the caller may send nothing for a while, and go on.

        A failure usually means a missing keep-alive, or a timeout that takes a pause for the end.
        The pause is short, so that tests are quick: set `pause` to 30 to be sure.
        """
        expected = await bench.hear_speech()
        audio = bench.audio()
        speech = list(bench.cut(bench.speech))
        async with bench.stream(audio) as (_, task):
            for item in speech:
                await audio.put(item)
            await until(task.done, bench.pause)
            if task.done() and not task.cancelled():
                task.result()
            assert not task.done(), "the stream ended in a pause, before its audio had ended"
            for item in speech:
                await audio.put(item)
            await audio.end()
            async with asyncio.timeout(bench.patience + 2 * bench.seconds / (bench.speed or 1)):
                heard = await task
        keeps(finals_in_disorder(heard))
        assert len(heard.words) >= len(expected.words), "words are missing after a pause"
        if expected.words:
            assert heard.settled > bench.seconds, "what came after the pause was not heard"

    @pytest.mark.asyncio
    async def test_trickling_audio(self, bench: Bench) -> None:
        """Clause 8: audio that comes in drops gives the same words as audio that comes at once.

        A failure usually means that a wait for audio is given up in a way that loses the item: use
        `async with asyncio.timeout(…): await audio.receive()`, not a task that is abandoned.
        """
        expected = await bench.hear_speech()
        audio = bench.audio()
        async with bench.stream(audio) as (_, task):
            for item in bench.cut(bench.speech):
                await audio.put(item)
                await asyncio.sleep(0.02)
            await audio.end()
            async with asyncio.timeout(bench.patience + bench.seconds / (bench.speed or 1)):
                heard = await task
        same_words(expected, heard, "when audio trickles")

    # -- clause 9 -----------------------------------------------------------------------------

    @pytest.mark.asyncio
    async def test_slow_consumer_slows_it(self, bench: Bench) -> None:
        """Clause 9: while nobody takes its events a provider stops reading audio.

        A failure usually means a task that reads all audio into a list or a queue without a size:
        give the queue a size, or read audio only when there is use for it.
        """
        if bench.speed is not None:
            pytest.skip(
                f"it is fed at {bench.speed:g} times real time: reading ahead would not show"
            )
        long = bench.speech * (1 + round(3 * READ_AHEAD / bench.seconds))
        audio, got = bench.audio(bench.cut(long)), asyncio.Event()
        task = asyncio.create_task(bench.first_event(audio, got), name="stuck consumer")
        try:
            await until(lambda: got.is_set() or task.done(), bench.patience)
            assert got.is_set(), "no event came although there is plenty of audio"
            await _settle(audio)
            assert audio.unread, "it read all audio while nobody took its events"
            assert audio.seconds <= READ_AHEAD, (
                f"it read {audio.seconds:.0f} s of audio while nobody took its events"
            )
        finally:
            await give_up(task, audio)

    # -- clause 10 ----------------------------------------------------------------------------

    @pytest.mark.asyncio
    async def test_silence_is_answered(self, bench: Bench) -> None:
        """Clause 10: also for silence an event comes at least every ten seconds of audio.

        A failure usually means that only words are reported: yield a final with an empty text now
        and then. It settles the silence, and shows that the engine is alive.
        """
        audio = bench.audio()
        async with bench.stream(audio) as (heard, task):
            for part in ("first", "second"):
                before = len(heard.moments)
                for item in bench.cut(bench.silence(SIGN_OF_LIFE)):
                    await audio.put(item)
                patience = bench.patience + SIGN_OF_LIFE / (bench.speed or 1)
                await until(lambda n=before: task.done() or len(heard.moments) > n, patience)
                if task.done() and not task.cancelled():
                    task.result()
                assert len(heard.moments) > before, (
                    f"no event came for the {part} {SIGN_OF_LIFE:g} s of silence"
                )

    # -- the rest of the contract -------------------------------------------------------------

    @pytest.mark.asyncio
    async def test_size_of_pieces_does_not_matter(self, bench: Bench) -> None:
        """Audio comes in whole samples, in pieces of any size up to 0.3 s: none of it is lost.

        A failure usually means that frames of a fixed size are cut from each piece, and the rest of
        the piece is dropped.
        """
        expected = await bench.hear_speech()
        longest = 2 * round(0.3 * bench.params.sample_rate)
        for sizes in ([2, 998, 34, 1024, 250, 6], [longest]):
            heard = await bench.hear(pieces(bench.speech, sizes))
            lost = len(expected.words) - len(heard.words)
            assert lost <= 0, f"in pieces of {sizes} bytes {lost} words are missing"
            drift = abs(heard.settled - expected.settled)
            assert drift <= COVERED, f"in other pieces {drift:.1f} s more or less were settled"

    @pytest.mark.asyncio
    async def test_check(self, bench: Bench) -> None:
        """check() returns when the engine can be used, while streams run too.

        A failure usually means that it raises something else than a ProviderError, or that it asks
        for more than a stream needs.
        """
        async with asyncio.timeout(bench.patience):
            await bench.provider.check()

    @pytest.mark.asyncio
    async def test_close_and_open_again(self, bench: Bench) -> None:
        """close() may come twice, and open() after it makes a provider that works as before.

        A failure usually means that close() does not forget what it has closed, or that open()
        relies on what the constructor made.
        """
        expected = await bench.hear_speech()
        await bench.close()
        await bench.provider.close()
        await bench.open()
        same_words(expected, await bench.hear_speech(), "after close and open")


async def _cancel(task: asyncio.Task[Heard] | asyncio.Task[None], moment: str) -> None:
    task.cancel()
    await asyncio.wait({task}, timeout=FREED_WITHIN)
    assert task.done(), f"cancelled {moment}, the stream still ran after {FREED_WITHIN:g} s"
    assert task.cancelled(), (
        f"cancelled {moment}, the stream swallowed it and ended with "
        f"{type(task.exception()).__name__ if task.exception() else 'its return'}"
    )


async def _settle(audio: MeteredAudio) -> None:
    """Wait until no more audio is read."""
    read = -1.0
    while read != (now := audio.seconds):
        read = now
        await asyncio.sleep(0.5)
