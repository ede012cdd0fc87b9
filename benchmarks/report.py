"""Results as files, tables and plots: pure but for the files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.plot import bars
from benchmarks.targets import CHUNK_TO_NGINX, SESSIONS_TO_FASTAPI, TARGETS

Result = Mapping[str, Any]
_VERSIONS = ("aiohttp", "uvloop", "deepgram-sdk", "fastapi")
RESULTS = Path(__file__).parent / "results"
PLOT = Path(__file__).parents[1] / "docs" / "performance.svg"


def save(name: str, result: Result) -> None:
    """Keep a result."""
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(result, indent=1, ensure_ascii=False)
    (RESULTS / f"{name}.json").write_text(f"{text}\n", "utf-8")
    if name == "chunks" and "nginx relay" in result["sizes"]["100"]:
        PLOT.write_text(bars(result), "utf-8")


def load(name: str) -> Result:
    """Return the result that is kept."""
    result: Result = json.loads((RESULTS / f"{name}.json").read_text("utf-8"))
    return result


def targets() -> str:
    """Return the targets beside the results that are kept, as a Markdown table."""
    names = ("chunks", "latency", "memory", "stop", "growth", "workers", "search")
    results = {name: load(name) for name in names}
    rows = []
    for target in TARGETS:
        value = target.figure(results)
        goal = f"{target.sense} {target.goal:g}{target.unit}"
        verdict = "met" if target.met(value) else "**not met**"
        rows.append([target.what, goal, f"{number(value)}{target.unit}", verdict])
    return _rows(["figure", "target", "measured", ""], rows)


def floor() -> str:
    """Return what the targets for CPU leave beside the recorder, as a Markdown table."""
    rows = []
    for size, servers in load("chunks")["sizes"].items():
        recorder, ours = servers["aiohttp recorder"], servers["sttgate"]
        times = ours["cpu_us"]["median"] / recorder["cpu_us"]["median"]
        allowed = {
            f"{size} ms ÷ nginx relay": CHUNK_TO_NGINX[int(size)]
            / recorder["times_nginx"]["median"],
            f"{size} ms, sessions ÷ FastAPI": recorder["sessions_times_fastapi"]["median"]
            / SESSIONS_TO_FASTAPI[int(size)],
        }
        rows += [[what, number(most), number(times)] for what, most in allowed.items()]
    return _rows(["CPU in times the aiohttp recorder", "the target allows", "sttgate"], rows)


def machines() -> str:
    """Return when and where each result was measured, as a Markdown table."""
    rows = []
    for name in _TABLES:
        result = load(name)
        machine = result["machine"]
        versions = ", ".join(
            f"{package} {machine[package]}" for package in _VERSIONS if package in machine
        )
        rows.append(
            [
                f"`{name}`",
                machine["date"],
                f"{machine['processor']}, {machine['cores']} cores, Linux {machine['kernel']}",
                f"Python {machine['python']}, {versions}",
                f"{result['load_before']:g}",
            ]
        )
    return _rows(["measurement", "day", "machine", "versions", "load before"], rows)


def table(name: str, result: Result) -> str:
    """Return a result as a Markdown table."""
    return _TABLES[name](result)


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float) -> str:
    """Return three digits that count."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def spread(figure: Mapping[str, float] | None, unit: str = "") -> str:
    """Return a median with its least and most, or a dash."""
    if figure is None:
        return "–"
    least, most = number(figure["least"]), number(figure["most"])
    return f"{number(figure['median'])}{unit} ({least}–{most})"


def _chunks(result: Result) -> str:
    parts = []
    for size, servers in result["sizes"].items():
        rows = [
            [
                name,
                spread(row["cpu_us"]),
                spread(row.get("times_nginx")),
                spread(row.get("times_aiohttp")),
                number(row["sessions_per_core"]["median"]),
                spread(row.get("sessions_times_fastapi")),
                number(row["p99_ms"]["median"]),
                number(row["stop_p99_ms"]["median"]),
                f"{row['waited']['median']:.1%}",
                _wrong(row["wrong"]),
            ]
            for name, row in servers.items()
        ]
        head = [
            f"{size} ms chunks",
            "CPU µs a chunk",
            "× nginx",
            "× aiohttp relay",
            "sessions a core",
            "sessions × FastAPI",
            "p99 ms",
            "stop p99 ms",
            "waited for a core",
            "lost or wrong",
        ]
        parts.append(_rows(head, rows))
    return "\n\n".join(parts)


