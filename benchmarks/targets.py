"""What sttgate wants to cost, and whether the results that are kept meet it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Results = Mapping[str, Mapping[str, Any]]
"""Results by the name of the measurement."""


@dataclass(frozen=True)
class Target:
    """One figure: how to find it in the results, and what it should be."""

    what: str
    sense: Literal["at most", "at least"]
    goal: float
    figure: Callable[[Results], float]
    unit: str = ""

    def met(self, value: float) -> bool:
        """Whether ``value`` is good enough."""
        return value <= self.goal if self.sense == "at most" else value >= self.goal


def _chunk(size: int, key: str) -> Callable[[Results], float]:
    return lambda results: results["chunks"]["sizes"][str(size)]["sttgate"][key]["median"]


def _memory(key: str) -> Callable[[Results], float]:
    return lambda results: results["memory"]["servers"]["sttgate"][key]


def _wrong(results: Results) -> float:
    tables = [*results["chunks"]["sizes"].values(), results["latency"]["servers"]]
    counted = [table["sttgate"]["wrong"] for table in tables]
    counted += [row["wrong"] for row in results["workers"]["servers"].values()]
    counted.append(results["growth"]["long"]["wrong"])
    return sum(sum(counts.values()) for counts in counted)


def _stops(results: Results) -> Mapping[str, Any]:
    stops: Mapping[str, Any] = results["stop"]["servers"]["sttgate"]
    return stops


def _longer_stop(results: Results) -> float:
    stops = _stops(results)
    return float(stops["60"]["stop_ms"]["median"] / stops["1"]["stop_ms"]["median"])


def _worst_wait(results: Results) -> float:
    return float(max(row["others_worst_ms"]["median"] for row in _stops(results).values()))


def _search(results: Results) -> float:
    return float(max(row["p95_ms"] for row in results["search"]["search"].values()))


def _flat(figure: Callable[[Mapping[str, Any]], float]) -> Callable[[Results], float]:
    """Return the figure with most sessions stored over the one with fewest."""

    def over(results: Results) -> float:
        sizes = list(results["search"]["sizes"].values())
        return figure(sizes[-1]) / figure(sizes[0])

    return over


CHUNK_TO_NGINX = {20: 2.6, 100: 2.9}
"""CPU for a chunk of so many milliseconds, at most so many times the nginx relay's."""

SESSIONS_TO_FASTAPI = {20: 1.8, 100: 2.3}
"""Sessions a core with such chunks, at least so many times the FastAPI design's."""

TARGETS = (
    *(
        Target(
            f"CPU for a {size} ms chunk ÷ nginx relay", "at most", goal, _chunk(size, "times_nginx")
        )
        for size, goal in CHUNK_TO_NGINX.items()
    ),
    *(
        Target(
            f"sessions a core ÷ FastAPI, {size} ms",
            "at least",
            goal,
            _chunk(size, "sessions_times_fastapi"),
        )
        for size, goal in SESSIONS_TO_FASTAPI.items()
    ),
    Target(
        "added p99 latency over nginx, 100 sessions",
        "at most",
        5,
        lambda results: results["latency"]["servers"]["sttgate"]["added_p99_ms"]["median"],
        " ms",
    ),
    Target("bytes, transcripts, finals lost; order; recordings wrong", "at most", 0, _wrong),
    Target("memory of an idle connection", "at most", 16, _memory("idle_kib"), " KiB"),
    Target("memory of a streaming session", "at most", 80, _memory("streaming_kib"), " KiB"),
    Target("growth for a second of audio", "at most", 0.3, _memory("growth_kib_per_s"), " KiB"),
    Target("stop after 60 min ÷ stop after 1 min", "at most", 1.5, _longer_stop),
    Target("others' worst wait while one stops", "at most", 20, _worst_wait, " ms"),
    Target(
        "CPU in the tenth hour ÷ first minute",
        "at most",
        1.1,
        lambda results: results["growth"]["long"]["last_over_first"]["median"],
    ),
    Target(
        "sessions of two workers ÷ one process",
        "at least",
        1.9,
        lambda results: results["workers"]["times_one"]["median"],
    ),
    Target("search in 100 000 utterances, worst p95", "at most", 50, _search, " ms"),
    Target(
        "first page, 100 000 sessions ÷ 1000 (p50)",
        "at most",
        1.5,
        _flat(lambda row: row["first_page"]["p50_ms"]),
    ),
    Target(
        "CPU of a start, 100 000 sessions ÷ 1000",
        "at most",
        1.5,
        _flat(lambda row: row["start_cpu_ms"]["median"]),
    ),
)
