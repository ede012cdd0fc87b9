"""Many streams on one engine thread, in virtual time: when words come, and which give way."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from sttgate import AudioInput, Recognized, Transcript
from sttgate.voice.queue import WorkQueue
from sttgate.voice.segmenter import FRAME, SAMPLE_RATE, Segmenter, samples
from sttgate.voice.stream import Habits, Stream
from tests.faults.virtual import run_virtually
from tests.voice.rules import RULES

FRAME_S = FRAME / SAMPLE_RATE
VOICE, SILENCE = b"\x01\x00" * FRAME, bytes(2 * FRAME)
SECONDS = 40.0
ROUNDS = 2


class Ear:
    """Hears a voice where the talker put one."""

    def level(self, frame: bytes) -> float:
        return float(frame == VOICE)


class Talker(AudioInput):
    """Somebody who talks in phrases with pauses, three quarters of the time, at the pace of speech."""

    def __init__(self, dice: random.Random) -> None:
        self.voiced = list(_talk(dice))
        self.began_at = asyncio.get_running_loop().time() + dice.random()
        self._position = 0

    async def receive(self) -> bytes | None:
        """Return three frames when they were spoken."""
        frames = self.voiced[self._position : self._position + 3]
        if not frames:
            return None
        self._position += len(frames)
        spoken_at = self.began_at + self._position * FRAME_S
        await asyncio.sleep(spoken_at - asyncio.get_running_loop().time())
        return b"".join(VOICE if voiced else SILENCE for voiced in frames)

    def last_voice(self, until: float) -> float:
        """Return when, before ``until`` seconds, there was a voice for the last time."""
        frame = min(round(until / FRAME_S), len(self.voiced))
        while not self.voiced[frame - 1]:
            frame -= 1
        return frame * FRAME_S


def _talk(dice: random.Random) -> Iterator[bool]:
    left = round(SECONDS / FRAME_S)
    while left > 0:
        pauses = [dice.choice((0.1, 0.15, 0.25, 0.35)) for _ in range(dice.randrange(4))]
        for pause in (*pauses, dice.uniform(0.6, 1.3)):
            spoken, silent = round(dice.uniform(0.6, 2.6) / FRAME_S), round(pause / FRAME_S)
            yield from [True] * min(left, spoken)
            yield from [False] * min(max(0, left - spoken), silent)
            left -= spoken + silent


@dataclass
class Outcome:
    """Delays of finals in seconds, and per second: of the engine, work; of a stream, interims."""

    delays: list[float] = field(default_factory=list)
    work: float = 0.0
    interims: float = 0.0

    def delay(self, share: float) -> float:
        """Return what this share of the delays does not exceed."""
        return sorted(self.delays)[int(share * len(self.delays))]


async def _run(streams: int, outcome: Outcome, seed: int) -> None:
    dice, loop = random.Random(seed), asyncio.get_running_loop()
    work = WorkQueue[Recognized](limit=1, timeout=20)

    async def recognize(pcm: bytes) -> Recognized:
        # What Moonshine takes on one core; a thread that works is not stopped.
        cost = (0.012 + 0.031 * len(pcm) / 2 / SAMPLE_RATE) * dice.uniform(0.8, 1.25)
        outcome.work += cost / SECONDS / ROUNDS
        working = asyncio.ensure_future(asyncio.sleep(cost))
        try:
            await asyncio.shield(working)
        except asyncio.CancelledError:
            await asyncio.wait({working})
            raise
        return Recognized(text="words", confidence=0.9)

    async def listen() -> None:
        talker = Talker(dice)
        habits = Habits(guesses=True, interim_every=samples(0.5), longest=samples(18))
        stream = Stream(Ear(), Segmenter(RULES), recognize, work, habits)  # type: ignore[arg-type]
        stream.start(talker)
        try:
            while (event := await stream.receive()) is not None:
                if not isinstance(event, Transcript) or not event.text:
                    continue
                if event.is_final:
                    now = loop.time() - talker.began_at
                    outcome.delays.append(now - talker.last_voice(event.end))
                else:
                    outcome.interims += 1 / SECONDS / streams / ROUNDS
        finally:
            await stream.close()

    await asyncio.gather(*(listen() for _ in range(streams)))
    await work.close()


def hear(streams: int) -> Outcome:
    """Return what several rounds add up to."""
    outcome = Outcome()
    for seed in range(ROUNDS):
        run_virtually(_run(streams, outcome, seed))
    return outcome


def test_few_streams() -> None:
    """With little to do every interim is shown, and finals come as soon as the pause is over."""
    outcome = hear(4)
    assert outcome.interims > 1.0
    assert outcome.delay(0.5) < 0.6
    assert outcome.delay(0.95) < 0.8


def test_many_streams() -> None:
    """With more to do interims give way before finals are late, and the engine has some air left."""
    outcome = hear(16)
    assert 0.1 < outcome.interims < 0.5
    assert outcome.work < 0.97
    assert outcome.delay(0.95) < 1.1


def test_as_many_as_there_may_be() -> None:
    """With 24 streams on a core finals still come, most within a second and a half of the last voice."""
    outcome = hear(24)
    assert outcome.interims > 0.05
    assert outcome.delay(0.5) < 0.85
    assert outcome.delay(0.95) < 1.7
