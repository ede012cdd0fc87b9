"""What /metrics says, and that dashboard and alerts ask only for what it says."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import WSServerHandshakeError
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from sttgate.errors import StoreError
from sttgate.protocols.native import PATH
from sttgate.session.states import State
from sttgate.testing import tone
from tests.access.conftest import open_door
from tests.access.doors import OpenDoor, bearer
from tests.docs.pages import ROOT
from tests.gateways import SCRIPT, receive_until
from tests.operations.conftest import Client, Serve, gateway_of, transcribe
from tests.operations.promql import uses

__all__ = ["open_door"]

DASHBOARD = ROOT / "docs" / "grafana" / "sttgate.json"
ALERTS = ROOT / "docs" / "prometheus" / "alerts.yaml"
ALERT_TESTS = ROOT / "tests" / "operations" / "alerts_test.yaml"
OF_THE_TARGET = {"instance", "job"}  # labels Prometheus adds, and a metric it makes
OF_PROMETHEUS = {"up"}
LABELS = {"provider", "protocol", "outcome", "code", "reason", "op", "version", "le"}
UNITS = ("_seconds", "_bytes", "_ratio", "_info")

PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is not here (Debian: apt install prometheus)"
)


@dataclass
class Scrape:
    """An answer of /metrics."""

    text: str

    @property
    def families(self) -> Mapping[str, Metric]:
        """The metrics by name, as Prometheus reads them."""
        parsed = [*text_string_to_metric_families(self.text)]
        by_name = {family.name: family for family in parsed}
        assert len(by_name) == len(parsed), "a metric comes twice"
        return by_name

    @property
    def labels(self) -> Mapping[str, set[str]]:
        """The labels of each series name, such as ``sttgate_sessions_total``."""
        known: dict[str, set[str]] = {}
        for family in self.families.values():
            for sample in family.samples:
                known.setdefault(sample.name, set()).update(sample.labels)
        return known

    def value(self, name: str, **labels: str) -> float:
        """Return the value of one series."""
        (value,) = (
            sample.value
            for family in self.families.values()
            for sample in family.samples
            if sample.name == name and sample.labels == labels
        )
        return float(value)


async def scrape(client: Client) -> Scrape:
    """Ask a gateway for its metrics."""
    async with client.get("/metrics") as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain; version=")
        return Scrape(await response.text())


@pytest.fixture
async def scraped(serve: Serve) -> Scrape:
    """What a gateway says that has seen a bit of everything: failures, refusals, whole sessions."""
    client = await serve(
        providers={"frail": {"use": "echo", "die_after": 1.0}, "echo": {"script": list(SCRIPT)}},
        chain=["frail", "echo"],
    )
    await transcribe(client)
    async with client.ws_connect(f"{PATH}?protocol=2") as socket:
        await socket.send_json({"event": "start", "provider": "nobody"})
        await receive_until(socket, "error")
    lag = gateway_of(client).tally.loop_lag
    while lag.count == 0:
        await transcribe(client, 0.1)
    return await scrape(client)


async def test_every_metric_has_been_there(scraped: Scrape) -> None:
    """A gateway in use has a sample of each metric it declares."""
    empty = [name for name, family in scraped.families.items() if not family.samples]
    assert empty == []
    declared = re.findall(r"^# TYPE (\S+) ", scraped.text, re.MULTILINE)
    assert len(declared) == len(set(declared))


async def test_good_practice(scraped: Scrape) -> None:
    """Names, units, help and labels are as Prometheus' own linter wants them, and few."""
    for name, family in scraped.families.items():
        if name.startswith("process_"):
            continue  # Prometheus' own
        assert name.startswith("sttgate_")
        assert family.documentation.endswith("."), name
        assert family.type in ("counter", "gauge", "histogram"), name
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter"), sample.name
            assert set(sample.labels) <= LABELS, sample
        assert not re.search(r"_(ms|millis|minutes|hours|kb|mb|percent)(_|$)", name), name
        if family.type == "histogram":
            assert name.endswith(UNITS), name


async def test_histograms_add_up(scraped: Scrape) -> None:
    """Buckets grow with their bounds, and the last is the count."""
    for family in scraped.families.values():
        if family.type != "histogram":
            continue
        series: dict[frozenset[tuple[str, str]], list[tuple[float, float]]] = {}
        counts = {}
        for sample in family.samples:
            labels = dict(sample.labels)
            bound = labels.pop("le", None)
            key = frozenset(labels.items())
            if bound is not None:
                series.setdefault(key, []).append((float(bound), sample.value))
            elif sample.name.endswith("_count"):
                counts[key] = sample.value
        assert series, family.name
        for key, buckets in series.items():
            assert buckets == sorted(buckets)
            assert [count for _, count in buckets] == sorted(count for _, count in buckets)
            assert buckets[-1] == (float("inf"), counts[key])


