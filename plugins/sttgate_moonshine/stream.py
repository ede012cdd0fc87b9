"""One stream: audio in, voice activity, segments, decodes, events out in order."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sttgate import (
    AudioInput,
    Control,
    Finalized,
    ProviderEvent,
    ProviderUnavailable,
    SpeechStarted,
    Transcript,
)
from sttgate_moonshine.decoder import Decoder, Urgency
from sttgate_moonshine.segmenter import (
    FRAME,
    SAMPLE_RATE,
    Began,
    Closed,
    Decision,
    Guess,
    Segmenter,
    Speech,
)
from sttgate_moonshine.tape import Tape
from sttgate_moonshine.transcript import Writer

if TYPE_CHECKING:
    from sttgate_moonshine.model import Recognition
    from sttgate_moonshine.vad import VoiceDetector

_MOST_UNSETTLED = 35 * SAMPLE_RATE
"""Read no further ahead of the finals handed out; more than the longest segment and its silence."""
_IDLE_SECONDS = 5.0
"""When no audio has come for so long, what was heard is settled: the host waits for it no longer
than ten seconds, and what comes next is no continuation."""
_SLICE_BYTES = 2 * 10 * FRAME
"""Judge so much audio (about a millisecond's work) before the event loop gets its turn."""


@dataclass(frozen=True, slots=True)
class _Decode:
    """A decode under way; ``result`` gives None if it was no longer wanted."""

    speech: Speech
    result: asyncio.Future[Recognition | None]


@dataclass(frozen=True, slots=True)
class _Final:
    """A closed span whose words are on their way."""

    closed: Closed
    result: asyncio.Future[Recognition | None] | None

    @property
    def ready(self) -> bool:
        return self.result is None or self.result.done()


class Stream:
    """One transcription.

    A task reads and segments the audio while ``receive`` hands out what is decoded; they share the
    queue of finals, and how far the task may read ahead of what was handed out is bounded.
    """

    def __init__(
        self,
        detector: VoiceDetector,
        segmenter: Segmenter,
        decoder: Decoder[Recognition],
        writer: Writer,
        interim_every: int | None,
    ) -> None:
        self._detector = detector
        self._segmenter = segmenter
        self._decoder = decoder
        self._writer = writer
        self._interim_every = interim_every
        self._tape = Tape()
        self._queue: deque[_Final | SpeechStarted | Finalized] = deque()
        self._guess: _Decode | None = None
        self._listening: asyncio.Future[Recognition | None] | None = None  # an interim's decode
        self._heard = 0  # how far the last interim has listened
        self._interim: Transcript | None = None  # the latest, not handed out yet
        self._emitted = 0  # the end of the last final handed out
        self._news = asyncio.Event()
        self._room = asyncio.Event()

    def start(self, audio: AudioInput) -> None:
        """Begin to read ``audio``."""
        self._reader = asyncio.create_task(self._read(audio), name="moonshine reader")
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
            await self._news.wait()

    async def close(self) -> None:
        """Ask for nothing more; a decode that runs ends by itself, and its result is dropped."""
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        self._stop_listening()
        if self._guess is not None:
            self._guess.result.cancel()
        for item in self._queue:
            if isinstance(item, _Final) and item.result is not None:
                item.result.cancel()

    def _take(self) -> ProviderEvent | None:
        """Take what is next in order, None if that is not ready."""
        if not self._queue:
            interim, self._interim = self._interim, None
            return interim
        first = self._queue[0]
        if not isinstance(first, _Final):
            self._queue.popleft()
            return first
        if not first.ready:
            return None
        self._queue.popleft()
        self._emitted = first.closed.end
        self._room.set()
        said = _outcome(first.result) if first.result is not None else None
        return self._writer.final(first.closed, said)

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
                while self._segmenter.position - self._emitted > _MOST_UNSETTLED:
                    self._room.clear()
                    await self._room.wait()

    def _judge(self) -> None:
        """Segment the audio that has come."""
        while (frame := self._tape.frame(self._segmenter.position)) is not None:
            try:
                level = self._detector.level(frame)
            except Exception as error:
                raise _failed() from error
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
                    self._stop_listening()
                    self._heard = speech.end
                    self._guess = _Decode(speech, self._decode(speech))
                    self._guess.result.add_done_callback(self._guessed)
                case Closed():
                    self._stop_listening()
                    self._queue.append(_Final(decision, self._result(decision)))
            self._news.set()

    def _result(self, closed: Closed) -> asyncio.Future[Recognition | None] | None:
        """Return the decode of a segment: the guess, if it has come true, or a new one."""
        guess, self._guess = self._guess, None
        if closed.speech is None:
            return None
        if guess is not None and guess.speech is closed.speech:
            return guess.result
        return self._decode(closed.speech)

    def _decode(self, speech: Speech) -> asyncio.Future[Recognition | None]:
        pcm = self._tape.read(speech.start, speech.end)
        turn = sum(isinstance(item, _Final) and not item.ready for item in self._queue)
        result = self._decoder.submit(lambda: pcm, Urgency.FINAL, turn)
        result.add_done_callback(self._decoded)
        return result

    def _decoded(self, result: asyncio.Future[Recognition | None]) -> None:
        if not result.cancelled():
            result.exception()  # asked here, or asyncio complains about those nobody waits for
        self._news.set()

    def _guessed(self, result: asyncio.Future[Recognition | None]) -> None:
        """Show a guess as an interim: the pause may turn out to be none."""
        if self._interim_every and self._guess is not None and self._guess.result is result:
            self._show(self._guess.speech, result)

    def _listen(self) -> None:
        """Ask for the next interim if one is due and every final is out."""
        if not self._interim_every or self._listening is not None or self._queue:
            return
        speech = self._segmenter.speech
        if speech is None or self._segmenter.guess is not None:
            return
        # A longer segment takes longer to decode: keep to about a third of one core.
        every = max(self._interim_every, (speech.end - speech.start) // 10)
        if speech.end - max(self._heard, speech.voiced[0][0]) < every:
            return
        latest: list[Speech] = []

        def audio() -> bytes | None:
            speech = self._segmenter.speech
            if speech is None or self._queue:
                return None
            latest.append(speech)
            self._heard = speech.end
            return self._tape.read(speech.start, speech.end)

        def done(result: asyncio.Future[Recognition | None]) -> None:
            if self._listening is result:
                self._listening = None
                if latest:
                    self._show(latest[0], result)

        self._listening = self._decoder.submit(audio, Urgency.INTERIM)
        self._listening.add_done_callback(done)

    def _show(self, speech: Speech, result: asyncio.Future[Recognition | None]) -> None:
        # A failure is left for the final to meet.
        if result.cancelled() or result.exception() is not None:
            return
        said = result.result()
        if said is not None and (interim := self._writer.interim(speech, said)) is not None:
            self._interim = interim
            self._news.set()

    def _stop_listening(self) -> None:
        """Drop the interims of audio that is settled or about to be."""
        self._interim = None
        if self._listening is not None:
            self._listening.cancel()
            self._listening = None


def _outcome(result: asyncio.Future[Recognition | None]) -> Recognition | None:
    if result.cancelled():
        raise ProviderUnavailable("the local engine was closed while it listened; open it again")
    if (error := result.exception()) is not None:
        raise _failed() from error
    return result.result()


def _failed() -> ProviderUnavailable:
    return ProviderUnavailable(
        "the local engine failed on a piece of audio; if it happens again, check the memory of this machine"
    )
