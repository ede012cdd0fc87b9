"""The metrics of several processes added up, whatever families they have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

_GAUGES: Mapping[str, Callable[[float, float], float]] = MappingProxyType(
    {
        "sttgate_sessions_max": max,  # a limit of all together
        "sttgate_store_outage_seconds": max,
        "sttgate_spool_failing": max,
        "sttgate_draining": min,  # as long as one worker stays, the gateway does
        "sttgate_provider_up": min,
        "sttgate_build_info": max,
        "process_start_time_seconds": min,
    }
)
"""How gauges are put together that are no sums."""

Labels = tuple[tuple[str, str], ...]


class Sums(Collector):
    """Adds up metrics in Prometheus' text format."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._heads: dict[str, tuple[str, str]] = {}
        self._values: dict[str, dict[tuple[str, Labels], float]] = {}
        for text in texts:
            self.add(text)

    def add(self, text: str, *, over: bool = False) -> None:
        """Add the metrics of a process; of one that is ``over``, only what it counted stays."""
        for family in text_string_to_metric_families(text):
            if over and family.type == "gauge":
                continue
            together = _GAUGES.get(family.name, float.__add__)
            self._heads.setdefault(family.name, (family.documentation, family.type))
            values = self._values.setdefault(family.name, {})
            for sample in family.samples:
                key = sample.name, tuple(sample.labels.items())
                value = float(sample.value)
                values[key] = together(values[key], value) if key in values else value

    def by(self, name: str, label: str, **only: str) -> dict[str, float]:
        """Return the values of a sample by one of its labels, of those with the labels in ``only``."""
        sums: dict[str, float] = {}
        for (sample, pairs), value in self._values.get(name.removesuffix("_total"), {}).items():
            labels = dict(pairs)
            if sample == name and only.items() <= labels.items():
                sums[labels.get(label, "")] = sums.get(labels.get(label, ""), 0.0) + value
        return sums

    def total(self, name: str) -> float:
        """Return the sum of all samples of this name."""
        return sum(self.by(name, "").values())

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        for name, (text, kind) in self._heads.items():
            family = Metric(name, text, kind)
            for (sample, labels), value in self._values[name].items():
                family.add_sample(sample, dict(labels), value)
            yield family

    def text(self) -> str:
        """Return them in Prometheus' text format."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry).decode()
