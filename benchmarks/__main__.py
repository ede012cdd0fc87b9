"""``python -m benchmarks``: measure on this machine, and print what came out."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import os
import signal
import sys

import uvloop

from benchmarks import report
from benchmarks.bench import Effort, Result, say
from benchmarks.machine import describe

MEASURES = ("chunks", "latency", "memory", "stop", "stages", "growth", "workers", "search")


def main() -> None:
    """Run the measurements that are named, all without a name."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {', '.join(MEASURES)}")
    parser.add_argument("--quick", action="store_true", help="minutes, and rough figures")
    parser.add_argument("--rounds", type=int, help="how often each server takes its turn")
    parser.add_argument(
        "--save", action="store_true", help="keep the results, which docs/performance.md shows"
    )
    given = parser.parse_args()
    if unknown := set(given.names) - set(MEASURES):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(MEASURES)}")
    if not sys.platform.startswith("linux"):
        parser.error("the CPU time of other processes is read from /proc, so this needs Linux")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended
    effort = Effort.little() if given.quick else Effort()
    if given.rounds:
        effort = dataclasses.replace(effort, rounds=given.rounds)
    for name in given.names or MEASURES:
        result = measure(name, effort)
        if given.save:
            report.save(name, result)
        sys.stdout.write(f"\n{report.table(name, result)}\n")
        sys.stdout.flush()


def measure(name: str, effort: Effort) -> Result:
    """Run one measurement; return its result with what is known of the machine."""
    say(f"--- {name}")
    load, _, _ = os.getloadavg()  # processes that wanted a core in the last minute
    module = importlib.import_module(f"benchmarks.measures.{name}")
    result: Result = uvloop.run(module.run(effort))
    return {"machine": describe(), "load_before": round(load, 1), "quick": effort.quick, **result}


if __name__ == "__main__":
    main()
