"""The audio log: all audio of a session, on disk as it grows, its tail in memory.

Positions are bytes of PCM from the start of the session, always on a frame boundary.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sttgate.audio import WAV_HEADER_BYTES, AudioFormat, wav_header
from sttgate.session.arrivals import Arrivals
from sttgate.session.spool import Spool, SpoolFile

TAIL_BYTES = 4 * 1024  # kept beside what is not on disk yet; older audio is read back from there
UNWRITTEN_BYTES = 4 * 1024 * 1024  # two minutes; beyond it, who appends has to wait


@dataclass(slots=True, eq=False)
class FinalizeRequest:
    """A wish to have everything before ``position`` settled; ``waiting`` names channels not done."""

    position: int
    id: Any
    waiting: set[int] = field(default_factory=set)


class AudioLog:
    """Appended by one writer, read by any number of cursors.

    ``on_outage`` is called once, when the disk refuses for the first time; ``on_lost`` once, when it
    has for so long that audio is given up.
    """

    def __init__(
        self,
        audio_format: AudioFormat,
        file: SpoolFile,
        spool: Spool,
        on_outage: Callable[[], None] = lambda: None,
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        self.format = audio_format
        self.ended = False
        self.finalizes: list[FinalizeRequest] = []
        self._file = file
        self._spool = spool
        self._tail: list[bytes] = []
        self._settled = 0
        self._carry = b""
        self._frame_bytes = audio_format.frame_bytes
        self.lost = 0  # bytes that no disk took: the recording is silent there
        self._waiters: list[asyncio.Future[None]] = []
        self._room: asyncio.Event | None = None  # while there is none
        self._on_outage: Callable[[], None] | None = on_outage
        self._on_lost = on_lost
        file.on_written(self._note_written)
        if file.size < WAV_HEADER_BYTES:
            # A size that says "to the end of the file": killed at any moment, the recording plays.
            file.append(wav_header(audio_format))
        self.size = self._tail_start = file.size - WAV_HEADER_BYTES
        """``size``: bytes of audio appended so far."""
        self._full_at = file.keeps_from - WAV_HEADER_BYTES + UNWRITTEN_BYTES
        self._arrivals = Arrivals(audio_format.bytes_per_second)

    @property
    def seconds(self) -> float:
        """The session clock: seconds of audio appended so far."""
        return self.format.seconds(self.size)

    @property
    def written_seconds(self) -> float:
        """Seconds of audio that would survive the death of this process."""
        return self.format.seconds(max(0, self._file.written - WAV_HEADER_BYTES))

    @property
    def misaligned(self) -> bool:
        """Whether the last append ended inside a frame."""
        return bool(self._carry)

    def append(self, pcm: bytes) -> None:
        """Append audio; an incomplete last frame waits for the rest of it."""
        if self.ended:
            return
        if self._carry or len(pcm) % self._frame_bytes:
            pcm = self._whole_frames(pcm)
        if not pcm:
            return
        before = self.size
        self.size = size = before + len(pcm)
        self._tail.append(pcm)
        self._file.append(pcm)
        if size >= self._arrivals.due:
            self._arrivals.note(before, size)
        if size > self._full_at:
            self._hold_back()
        if self._waiters:
            self._wake()

    def _whole_frames(self, pcm: bytes) -> bytes:
        pcm = self._carry + pcm
        whole = len(pcm) - len(pcm) % self._frame_bytes
        self._carry = pcm[whole:]
        return pcm[:whole]

    def _hold_back(self) -> None:
        """Have who appends wait for the disk, or give audio up if that refuses."""
        if self._file.failing:
            self._note_lost(self._file.shed(UNWRITTEN_BYTES))
            self._trim()
        else:
            self._room = self._room or asyncio.Event()
            self._spool.wants_write(self._file, now=True)

    def arrived_at(self, seconds: float) -> float | None:
        """Return when the audio up to session time ``seconds`` came in, on the monotonic clock.

        Good to about a quarter of a second where audio does not come in real time; None for audio
        that was settled long ago, or appended by another process.
        """
        return self._arrivals.at(self.format.bytes(seconds))

    def write_soon(self) -> None:
        """Have what was appended written now rather than within FLUSH_INTERVAL."""
        if not self._file.failing:  # a disk that refuses is asked at its own pace
            self._spool.wants_write(self._file, now=True)

    async def safe(self) -> None:
        """Return once all that was appended so far is on disk; OSError if that refuses."""
        await self._file.flush()

    @property
    def full(self) -> bool:
        """Whether the disk lags so far behind that who appends has to wait for ``room``."""
        return self._room is not None

    async def room(self) -> None:
        """Return when more audio may be appended: at once, unless the disk lags far behind."""
        if self._room is not None:
            await self._room.wait()

    def finalize(self, request: FinalizeRequest) -> None:
        """Put a finalize in line with the audio."""
        self.finalizes.append(request)
        self._wake()

    def end(self) -> None:
        """Say that no more audio will come."""
        self.ended = True
        self._wake()

    def settle(self, position: int) -> None:
        """Say that nothing before ``position`` will be replayed, so memory may let go of it."""
        self._settled = max(self._settled, position)
        self._arrivals.settle(self._settled)
        self._trim()

    def recent(self, position: int, limit: int) -> bytes | None:
        """Return audio as ``read`` does, or None if it is not in memory any more."""
        if position == self.size:
            return b""
        if position < self._tail_start:
            return None
        last = self._tail[-1]
        if position == self.size - len(last) and len(last) <= limit:
            return last  # live audio: the piece that has just come
        return b"".join(self._tail_from(position, limit))

    async def read(self, position: int, limit: int) -> bytes:
        """Return audio from ``position``, at most ``limit`` bytes; empty at the end of the log."""
        if (pcm := self.recent(position, limit)) is not None:
            return pcm
        size = min(limit, self._tail_start - position)
        on_disk = self._file.written - WAV_HEADER_BYTES - position
        if on_disk <= 0:
            return bytes(size)  # given up while the disk refused
        size = min(size, on_disk)
        start = WAV_HEADER_BYTES + position
        return await self._spool.run(lambda: self._file.read(start, size))

    def _tail_from(self, position: int, limit: int) -> Iterator[bytes]:
        """Yield the pieces of the tail from ``position``, looking from its end, where readers are."""
        start, index = self.size, len(self._tail)
        while start > position:
            index -= 1
            start -= len(self._tail[index])
        skip = position - start
        while limit > 0 and index < len(self._tail):
            piece = self._tail[index][skip : skip + limit]
            limit -= len(piece)
            yield piece
            index, skip = index + 1, 0

    async def wait(self) -> None:
        """Return after the next change: audio, a finalize, the end."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            raise

    async def ended_within(self, seconds: float) -> bool:
        """Wait until the log ends, at most ``seconds``; return whether it has."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self.ended:
                    await self.wait()
        return self.ended

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _note_lost(self, size: int) -> None:
        if size and not self.lost:
            self._on_lost()
        self.lost += size

    def _note_written(self) -> None:
        if self._file.failing and (tell := self._on_outage) is not None:
            self._on_outage = None
            tell()
        self._trim()

    def _trim(self) -> None:
        written = self._file.keeps_from - WAV_HEADER_BYTES
        self._full_at = written + UNWRITTEN_BYTES
        keep_from = min(written, max(self._settled, self.size - TAIL_BYTES))
        count = 0
        for piece in self._tail:
            if self._tail_start + len(piece) > keep_from:
                break
            self._tail_start += len(piece)
            count += 1
        del self._tail[:count]
        enough = self._file.failing or self._file.size - self._file.written < UNWRITTEN_BYTES / 2
        if self._room is not None and enough:
            self._room.set()
            self._room = None

    async def finish(self) -> Path:
        """Write what is left and put the true size into the header; OSError if the disk refuses.

        Returns a file to give away: another name of the log's, which stays for who comes after a crash.
        """
        await self._file.flush()
        header = wav_header(self.format, self.size)
        await self._spool.run(lambda: self._file.overwrite(0, header))
        return await self._spool.run(self._file.link)
