"""Medians and spreads."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Figure:
    """The median of several rounds, and the least and most of them."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Figure:
        """Sum up ``values``, of which there is at least one."""
        return cls(statistics.median(values), min(values), max(values))

    def plain(self) -> dict[str, float]:
        """Return it as numbers for JSON, with four digits that count."""
        return {name: significant(value) for name, value in asdict(self).items()}


def significant(value: float, digits: int = 4) -> float:
    """Round to so many digits that count."""
    if value == 0 or not math.isfinite(value):
        return value
    return round(value, digits - 1 - math.floor(math.log10(abs(value))))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which ``share`` of them lie; NaN if there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else math.nan
