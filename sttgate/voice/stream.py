"""One stream: audio in, voice activity, utterances, recognitions, events out in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sttgate.errors import ProviderUnavailable
from sttgate.events import Finalized, ProviderEvent, SpeechStarted, Transcript
from sttgate.provider import AudioInput, Control
from sttgate.voice.queue import Urgency, WorkQueue
from sttgate.voice.recognized import Recognized, final, interim
from sttgate.voice.segmenter import (
    FRAME,
    SAMPLE_RATE,
    Began,
    Closed,
    Decision,
    Guess,
    Segmenter,
    Speech,
    samples,
)
from sttgate.voice.tape import Tape

if TYPE_CHECKING:
    from sttgate.voice.detector import VoiceDetector

_AHEAD = samples(17.0)
"""How much more than the longest segment may be read ahead of the finals handed out."""
_IDLE_SECONDS = 5.0
"""When no audio has come for so long, what was heard is settled: the host waits for it no longer
than ten seconds, and what comes next is no continuation."""
_SIGN_OF_LIFE_SECONDS = 3.0
"""While an utterance goes on or is being recognised the host hears from us so often. It gives up
after five seconds when the audio has ended; the limit of one recognition still holds."""
_SLICE_BYTES = 2 * 10 * FRAME
"""Judge so much audio (about a millisecond's work) before the event loop gets its turn."""
_SHORTEST = samples(0.5)
"""Shorter utterances get silence behind them: engines refuse them or see words in them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How a stream uses its engine.

    ``guesses``: begin the final in a pause that may turn out to be none. ``interim_every``: samples
    from one interim to the next, None for none. ``longest``: samples of the longest utterance.
    """

    guesses: bool
    interim_every: int | None
    longest: int


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A recognition under way; ``result`` gives None if it was no longer wanted."""

    speech: Speech
    result: asyncio.Future[Recognized | None]


@dataclass(frozen=True, slots=True)
class _Final:
    """A closed span whose words are on their way."""

    closed: Closed
    result: asyncio.Future[Recognized | None] | None

    @property
    def ready(self) -> bool:
        return self.result is None or self.result.done()


class Stream:
    """One transcription.

    A task reads and segments the audio while ``receive`` hands out what is recognised; they share
    the queue of finals, and how far the task may read ahead of what was handed out is bounded.
    """

    def __init__(
        self,
        detector: VoiceDetector,
        segmenter: Segmenter,
        recognize: Callable[[bytes], Coroutine[Any, Any, Recognized]],
        work: WorkQueue[Recognized],
        habits: Habits,
    ) -> None:
        self._detector = detector
        self._segmenter = segmenter
        self._recognize = recognize
        self._work = work
        self._habits = habits
        self._tape = Tape()
        self._queue: deque[_Final | SpeechStarted | Finalized] = deque()
        self._guess: _Attempt | None = None
        self._listening: asyncio.Future[Recognized | None] | None = None  # an interim's
        self._heard = 0  # how far the last interim has listened
        self._interim: Transcript | None = None  # the latest, not handed out yet
        self._shown: Transcript | None = None  # the one handed out, until a final replaces it
        self._emitted = 0  # the end of the last final handed out
        self._news = asyncio.Event()
        self._room = asyncio.Event()

    def start(self, audio: AudioInput) -> None:
        """Begin to read ``audio``."""
        self._reader = asyncio.create_task(self._read(audio), name="utterance reader")
        self._reader.add_done_callback(lambda _: self._news.set())

    async def receive(self) -> ProviderEvent | None:
        """Return the next event, None once the audio has ended and everything is settled."""
        while True:
            if (event := self._take()) is not None:
                return event
            if self._reader.done() and not self._queue:
                await self._reader
                return None
            self._news.clear()
            try:
                async with asyncio.timeout(_SIGN_OF_LIFE_SECONDS):
                    await self._news.wait()
            except TimeoutError:
                if self._queue or self._segmenter.speech is not None:
                    return self._sign_of_life()

    async def close(self) -> None:
        """Ask for nothing more, and stop what runs."""
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        self._stop_listening()
        if self._guess is not None:
            self._guess.result.cancel()
        for item in self._queue:
            if isinstance(item, _Final) and item.result is not None:
                item.result.cancel()

    # -- out --------------------------------------------------------------------------------------

    def _take(self) -> ProviderEvent | None:
        """Take what is next in order, None if that is not ready."""
        if not self._queue:
            if self._interim is None:
                return None
            self._shown, self._interim = self._interim, None
            return self._shown
        first = self._queue[0]
        if not isinstance(first, _Final):
            self._queue.popleft()
            return first
        if not first.ready:
            return None
        self._queue.popleft()
        self._shown = None
        self._emitted = first.closed.end
        self._room.set()
        return final(first.closed, _outcome(first.result) if first.result is not None else None)

    def _sign_of_life(self) -> Transcript:
        """Return the interim that stands, or one that says nothing."""
        end = self._tape.end / SAMPLE_RATE
        if self._shown is not None:
            return replace(self._shown, end=end)
        return Transcript(text="", start=self._emitted / SAMPLE_RATE, end=end, is_final=False)

    # -- in ---------------------------------------------------------------------------------------

    async def _read(self, audio: AudioInput) -> None:
        while True:
            try:
                async with asyncio.timeout(_IDLE_SECONDS):
                    item = await audio.receive()
            except TimeoutError:
                self._follow(self._segmenter.idle(self._tape.end))
                continue
            if item is None or item is Control.FINALIZE:
                self._follow(self._segmenter.settle(self._tape.end))
            if item is None:
                return
            if item is Control.FINALIZE:
                self._queue.append(Finalized())
                self._news.set()
                continue
            for start in range(0, len(item), _SLICE_BYTES):
                self._tape.append(item[start : start + _SLICE_BYTES])
                self._judge()
                # Audio may be there without waiting: let the others have their turn.
                await asyncio.sleep(0)
                while self._segmenter.position - self._emitted > self._habits.longest + _AHEAD:
                    self._room.clear()
                    await self._room.wait()

    def _judge(self) -> None:
        """Segment the audio that has come."""
        while (frame := self._tape.frame(self._segmenter.position)) is not None:
            try:
                level = self._detector.level(frame)
            except Exception as error:
                raise ProviderUnavailable(
                    "voice activity detection failed; if it happens again, check the memory of this machine"
                ) from error
            self._follow(self._segmenter.push(level))
            if self._guess is not None and self._segmenter.guess is None:
                self._guess.result.cancel()  # the voice is back
                self._guess = None
        self._tape.forget(self._segmenter.needed)
        self._listen()

    def _follow(self, decisions: list[Decision]) -> None:
        for decision in decisions:
            match decision:
                case Began(at):
                    self._queue.append(SpeechStarted(at=at / SAMPLE_RATE))
                case Guess(speech):
                    if self._habits.guesses:
                        self._stop_listening()
                        self._heard = speech.end
                        self._guess = _Attempt(speech, self._settling(speech, Urgency.GUESS))
                        self._guess.result.add_done_callback(self._guessed)
                case Closed():
                    self._stop_listening()
                    self._queue.append(_Final(decision, self._result(decision)))
            self._news.set()

    # -- recognition ------------------------------------------------------------------------------

    def _result(self, closed: Closed) -> asyncio.Future[Recognized | None] | None:
        """Return the recognition of a segment: the guess, if it has come true, or a new one."""
        guess, self._guess = self._guess, None
        if closed.speech is None:
            return None
        if guess is not None and guess.speech is closed.speech:
            self._work.promote(guess.result, self._turn)
            return guess.result
        return self._settling(closed.speech, Urgency.FINAL)

    @property
    def _turn(self) -> int:
        """How many finals wait already."""
        return sum(isinstance(item, _Final) and not item.ready for item in self._queue)

    def _settling(self, speech: Speech, urgency: Urgency) -> asyncio.Future[Recognized | None]:
        pcm = self._audio(speech)
        result = self._work.submit(lambda: self._recognize(pcm), urgency, self._turn)
        result.add_done_callback(self._recognized)
        return result

    def _audio(self, speech: Speech) -> bytes:
        return self._tape.read(speech.start, speech.end).ljust(2 * _SHORTEST, b"\0")

    def _recognized(self, result: asyncio.Future[Recognized | None]) -> None:
        if not result.cancelled():
            result.exception()  # asked here, or asyncio complains about those nobody waits for
        self._news.set()

    def _guessed(self, result: asyncio.Future[Recognized | None]) -> None:
        """Show a guess as an interim: the pause may turn out to be none."""
        if self._habits.interim_every and self._guess is not None and self._guess.result is result:
            self._show(self._guess.speech, result)

    def _listen(self) -> None:
        """Ask for the next interim if one is due and every final is out."""
        every = self._habits.interim_every
        if not every or self._listening is not None or self._queue:
            return
        speech = self._segmenter.speech
        if speech is None or self._segmenter.guess is not None:
            return
        # A longer segment takes longer to recognise: keep to a share of the engine's time.
        every = max(every, (speech.end - speech.start) // 10)
        if speech.end - max(self._heard, speech.voiced[0][0]) < every:
            return
        latest: list[Speech] = []

        def work() -> Coroutine[Any, Any, Recognized] | None:
            speech = self._segmenter.speech
            if speech is None or self._queue:
                return None
            latest.append(speech)
            self._heard = speech.end
            return self._recognize(self._audio(speech))

        def done(result: asyncio.Future[Recognized | None]) -> None:
            if self._listening is result:
                self._listening = None
                if latest:
                    self._show(latest[0], result)

        self._listening = self._work.submit(work, Urgency.INTERIM)
        self._listening.add_done_callback(done)

    def _show(self, speech: Speech, result: asyncio.Future[Recognized | None]) -> None:
        # A failure is left for the final to meet.
        if result.cancelled() or result.exception() is not None:
            return
        said = result.result()
        if said is not None and (shown := interim(speech, said)) is not None:
            self._interim = shown
            self._news.set()

    def _stop_listening(self) -> None:
        """Drop the interims of audio that is settled or about to be."""
        self._interim = None
        if self._listening is not None:
            self._listening.cancel()
            self._listening = None


def _outcome(result: asyncio.Future[Recognized | None]) -> Recognized | None:
    if result.cancelled():
        raise ProviderUnavailable("the provider was closed while it listened; open it again")
    return result.result()
