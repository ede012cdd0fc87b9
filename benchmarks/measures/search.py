"""The store that grows: searching 100 000 utterances, listing and starting with 100 000 sessions."""

from __future__ import annotations

import asyncio
import json
import os
import random
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from itertools import accumulate, islice, product
from pathlib import Path
from typing import Any

from benchmarks.bench import Effort, Result, say
from benchmarks.figures import Figure, percentile
from benchmarks.processes import Program, cores, python, running
from benchmarks.servers import everything_on
from sttgate import SessionEnd, SessionQuery, SessionStart, Utterance, Word
from sttgate_sqlite.options import SqliteOptions
from sttgate_sqlite.store import SqliteStore

SIZES = (1_000, 10_000, 100_000)
UTTERANCES_PER_SESSION = 20
ASKED = 60  # times each kind of query
_EPOCH = 1_700_000_000.0
_AT_ONCE = 500
_VOCABULARY = [
    "".join(parts)
    for parts in islice(product("bdfgklmnprst", "aeiou", "lmnrst", "aeiou", "knst"), 5_000)
]
_WEIGHTS = list(accumulate(1 / (place + 1) for place in range(len(_VOCABULARY))))


async def run(effort: Effort) -> Result:
    """Return milliseconds: of searches by kind, of a page of the list, of a start."""
    sizes = SIZES[:2] if effort.quick else SIZES
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        searched = await _search(Path(folder), sizes[-1])
        grown = await _grow(Path(folder), sizes)
    return {
        "utterances": sizes[-1],
        "sessions_searched": sizes[-1] // UTTERANCES_PER_SESSION,
        "search": searched,
        "sizes": grown,
    }


async def _search(folder: Path, utterances: int) -> Result:
    rng, me = random.Random(11), Program(os.getpid())
    store = _store(folder / "search.db")
    await store.open()
    try:
        began = time.monotonic()
        await _fill(store, 0, utterances // UTTERANCES_PER_SESSION, UTTERANCES_PER_SESSION, rng)
        say(f"{utterances} utterances stored in {time.monotonic() - began:.0f} s")
        spread = range(20, 4_000)
        kinds: dict[str, Callable[[], str]] = {
            "a common word": lambda: rng.choice(_VOCABULARY[:20]),
            "a rare word": lambda: _VOCABULARY[rng.choice(spread)],
            "two words": lambda: " ".join(rng.choice(_VOCABULARY[:200]) for _ in range(2)),
            "a phrase": lambda: '"' + " ".join(rng.choices(_VOCABULARY[:20], k=2)) + '"',
            "two letters of a word": lambda: rng.choice(_VOCABULARY)[:2],
        }
        result: Result = {}
        me.hurry()
        for kind, query in kinds.items():
            took, found = [], 0
            for _ in range(ASKED):
                text = query()
                before = time.perf_counter()
                page = await store.list(SessionQuery(text=text))
                took.append(1000 * (time.perf_counter() - before))
                found += bool(page.sessions)
            result[kind] = _percentiles(took) | {"found": found / ASKED}
            say(f"{kind}: {result[kind]}")
        return result
    finally:
        me.hurry(on=False)
        await store.close()


async def _grow(folder: Path, sizes: Iterable[int]) -> Result:
    rng, stored, me = random.Random(12), 0, Program(os.getpid())
    config = everything_on("http://127.0.0.1:1", folder)
    config["access"]["required"] = False  # no key is made for it
    result: Result = {}
    for size in sizes:
        store = _store(Path(config["transcripts"]["path"]))
        await store.open()
        try:
            await _fill(store, stored, size - stored, 1, rng)
            stored = size
            me.hurry()
            row = await _pages(store, size, rng)
        finally:
            me.hurry(on=False)
            await store.close()
        starts = [_start_up(config, folder) for _ in range(5)]
        row["start_ms"] = Figure.of([took for took, _ in starts]).plain()
        row["start_cpu_ms"] = Figure.of([cpu for _, cpu in starts]).plain()
        say(f"{size} sessions: {row}")
        result[str(size)] = row
    return result


def _later_page(store: SqliteStore, size: int, rng: random.Random) -> Callable[[], Awaitable[Any]]:
    return lambda: store.list(SessionQuery(until=_EPOCH + rng.randrange(size // 2, size)))


async def _pages(store: SqliteStore, size: int, rng: random.Random) -> Result:
    return {
        "first_page": await _timed(lambda: store.list(SessionQuery())),
        "a_later_page": await _timed(_later_page(store, size, rng)),
        "by_provider": await _timed(lambda: store.list(SessionQuery(provider="deepgram"))),
        "one_session": await _timed(lambda: store.get(_id(rng.randrange(size)))),
    }


async def _timed(ask: Callable[[], Awaitable[Any]]) -> Result:
    took = []
    for _ in range(ASKED):
        before = time.perf_counter()
        await ask()
        took.append(1000 * (time.perf_counter() - before))
    return _percentiles(took)


def _percentiles(took: list[float]) -> dict[str, float]:
    return {
        "p50_ms": round(percentile(took, 0.5), 2),
        "p95_ms": round(percentile(took, 0.95), 2),
    }


def _start_up(config: dict[str, Any], folder: Path) -> tuple[float, float]:
    """Return milliseconds until a new ``sttgate serve`` takes a connection: in all, and of CPU."""
    path = folder / "config.yaml"
    path.write_text(json.dumps(config))
    before = time.perf_counter()
    with running(
        python("sttgate", "serve", "-c", path),
        config["server"]["port"],
        pinned=cores()[0],
        cwd=folder,
    ) as program:
        return 1000 * (time.perf_counter() - before), program.cpu_ns() / 1e6


# -- what is stored ---------------------------------------------------------------------------


async def _fill(
    store: SqliteStore, first: int, count: int, utterances: int, rng: random.Random
) -> None:
    """Store sessions, many at once, so that they share commits."""
    todo = iter(range(first, first + count))
    while some := list(islice(todo, _AT_ONCE)):
        await asyncio.gather(*(store.begin(_session(number)) for number in some))
        said = [(number, u) for number in some for u in _utterances(utterances, rng)]
        await asyncio.gather(*(store.add_utterance(_id(number), u) for number, u in said))
        await asyncio.gather(*(store.end(_id(number), _end(number)) for number in some))


def _store(path: Path) -> SqliteStore:
    # "normal" only makes the filling quicker: reading does not depend on it.
    return SqliteStore(SqliteOptions.model_validate({"path": path, "synchronous": "normal"}))


def _id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def _session(number: int) -> SessionStart:
    return SessionStart(
        id=_id(number),
        created_at=_EPOCH + number,
        protocol="native/2",
        sample_rate=16_000,
        channels=1,
        provider="deepgram",
        metadata={"room": number % 50},
    )


def _utterances(count: int, rng: random.Random) -> Iterator[Utterance]:
    for number in range(1, count + 1):
        words = rng.choices(_VOCABULARY, cum_weights=_WEIGHTS, k=rng.randint(4, 14))
        at = 5.0 * number
        yield Utterance(
            number=number,
            start=at,
            end=at + 0.3 * len(words),
            text=" ".join(words),
            provider="deepgram",
            words=[
                Word(text=word, start=at + 0.3 * i, end=at + 0.3 * (i + 1), confidence=0.99)
                for i, word in enumerate(words)
            ],
            complete=True,
        )


def _end(number: int) -> SessionEnd:
    return SessionEnd(
        state="completed",
        ended_at=_EPOCH + number + 60,
        duration=60.0,
        reason="client",
        recording=False,
        usage={"audio_s": 60.0},
    )
