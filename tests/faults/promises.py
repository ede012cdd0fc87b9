"""The promises the fault bench tests, and the table of what it measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- promises: begin -->", "<!-- promises: end -->"


@dataclass(frozen=True, slots=True)
class Promise:
    """What the gateway promises, and the figure at which it counts as kept."""

    number: str
    title: str
    goal: str


PROMISES = (
    Promise(
        "P1",
        "A provider that drops loses no words",
        "at every point of a stream's life, any number of times: every word once, in order",
    ),
    Promise(
        "P2",
        "Times stay on the session's clock",
        "words timed by samples, finals in order and without overlap, settled to the last sample",
    ),
    Promise(
        "P3",
        "Nothing is said twice",
        "late or repeated words of a stream that was replaced are dropped",
    ),
    Promise(
        "P4",
        "Catching up keeps to the provider's pace",
        "a backlog is replayed at no more than the declared speed (Deepgram: 1.25 times real time)",
    ),
    Promise(
        "P5",
        "A dead provider is noticed",
        "no answer to a ping: within 10 s; alive but mute or deaf: within 13 s",
    ),
    Promise(
        "P6",
        "Retries depend on the error",
        "passing faults: again after 0.1 s, then with jitter, at most 5 s apart; refusals: never; a "
        "chain that failed is tried again while the client stays; a bad key keeps all sessions away",
    ),
    Promise(
        "P7",
        "The next provider takes over in mid-word",
        "no word lost; at the next provider within 5 s of a drop, within 30 s of a silent hang",
    ),
    Promise(
        "P8",
        "kill -9 takes at most 250 ms",
        "of the audio that had arrived; the file plays as it lies; no final a client saw is missing",
    ),
    Promise(
        "P9",
        "Finals are on disk before they are shown",
        "killed at the moment of a final, with the store shut: the final is there afterwards",
    ),
    Promise(
        "P10",
        "A restart finds every open session",
        "killed in any phase: stored, marked interrupted, spool empty; a damaged database is never "
        "overwritten, the start says what to do",
    ),
    Promise(
        "P11",
        "A client may lose its socket",
        "resumed within 30 s: no event missing or doubled, recording equal byte for byte; the old "
        "connection is shut out",
    ),
    Promise(
        "P12",
        "A client that leaves without stop is saved",
        "its last words are settled and all is stored within 1 s of the end of its connection",
    ),
    Promise(
        "P13",
        "A client that does not read harms nobody",
        "cut off once 5 s pass without a byte read, memory bounded, all audio and finals stored",
    ),
    Promise(
        "P14",
        "A slow provider never slows the recording",
        "memory per session bounded however far it lags; all words in the end",
    ),
    Promise(
        "P15",
        "A full disk or a failing store stops no words",
        "words go on, /readyz says 503, new sessions are refused, storing catches up by itself, what "
        "no disk took is told",
    ),
    Promise(
        "P16",
        "A half-open client is noticed",
        "within 20 s, its socket freed within 25 s",
    ),
    Promise(
        "P17",
        "A restart drains",
        "not ready at once, sessions may finish, the rest is settled and stored; no audio and no "
        "final lost; out within the drain time and 5 s; a second signal at once",
    ),
    Promise(
        "P18",
        "One client cannot disturb another",
        "beside abusive clients nobody waits more than 250 ms longer",
    ),
    Promise(
        "P19",
        "Load is shed at the door",
        "what cannot be served is refused within 50 ms and running sessions go on",
    ),
    Promise(
        "P20",
        "A jump of the wall clock changes nothing",
        "an hour back in mid-session: durations, times and timeouts as before",
    ),
    Promise(
        "P21",
        "Silence does not lose the provider",
        "no connection before the first audio, KeepAlive as text in pauses, never an empty frame",
    ),
    Promise(
        "P22",
        "A session ends",
        "stopped within 2 s of the provider's last word (p99); with a provider that owes words and "
        "hangs, within 30 s",
    ),
    Promise(
        "P23",
        "Nothing leaks",
        "many short sessions leave no task, thread, socket or file, and memory stands still",
    ),
)


@dataclass
class Row:
    """What was measured for one promise."""

    figures: dict[str, list[float]] = field(default_factory=dict)
    modes: dict[str, str] = field(default_factory=dict)
    passed: int = 0
    failed: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @property
    def figure(self) -> str:
        """All figures as one line."""
        parts = []
        for text, values in self.figures.items():
            match self.modes[text]:
                case "most":
                    parts.append(text.format(max(values)))
                case "total":
                    parts.append(text.format(sum(values)))
                case _:
                    parts.append(text)
        return "; ".join(parts)

    @property
    def verdict(self) -> str:
        """Whether the promise holds."""
        if self.failed:
            names = dict.fromkeys(name.partition("[")[0] for name in self.failed)
            return "**no**: " + "; ".join(names)
        if self.open:
            return "partly: " + "; ".join(dict.fromkeys(self.open))
        if self.skipped:
            reasons = "; ".join(dict.fromkeys(self.skipped))
            return f"{'yes' if self.passed else 'not tested'}; left out: {reasons}"
        return "yes" if self.passed else "not run"


class Report:
    """Collects figures and outcomes by promise; a test gets its ``measure`` methods."""

    def __init__(self) -> None:
        self.rows = {promise.number: Row() for promise in PROMISES}

    @property
    def complete(self) -> bool:
        """Whether something was run for every promise."""
        return all(row.verdict != "not run" for row in self.rows.values())

    def say(self, promise: str, figure: str) -> None:
        """Add a figure as it is."""
        self._note(promise, figure, 0.0, "say")

    def most(self, promise: str, figure: str, value: float) -> None:
        """Add a figure with a place for the largest ``value`` of all calls."""
        self._note(promise, figure, value, "most")

    def total(self, promise: str, figure: str, value: float) -> None:
        """Add a figure with a place for the sum of the values of all calls."""
        self._note(promise, figure, value, "total")

    def _note(self, promise: str, figure: str, value: float, mode: str) -> None:
        row = self.rows[promise]
        row.figures.setdefault(figure, []).append(value)
        row.modes[figure] = mode

    def dump(self) -> dict[str, dict[str, Any]]:
        """Return all of it as plain values."""
        return {number: asdict(row) for number, row in self.rows.items()}

    def add(self, dumped: Mapping[str, Mapping[str, Any]]) -> None:
        """Add what another process has collected."""
        for number, other in dumped.items():
            row = self.rows[number]
            for figure, values in other["figures"].items():
                row.figures.setdefault(figure, []).extend(values)
            row.modes |= other["modes"]
            row.passed += other["passed"]
            row.failed += other["failed"]
            row.open += other["open"]
            row.skipped += other["skipped"]

    def table(self) -> Iterator[str]:
        """Yield the lines of the table."""
        yield "| | promise | goal | measured | holds |"
        yield "|---|---|---|---|---|"
        for promise in PROMISES:
            row = self.rows[promise.number]
            cells = (promise.number, promise.title, promise.goal, row.figure, row.verdict)
            yield f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def rewrite_page(lines: Iterable[str]) -> None:
    """Put the table between the marks of the page."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    table = "\n".join(lines)
    PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")