def _wrong(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in counts.items()) or "nothing"


def _latency(result: Result) -> str:
    rows = [
        [
            name,
            spread(row["p50_ms"]),
            spread(row["p99_ms"]),
            spread(row.get("added_p50_ms")),
            spread(row.get("added_p99_ms")),
            number(row["load_late_p99_ms"]["median"]),
        ]
        for name, row in result["servers"].items()
    ]
    head = ["server", "p50 ms", "p99 ms", "added p50", "added p99", "the load itself, p99 late"]
    return _rows(head, rows)


def _memory(result: Result) -> str:
    rows = [
        [
            name,
            number(row["idle_kib"]),
            number(row["streaming_kib"]),
            number(row["growth_kib_per_s"]),
        ]
        for name, row in result["servers"].items()
    ]
    head = [
        "server",
        "idle connection, KiB",
        "streaming session, KiB",
        "KiB more for each second of audio",
    ]
    return _rows(head, rows)


def _stop(result: Result) -> str:
    lengths = list(next(iter(result["servers"].values())))
    rows = [
        [
            name,
            *(spread(row[length]["stop_ms"]) for length in lengths),
            *(spread(row[length]["others_worst_ms"]) for length in lengths),
        ]
        for name, row in result["servers"].items()
    ]
    head = [
        "server",
        *(f"stop after {length} min, ms" for length in lengths),
        *(f"others' worst wait ({length} min), ms" for length in lengths),
    ]
    return _rows(head, rows)


def _stages(result: Result) -> str:
    parts = []
    for size, variants in result["sizes"].items():
        rows = [
            [name, spread(row["cpu_us"]), spread(row["times_all"]), spread(row["saved_us"])]
            for name, row in variants.items()
        ]
        head = [
            f"{size} ms chunks",
            "CPU µs a chunk",
            "× everything on",
            "µs less than everything on",
        ]
        parts.append(_rows(head, rows))
    return "\n\n".join(parts)


def _growth(result: Result) -> str:
    counts = list(next(iter(result["servers"].values())))
    rows = [
        [name, *(spread(row[count]["cpu_us"]) for count in counts)]
        for name, row in result["servers"].items()
    ]
    long = result["long"]
    return (
        _rows(["CPU µs a chunk with … sessions", *counts], rows)
        + "\n\n"
        + _rows(
            [
                "one session, time compressed",
                "first minute, µs a chunk",
                f"after {number(long['hours'])} hours",
                "ratio",
                "stop then, ms",
            ],
            [
                [
                    "sttgate",
                    spread(long["first_us"]),
                    spread(long["last_us"]),
                    spread(long["last_over_first"]),
                    number(long["stop_ms"]),
                ]
            ],
        )
    )


def _workers(result: Result) -> str:
    rows = [
        [name, number(row["sessions"]), spread(row["cpu_us"]), _wrong(row["wrong"])]
        for name, row in result["servers"].items()
    ]
    rows.append(["times the sessions of one", "", spread(result["times_one"]), ""])
    head = [f"{result['chunk_ms']} ms chunks", "sessions", "CPU µs a chunk", "lost or wrong"]
    return _rows(head, rows)


def _search(result: Result) -> str:
    searches = [
        [kind, number(row["p50_ms"]), number(row["p95_ms"]), f"{row['found']:.0%}"]
        for kind, row in result["search"].items()
    ]
    sizes = result["sizes"]
    rows = [
        [what, *(number(row[key]["p95_ms"]) for row in sizes.values())]
        for what, key in (
            ("first page of the list, p95", "first_page"),
            ("a later page, p95", "a_later_page"),
            ("the list of one provider, p95", "by_provider"),
            ("one whole session, p95", "one_session"),
        )
    ]
    for what, key in (("", "start_ms"), (", of CPU", "start_cpu_ms")):
        rows.append([f"start of `sttgate serve`{what}", *(spread(r[key]) for r in sizes.values())])
    return (
        _rows(
            [f"search {result['utterances']} utterances for", "p50 ms", "p95 ms", "found"],
            searches,
        )
        + "\n\n"
        + _rows(["ms with … sessions stored", *sizes], rows)
    )


_TABLES: Mapping[str, Callable[[Result], str]] = {
    "chunks": _chunks,
    "latency": _latency,
    "memory": _memory,
    "stop": _stop,
    "stages": _stages,
    "growth": _growth,
    "workers": _workers,
    "search": _search,
}