async def test_figures_are_those_of_the_sessions(scraped: Scrape) -> None:
    """What happened is counted, under the names it has in the configuration."""
    ended = "sttgate_session_duration_seconds_count"
    assert scraped.value(ended, provider="echo") >= 1
    code = "provider_unavailable"
    assert scraped.value("sttgate_provider_errors_total", provider="frail", code=code) >= 1
    assert scraped.value("sttgate_rejected_total", reason="unknown_provider") == 1
    assert scraped.value("sttgate_provider_switches_total") >= 1
    finals = scraped.value("sttgate_final_latency_seconds_count", provider="echo")
    assert finals == scraped.value("sttgate_segments_total") >= len(SCRIPT)
    first = "sttgate_first_interim_latency_seconds_count"
    assert sum(scraped.value(first, provider=name) for name in ("frail", "echo")) >= len(SCRIPT)
    assert scraped.value("sttgate_provider_connect_seconds_count", provider="frail") >= 1
    assert scraped.value("sttgate_store_write_seconds_count", op="end") >= 1
    assert scraped.value("sttgate_sessions_max") == 1000


async def test_audio_is_counted_once(serve: Serve) -> None:
    """Audio received never grows less and is not counted twice, while a session ends or lingers."""
    client = await serve()
    seen = []
    async with client.ws_connect(f"{PATH}?protocol=2") as socket:
        await socket.send_json({"event": "start", "resumable": True})
        await socket.send_bytes(tone(6.0))
        await receive_until(socket, "started")
        while not gateway_of(client).sessions or not seen or seen[-1] < 6.0:
            seen.append((await scrape(client)).value("sttgate_audio_received_seconds_total"))
        await socket.send_json({"event": "stop"})
        stopped = asyncio.create_task(receive_until(socket, "stopped"))
        while not stopped.done():
            seen.append((await scrape(client)).value("sttgate_audio_received_seconds_total"))
        await stopped
        for _ in range(5):
            seen.append((await scrape(client)).value("sttgate_audio_received_seconds_total"))
        assert gateway_of(client).sessions, "it waits to be resumed"
    assert seen == sorted(seen)
    assert seen[-1] == 6.0


async def test_nothing_is_measured_per_chunk(serve: Serve) -> None:
    """The same audio in a hundred times as many messages is measured as often."""

    async def observations(message_s: float) -> int:
        client = await serve()
        async with client.ws_connect(f"{PATH}?protocol=2") as socket:
            await socket.send_json({"event": "start"})
            for _ in range(round(6.0 / message_s)):
                await socket.send_bytes(tone(message_s))
            await socket.send_json({"event": "stop"})
            await receive_until(socket, "stopped")
        tally = gateway_of(client).tally
        histograms = [*tally.latency.values(), *tally.durations.values()]
        return sum(histogram.count for histogram in histograms)

    assert await observations(0.02) == await observations(2.0)


async def test_a_store_that_is_out(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """For how long a store refuses what sessions have for it is told, and that it is over."""
    client = await serve()
    store = gateway_of(client).transcripts

    async def refuse(*arguments: object) -> None:
        raise StoreError("the database is locked")

    with monkeypatch.context() as patch:
        patch.setattr(store, "begin", refuse)
        async with client.ws_connect(f"{PATH}?protocol=2") as socket:
            await socket.send_json({"event": "start"})
            await socket.send_bytes(tone(1.0))
            await receive_until(socket, "warning")
            first = (await scrape(client)).value("sttgate_store_outage_seconds")
            assert 0 < (await scrape(client)).value("sttgate_store_outage_seconds") - first < 5
            patch.undo()
            await socket.send_json({"event": "stop"})
            await receive_until(socket, "stopped")
    after = await scrape(client)
    assert after.value("sttgate_store_outage_seconds") == 0
    assert after.value("sttgate_store_write_seconds_count", op="begin") == 1


async def test_labels_cannot_be_chosen_by_callers(serve: Serve) -> None:
    """However many names callers make up, there are no more series."""
    client = await serve()
    await transcribe(client)
    before = (await scrape(client)).labels
    for number in range(5):
        await transcribe(client, 0.1, title=f"t{number}", client_ref=f"r{number}")
        async with client.ws_connect(f"{PATH}?protocol=2") as socket:
            await socket.send_json({"event": "start", "provider": f"made-up-{number}"})
            await receive_until(socket, "error")
    after = await scrape(client)
    assert after.labels.keys() - before.keys() <= {"sttgate_rejected_total"}
    assert "made-up" not in after.text
    rejected = after.families["sttgate_rejected"].samples
    assert [sample.labels for sample in rejected] == [{"reason": "unknown_provider"}]


async def test_refusals_are_counted(open_door: OpenDoor) -> None:
    """Who has no key, who may not, and pages from elsewhere are counted, by which it was."""
    door = await open_door()
    await door.status("GET", "/api/v1/sessions")
    await door.status("GET", "/api/v1/sessions", "stt_0_0")
    await door.status("GET", "/metrics", door.key("read"))
    with pytest.raises(WSServerHandshakeError):
        await door.client.ws_connect(PATH, headers={"Origin": "https://elsewhere.example"})
    async with door.client.get("/metrics", headers=bearer(door.key("admin"))) as response:
        seen = Scrape(await response.text())
    assert seen.value("sttgate_rejected_total", reason="unauthorized") == 2
    assert seen.value("sttgate_rejected_total", reason="forbidden") == 2


def expressions() -> Iterator[tuple[str, str]]:
    """Yield where each expression of dashboard and alerts stands, and the expression."""
    for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"]:
        for target in panel.get("targets", ()):
            yield f"panel {panel['title']!r}", target["expr"]
    for group in yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]:
        for rule in group["rules"]:
            yield f"alert {rule['alert']}", rule["expr"]


