"""Providers, status and use over REST."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from sttgate import readiness
from sttgate.errors import RequestError, StoreError
from tests.api.service import Serve, Service, eventually
from tests.gateways import scripted

TWO = {
    "providers": {
        "echo": {"script": ["hello there"]},
        "broken": {"use": "echo", "refuse": True},
        "spare": {"use": "echo"},
    },
    "chain": ["broken", "echo"],
}


class TestProviders:
    async def test_list(self, serve: Serve) -> None:
        """Each provider is listed with what it can do, and the chain in its order."""
        api = await serve(**TWO)
        await eventually(lambda: _ready(api, "echo"))
        listed = await api.get("/providers")
        providers = {provider["name"]: provider for provider in listed["providers"]}
        assert listed["chain"] == ["broken", "echo"]
        assert providers["echo"]["state"] == "ready"
        assert providers["echo"]["plugin"] == "echo"
        assert providers["echo"]["in_chain"]
        assert providers["echo"]["capabilities"]["interim_results"]
        assert (providers["spare"]["state"], providers["spare"]["in_chain"]) == ("idle", False)

    async def test_skipped(self, serve: Serve) -> None:
        """A provider without a key is listed as such; only operators are told what it lacks."""
        api = await serve(providers={"deepgram": {}, **scripted()}, chain=["deepgram", "echo"])
        listed = await api.get("/providers")
        assert listed["chain"] == ["echo"]
        skipped = next(each for each in listed["providers"] if each["name"] == "deepgram")
        assert (skipped["state"], skipped["capabilities"]) == ("skipped", None)
        status = await api.get("/status")
        told = next(each for each in status["providers"] if each["name"] == "deepgram")
        assert "key" in told["reason"]


class TestStatus:
    async def test_at_first(self, api: Service) -> None:
        """A gateway that has done nothing yet is ready, and its figures are zero."""
        await eventually(lambda: _ready(api, "echo"))
        status = await api.get("/status")
        assert status["version"] == version("sttgate")
        assert 0 <= status["uptime_s"] < 600
        assert (status["ready"], status["draining"]) == (True, False)
        assert status["sessions"] == {
            "live": 0,
            "max": 1000,
            "ended": {},
            "rejected": {},
            "resumed": 0,
            "audio_s": 0.0,
            "backlog_s": 0.0,
        }
        assert status["stores"] == {
            "spool": "ok",
            "transcripts": "ok",
            "recordings": "ok",
            "outage_s": 0.0,
        }
        assert status["uploads"]["max_bytes"] == 500 * 1024**2
        assert status["limits"]["idle_s"] == 600.0
        assert status["limits"]["sessions_per_key"] is None
        assert status["spool"]["free_bytes"] > 0
        assert status["spool"]["bytes"] == 0
        assert status["switches"] == 0
        [provider] = status["providers"]
        assert (provider["state"], provider["breaker"]) == ("ready", "closed")
        assert (provider["last_error"], provider["errors"]) == (None, {})
        assert (provider["sessions"], provider["final"]) == (0, None)
        loaded = {each["name"]: each for each in status["plugins"]}
        assert loaded["echo"]["state"] == "loaded"
        assert loaded["echo"]["distribution"] == "sttgate"
        assert status["warnings"] == []

    async def test_of_a_session(self, serve: Serve) -> None:
        """Sessions, errors and switches are counted, and the last error is told."""
        api = await serve(**TWO)
        session = await api.open("one")
        assert (await api.get("/status"))["sessions"]["live"] == 1
        assert (await api.get("/status"))["spool"]["bytes"] == 32_000
        await eventually(lambda: _failed(api, "broken"))
        session.stop()
        await eventually(lambda: _idle(api))
        status = await api.get("/status")
        assert status["sessions"]["ended"] == {"completed": 1}
        assert status["switches"] >= 1
        assert status["sessions"]["audio_s"] == 1.0
        broken = next(each for each in status["providers"] if each["name"] == "broken")
        assert broken["errors"]["provider_unavailable"] >= 1
        assert broken["last_error"]["code"] == "provider_unavailable"
        assert broken["last_error"]["at"].endswith("Z")

    async def test_latencies(self, api: Service) -> None:
        """How long words took is told for each provider, and so is how late the event loop was."""
        session = await api.open("one")
        session.stop()
        await eventually(lambda: _idle(api))
        status = await api.get("/status")
        [provider] = status["providers"]
        for kind in ("connect", "final"):
            assert provider[kind]["count"] >= 1
            assert 0 <= provider[kind]["p50"] <= provider[kind]["p95"]
        api.gateway.tally.loop_lag.observe(0.004)
        lag = (await api.get("/status"))["loop_lag"]
        assert 0 < lag["p50"] <= lag["p95"]

    async def test_who_is_heard_by_whom(self, serve: Serve) -> None:
        """Live sessions are counted for the provider that hears them; so are those that were refused."""
        api = await serve(**TWO, server={"port": 0, "max_sessions": 1})
        await api.open("one")
        await eventually(lambda: _heard(api, "echo"))
        with pytest.raises(RequestError):
            await api.open("two")
        status = await api.get("/status")
        assert status["chain"] == ["broken", "echo"]
        heard = {each["name"]: each["sessions"] for each in status["providers"]}
        assert heard == {"echo": 1, "broken": 0, "spare": 0}
        assert status["sessions"]["rejected"] == {"capacity": 1}

    async def test_store_that_fails(self, api: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        """A store that cannot write is told; for too long, and the gateway is not ready any more."""

        async def fail() -> None:
            raise StoreError("the disk is full")

        api.gateway.recordings.check = fail  # type: ignore[method-assign]
        status = await api.get("/status")
        assert status["stores"]["recordings"] == "failing"
        assert status["ready"]
        assert (await api.client.get("/readyz")).status == 200
        monkeypatch.setattr(readiness, "STORE_PATIENCE", 0.0)
        assert not (await api.get("/status"))["ready"]
        assert (await api.client.get("/readyz")).status == 503

    async def test_draining(self, api: Service) -> None:
        """A gateway that is going away says so."""
        api.gateway.ready = False
        status = await api.get("/status")
        assert (status["ready"], status["draining"]) == (False, True)

    async def test_without_a_limit(self, tmp_path: Path, serve: Serve) -> None:
        """Where nothing limits the sessions, there is no figure for it."""
        api = await serve(
            adapt=lambda gateway: setattr(gateway.admission, "max_sessions", sys.maxsize)
        )
        assert (await api.get("/status"))["sessions"]["max"] is None

    async def test_spool_that_is_gone(self, api: Service) -> None:
        """Room that cannot be told is not invented."""
        path = api.gateway.spool.path
        path.rmdir()
        assert (await api.get("/status"))["spool"]["free_bytes"] is None
        path.mkdir()


class TestUsage:
    async def test_days(self, api: Service) -> None:
        """What sessions used is added up by the day they ended, and by key."""
        await api.store("a", owner="ann", usage={"audio_s": 1.5, "echo.sent_s": 2.0})
        await api.store("b", owner="ann", usage={"audio_s": 2.0})
        await api.store("c", usage={"audio_s": 4.0})
        usage = await api.get("/usage?from=2026-11-25&to=2026-11-26")
        assert sorted(usage["days"], key=lambda day: day["sessions"]) == [
            {"day": "2026-11-25", "owner": None, "sessions": 1, "usage": {"audio_s": 4.0}},
            {
                "day": "2026-11-25",
                "owner": "ann",
                "sessions": 2,
                "usage": {"audio_s": 3.5, "echo.sent_s": 2.0},
            },
        ]
        assert await api.get("/usage?from=2026-11-26&to=2026-11-27") == {"days": []}

    async def test_usual_days(self, api: Service) -> None:
        """Without bounds it is the last thirty days; with an end, the thirty before it."""
        await api.store("a")
        assert len((await api.get("/usage?to=2026-11-27"))["days"]) == 1
        assert (await api.get("/usage?to=2027-11-27"))["days"] == []
        assert "days" in await api.get("/usage")

    @pytest.mark.parametrize("query", ["from=x", "to=-1", "day=2026-11-26"])
    async def test_wrong_value(self, api: Service, query: str) -> None:
        """A value that is no instant is refused."""
        answer = await api.request("GET", f"/usage?{query}")
        answer.assert_problem(400, "bad_request")


async def _ready(api: Service, name: str) -> bool:
    return api.gateway.providers[name].is_open


async def _heard(api: Service, name: str) -> bool:
    return [session.provider for session in api.gateway.sessions.values()] == [name]


async def _failed(api: Service, name: str) -> bool:
    return api.gateway.providers[name].breaker.last_failure is not None


async def _idle(api: Service) -> bool:
    return not api.gateway.sessions
