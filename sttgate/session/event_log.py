"""The event log: what a session said, numbered, finals on disk before anybody sees them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing
from functools import partial

import msgspec

from sttgate.errors import SttgateError
from sttgate.session.entries import AnyEntry, Transcript
from sttgate.session.spool import Spool, SpoolFile

MEMORY_ENTRIES = 64  # for readers that fall behind; older durable entries are read back from disk
_SEEN_ENTRIES = 4  # that all readers have seen, before it is worth the time to forget them
_BLOCK_BYTES = 64 * 1024

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[AnyEntry] = msgspec.json.Decoder(AnyEntry)


class EventsGone(SttgateError):
    """A reader is so far behind that it needs the disk, and the session has left that."""


class EventLog:
    """Appended by the session, read from any ``seq`` by any number of readers.

    ``last_seq`` and ``texts``, of finals, are those of a log that is gone on with.
    ``visible_seq`` is the last one that readers may see. ``ended``: nothing is appended any more.
    ``words_wanted``: somebody reads the words of interims, which are left out where nobody does.
    """

    def __init__(
        self, file: SpoolFile, spool: Spool, last_seq: int = 0, texts: Iterable[str] = ()
    ) -> None:
        self.last_seq = self.visible_seq = last_seq
        self.ended = False
        self._file = file
        self._spool = spool
        self._texts = list(texts)  # 50 KiB an hour, which `stop` has no time to read back
        self._unpublished: list[tuple[AnyEntry, int]] = []
        self._recent: list[AnyEntry] = []  # short, so a list: an empty deque is a kilobyte
        self._evicted_seq = last_seq
        self._readers: set[EventReader] = set()
        self.words_wanted = False
        self._reader_moved: asyncio.Event | None = None  # while somebody waits for it
        file.on_written(self._publish_written)

    def append(self, entry: AnyEntry) -> AnyEntry:
        """Give ``entry`` the next ``seq`` and make it visible, a durable one once it is on disk."""
        self.last_seq = entry.seq = self.last_seq + 1
        durable = entry.durable
        if durable:
            self._file.append(_encoder.encode(entry) + b"\n", now=True)
            if isinstance(entry, Transcript):
                self._texts.append(entry.text)
        elif not self._unpublished:
            self._recent.append(entry)
            self._tell(entry.seq, durable=False)
            return entry
        self._unpublished.append((entry, self._file.size))
        self._publish_written()
        return entry

    def reader(
        self,
        after: int,
        notify: Callable[[], None],
        *,
        watching: bool = False,
        durable_only: bool = False,
        words: bool = False,
    ) -> EventReader:
        """Return a reader of everything after ``seq``; ``notify`` is called when there is more.

        ``watching``: one that the session owes nothing, so is not kept for. ``durable_only``: one
        that is not called for interims, though it may find some beside what it is called for.
        ``words``: one for whom interims have words, as finals always do.
        """
        reader = EventReader(self, after, notify, watching, durable_only, words)
        self._readers.add(reader)
        self.words_wanted = self.words_wanted or words
        return reader

    @property
    def watchers(self) -> int:
        """How many readers only watch."""
        return sum(reader.watching for reader in self._readers)

    async def read_by_all(self, *, watching: bool = False) -> None:
        """Return once every reader, of those that only watch or the others, has read all or closed."""
        while any(
            reader.after < self.last_seq and reader.watching == watching for reader in self._readers
        ):
            self._reader_moved = asyncio.Event()
            await self._reader_moved.wait()

    def end(self) -> None:
        """Say that nothing more will be appended."""
        self.ended = True
        for reader in self._readers:
            reader._notify()

    @property
    def full_text(self) -> str:
        """All finals joined with one space."""
        return " ".join(self._texts)

    def _publish_written(self) -> None:
        # While the disk refuses, live words go on; what is pending is written when it recovers.
        visible = self._file.size if self._file.failing else self._file.written
        seq, durable = self.visible_seq, False
        while self._unpublished and self._unpublished[0][1] <= visible:
            entry = self._unpublished.pop(0)[0]
            self._recent.append(entry)
            seq = entry.seq
            durable = durable or entry.durable
        if seq != self.visible_seq:
            self._tell(seq, durable=durable)

    def _tell(self, seq: int, *, durable: bool) -> None:
        """Show readers what is new, up to ``seq``."""
        before, self.visible_seq = self.visible_seq, seq
        if len(self._recent) > MEMORY_ENTRIES:
            self._trim()
        for reader in self._readers:
            if durable or not reader.durable_only:
                reader._notify()
            elif reader.after == before:
                reader.after = seq
                self._note_moved()

    def _trim(self) -> None:
        """Forget what every reader has seen.

        Beyond the bound first what only the store has not seen, then stale interims, then the oldest.
        The newest stays: ``Stopped`` may be read again by a client whose socket it was lost with.
        """
        if len(self._recent) <= 1:
            return
        seen = min([reader.after for reader in self._readers], default=0)
        while len(self._recent) > 1 and self._recent[0].seq <= seen:
            self._evict(self._recent.pop(0))
        if len(self._recent) > MEMORY_ENTRIES:
            live = [reader.after for reader in self._readers if not reader.durable_only]
            seen = min(live, default=seen)
            while len(self._recent) > MEMORY_ENTRIES and self._recent[0].seq <= seen:
                self._evict(self._recent.pop(0))
        if len(self._recent) > MEMORY_ENTRIES:
            newest = self._recent.pop()
            self._recent = [entry for entry in self._recent if entry.durable]
            self._recent.append(newest)
        while len(self._recent) > MEMORY_ENTRIES:
            self._evict(self._recent.pop(0))

    def _note_moved(self) -> None:
        if self._reader_moved is not None:
            self._reader_moved.set()
        if len(self._recent) > _SEEN_ENTRIES:
            self._trim()

    def _evict(self, entry: AnyEntry) -> None:
        if entry.durable:
            self._evicted_seq = entry.seq

    async def _lines(self, start: int) -> AsyncGenerator[bytes, None]:
        """Yield the durable entries from byte ``start``: those on disk, then those on the way."""
        rest = b""
        while start < self._file.written:
            try:
                block = await self._spool.run(partial(self._file.read, start, _BLOCK_BYTES))
            except ValueError as error:  # the file is closed
                raise EventsGone("the session is over and its events are gone") from error
            start += len(block)
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                yield line
        # A reader may be ahead of a disk that refuses.
        ahead = start - self._file.written
        for line in (rest + self._file.unwritten()[ahead:]).split(b"\n")[:-1]:
            yield line


class EventReader:
    """A cursor on an event log."""

    def __init__(
        self,
        log: EventLog,
        after: int,
        notify: Callable[[], None],
        watching: bool = False,
        durable_only: bool = False,
        words: bool = False,
    ) -> None:
        self.after = after
        self.words = words
        self.watching = watching
        self.durable_only = durable_only
        self._log = log
        self._notify = notify
        self._offset = 0

    @property
    def up_to_date(self) -> bool:
        """Whether everything that may be seen was taken."""
        return self.after >= self._log.visible_seq

    async def take(self) -> list[AnyEntry]:
        """Return what is new, in order of ``seq``, without waiting; interims may be skipped.

        Who is behind gets it in portions: there is no more only when the list is empty. EventsGone
        for one that is behind when the session is gone.
        """
        log = self._log
        if self.after < log._evicted_seq:
            entries = await self._from_disk()
        else:
            after = self.after
            entries = [entry for entry in log._recent if entry.seq > after]
        if entries:
            self.after = entries[-1].seq
            log._note_moved()
        return entries

    async def follow(self) -> AsyncGenerator[AnyEntry, None]:
        """Yield entries until the log has ended, waiting for each; takes over ``notify``."""
        more = asyncio.Event()
        self._notify = more.set
        while True:
            more.clear()
            ended = self._log.ended
            entries = await self.take()
            for entry in entries:
                yield entry
            if not entries:
                if ended:
                    return
                await more.wait()

    def close(self) -> None:
        """Stop reading."""
        log = self._log
        log._trim()  # while what it has seen still counts
        log._readers.discard(self)
        log.words_wanted = any(reader.words for reader in log._readers)
        log._note_moved()

    async def _from_disk(self) -> list[AnyEntry]:
        entries: list[AnyEntry] = []
        goal, offset = self._log._evicted_seq, self._offset
        async with aclosing(self._log._lines(offset)) as lines:
            async for line in lines:
                entry = _decoder.decode(line)
                if entry.seq > goal:
                    break
                offset += len(line) + 1
                if entry.seq > self.after:
                    entries.append(entry)
                if len(entries) >= MEMORY_ENTRIES:
                    break
        self._offset = offset  # only now, since who is cancelled above reads the same again
        return entries


def read_entries(file: SpoolFile) -> Iterator[tuple[AnyEntry, int]]:
    """Yield each entry of a file nobody writes, and where its line ends; stop at a torn one. Blocks."""
    start, rest = 0, b""
    while block := file.read(start, _BLOCK_BYTES):
        at = start - len(rest)
        start += len(block)
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            at += len(line) + 1
            try:
                yield _decoder.decode(line), at
            except msgspec.DecodeError:
                return