async def test_dashboard_and_alerts_ask_for_what_there_is(scraped: Scrape) -> None:
    """Every metric, label and outcome in their expressions is one the gateway has."""
    known = scraped.labels
    asked = set()
    for place, expression in expressions():
        used = uses(expression)
        metrics = used.metrics - OF_PROMETHEUS
        assert metrics <= known.keys(), f"{place}: no metric {metrics - known.keys()}"
        there = OF_THE_TARGET.union(*(known[metric] for metric in metrics))
        assert used.grouping <= there, f"{place}: no label {used.grouping - there}"
        for metric, label, operator, value in used.matchers:
            labels = OF_THE_TARGET | known.get(metric, set())
            assert label in labels, f"{place}: {metric} has no label {label}"
            if label == "outcome" and operator == "=":
                assert value in {*map(str, State), "applied", "failed"}, f"{place}: {value}"
        asked |= metrics
    unseen = {
        name
        for name, family in scraped.families.items()
        if name.startswith("sttgate_") and not {sample.name for sample in family.samples} & asked
    }
    assert unseen == set(), "metrics that neither the dashboard nor an alert shows"


def test_variables_of_the_dashboard_are_declared() -> None:
    """Every $name in the dashboard is one of its variables, or Grafana's own."""
    text = DASHBOARD.read_text("utf-8")
    dashboard = json.loads(text)
    declared = {variable["name"] for variable in dashboard["templating"]["list"]}
    used = {a or b for a, b in re.findall(r"\$(?:\{(\w+)\}|(\w+))", text)}
    assert used - {"__rate_interval", "__all"} == declared
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))


def test_panels_do_not_overlap() -> None:
    """The dashboard's panels lie beside each other, within 24 columns."""
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert all(x < 24 for x, _ in cells)
        taken |= cells


def test_every_alert_says_what_to_think() -> None:
    """Each alert has a severity, a summary that names the instance, and a description."""
    for group in yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in ("warning", "critical")
            assert "$labels.instance" in rule["annotations"]["summary"]
            assert rule["annotations"]["description"]


def test_every_alert_has_tests() -> None:
    """Each alert is tested to fire and to stay quiet."""
    rules = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"][0]["rules"]
    fires: dict[str, set[bool]] = {}
    for case in yaml.safe_load(ALERT_TESTS.read_text("utf-8"))["tests"]:
        for test in case["alert_rule_test"]:
            fires.setdefault(test["alertname"], set()).add(bool(test["exp_alerts"]))
    assert fires == {rule["alert"]: {True, False} for rule in rules}


def promtool(*arguments: str, stdin: str = "") -> tuple[int, str]:
    """Run promtool; return its exit code and what it printed."""
    assert PROMTOOL is not None
    ran = subprocess.run(
        [PROMTOOL, *arguments], input=stdin, capture_output=True, text=True, check=False, timeout=50
    )
    return ran.returncode, ran.stdout + ran.stderr


@needs_promtool
async def test_promtool_likes_the_metrics(scraped: Scrape) -> None:
    """``promtool check metrics`` has nothing to say."""
    assert promtool("check", "metrics", stdin=scraped.text) == (0, "")


@needs_promtool
def test_promtool_runs_the_tests_of_the_alerts() -> None:
    """``promtool test rules`` passes: each alert fires when it should, and only then."""
    code, said = promtool("test", "rules", str(ALERT_TESTS))
    assert (code, "SUCCESS" in said) == (0, True), said


@needs_promtool
def test_promtool_understands_every_expression(tmp_path: Path) -> None:
    """The dashboard's expressions are PromQL, once Grafana's variables are filled in."""
    rules: list[dict[str, Any]] = [
        {"record": f"x:{number}", "expr": expression.replace("$__rate_interval", "5m")}
        for number, (_, expression) in enumerate(expressions())
    ]
    assert len(rules) > 30
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    code, said = promtool("check", "rules", str(path))
    assert code == 0, said
