"""The decoding queue of the local engine, with a recogniser that only waits to be let go."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from sttgate_moonshine.decoder import Decoder, Urgency

FINAL, INTERIM = Urgency.FINAL, Urgency.INTERIM


class Gate:
    """A recogniser that returns its audio, in order of ``started``, once ``open`` is set."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.started: list[bytes] = []

    def recognize(self, pcm: bytes) -> bytes:
        self.started.append(pcm)
        assert self.open.wait(10)
        if pcm == b"broken":
            raise ValueError("broken audio")
        return pcm


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
async def decoder(gate: Gate) -> AsyncIterator[Decoder[bytes]]:
    pool = ThreadPoolExecutor(1)
    decoder = Decoder(gate.recognize, pool, workers=1)
    yield decoder
    gate.open.set()
    await decoder.close()
    pool.shutdown()


async def test_finals_go_before_interims(decoder: Decoder[bytes], gate: Gate) -> None:
    """An interim waits until no final does."""
    jobs = [
        decoder.submit(lambda: b"running", FINAL),
        decoder.submit(lambda: b"interim", INTERIM),
        decoder.submit(lambda: b"final", FINAL),
    ]
    gate.open.set()
    await asyncio.gather(*jobs)
    assert gate.started == [b"running", b"final", b"interim"]


async def test_a_second_final_of_a_stream_lets_other_streams_pass(
    decoder: Decoder[bytes], gate: Gate
) -> None:
    """A file pushed at full speed does not delay the finals of live streams."""
    jobs = [decoder.submit(lambda turn=turn: b"file %d" % turn, FINAL, turn) for turn in range(3)]
    jobs.append(decoder.submit(lambda: b"live", FINAL, 0))
    gate.open.set()
    await asyncio.gather(*jobs)
    assert gate.started == [b"file 0", b"live", b"file 1", b"file 2"]


async def test_an_interim_hears_the_latest_audio(decoder: Decoder[bytes], gate: Gate) -> None:
    """Audio is asked for when a thread is free, not when the interim is queued."""
    audio = bytearray(b"early")
    jobs = [
        decoder.submit(lambda: b"running", FINAL),
        decoder.submit(lambda: bytes(audio), INTERIM),
    ]
    audio += b" late"
    gate.open.set()
    assert await jobs[1] == b"early late"


async def test_what_is_no_longer_wanted_is_not_decoded(decoder: Decoder[bytes], gate: Gate) -> None:
    """A withdrawn job, and one whose audio is gone, cost no thread."""
    jobs = [
        decoder.submit(lambda: b"running", FINAL),
        decoder.submit(lambda: b"withdrawn", FINAL),
        decoder.submit(lambda: None, INTERIM),
    ]
    jobs[1].cancel()
    gate.open.set()
    assert await jobs[2] is None
    assert gate.started == [b"running"]


async def test_a_withdrawn_job_that_runs_does_no_harm(decoder: Decoder[bytes], gate: Gate) -> None:
    """A decode cannot be stopped; its result is dropped and the next one starts."""
    running = decoder.submit(lambda: b"running", FINAL)
    following = decoder.submit(lambda: b"following", FINAL)
    running.cancel()
    gate.open.set()
    assert await following == b"following"


async def test_a_failure_reaches_who_asked_and_nobody_else(
    decoder: Decoder[bytes], gate: Gate
) -> None:
    """The thread survives a piece of audio that breaks the recogniser."""
    broken = decoder.submit(lambda: b"broken", FINAL)
    whole = decoder.submit(lambda: b"whole", FINAL)
    gate.open.set()
    with pytest.raises(ValueError, match="broken audio"):
        await broken
    assert await whole == b"whole"


async def test_the_backlog_is_the_wait_of_the_first_queued_final(
    decoder: Decoder[bytes], gate: Gate
) -> None:
    """Running decodes, interims and withdrawn jobs do not count."""
    jobs = [decoder.submit(lambda: b"running", FINAL), decoder.submit(lambda: b"interim", INTERIM)]
    assert decoder.backlog == 0
    jobs.append(decoder.submit(lambda: b"final", FINAL))
    await asyncio.sleep(0.05)
    assert decoder.backlog > 0.02
    jobs[-1].cancel()
    assert decoder.backlog == 0


async def test_closing_cancels_what_waits_and_awaits_what_runs(
    decoder: Decoder[bytes], gate: Gate
) -> None:
    """After close nothing runs, and nothing is accepted."""
    running = decoder.submit(lambda: b"running", FINAL)
    queued = decoder.submit(lambda: b"queued", FINAL)
    asyncio.get_running_loop().call_later(0.05, gate.open.set)
    await decoder.close()
    assert running.done()
    assert queued.cancelled()
    assert decoder.submit(lambda: b"late", FINAL).cancelled()
    assert gate.started == [b"running"]
