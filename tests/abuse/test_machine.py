"""Clients that do anything in any order: the native protocol, found out by a machine of states.

Hypothesis makes up the clients and shortens what goes wrong; the server is a real one.
"""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from pathlib import Path
from socket import SHUT_RDWR
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from structlog.testing import capture_logs
from websockets.sync.client import ClientConnection, connect

from sttgate.protocols.native import PATH
from tests.abuse.serving import TIMEOUT, serve

RATE = 32_000  # bytes a second

SETTINGS = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=list(HealthCheck),
)

SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20)
JSON = st.recursive(
    SCALARS | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "words": st.booleans(),
        "acks": st.booleans(),
        "interim_results": st.booleans(),
        "title": st.none() | st.text(max_size=50),
        "metadata": st.dictionaries(st.text(max_size=8), SCALARS, max_size=3),
        "keyterms": st.lists(st.text(min_size=1, max_size=10), max_size=3),
        "store": st.booleans(),
    },
)
"""What any ``start`` may carry."""

NONSENSE = st.fixed_dictionaries(
    {},
    optional={
        **{name: JSON for name in ("protocol", "provider", "sample_rate", "channels", "resume")},
        **{name: JSON for name in ("language", "encoding", "endpointing_ms", "store", "acks")},
        **{name: JSON for name in ("keyterms", "metadata", "title", "client_ref", "x")},
    },
)
"""What none should carry, and some do by chance."""


class Client(RuleBasedStateMachine):
    """A client of protocol 2 that remembers what it has done, and so knows what must come back."""

    address: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.connection = ExitStack()
        self.socket = self.connect()
        self.pings = 0
        self.new_session()

    def connect(self) -> ClientConnection:
        address = f"{self.address}?protocol=2"
        return self.connection.enter_context(connect(address, max_size=None, compression=None))

    def new_session(self) -> None:
        self.session: dict[str, Any] | None = None
        self.resumable = self.paused = False
        self.bytes = self.seq = 0
        self.finals: list[str] = []

    def teardown(self) -> None:
        self.connection.close()

    def say(self, event: str, **fields: Any) -> None:
        self.socket.send(json.dumps({"event": event, **fields}))

    def hear(self) -> dict[str, Any]:
        """Return the next message, which must be one."""
        message = json.loads(self.socket.recv(TIMEOUT))
        assert isinstance(message["event"], str)
        if "seq" in message and message["event"] != "resumed":
            assert message["seq"] > self.seq
            self.seq = message["seq"]
        if message["event"] == "transcript" and message["is_final"]:
            self.finals.append(message["text"])
        return message

    def answers(self) -> list[dict[str, Any]]:
        """Return what came up to the answer to a ping, which must come: nobody was cut off."""
        self.pings += 1
        self.say("ping", id=self.pings)
        heard = []
        while (message := self.hear()) != {"event": "pong", "id": self.pings}:
            heard.append(message)
        return heard

    def errors(self) -> list[str]:
        return [message["code"] for message in self.answers() if message["event"] == "error"]

    @initialize()
    def greeted(self) -> None:
        assert self.hear()["event"] == "hello"

    @rule(fields=FIELDS, resumable=st.booleans())
    def start(self, fields: dict[str, Any], resumable: bool) -> None:
        running = self.session is not None
        self.say("start", **fields, resumable=resumable)
        if running:
            assert self.errors() == []  # a second one means nothing
            return
        while (message := self.hear())["event"] != "started":
            assert message["event"] in ("warning", "ack"), message
        self.session, self.resumable = message, resumable
        assert ("resume_token" in message) is resumable

    @precondition(lambda self: self.session is None)
    @rule(fields=NONSENSE)
    def start_with_nonsense(self, fields: dict[str, Any]) -> None:
        self.say("start", **fields)
        heard = self.answers()
        events = [message["event"] for message in heard]
        if "error" in events:
            assert "started" not in events
            if any(message.get("fatal") for message in heard):
                self.reconnect()
            return
        # What opens may be late: `started` comes once a provider listens.
        while not any(message["event"] == "started" for message in heard):
            heard.append(self.hear())
        [self.session] = [message for message in heard if message["event"] == "started"]
        self.stop(discard=True)

    @rule(size=st.sampled_from([0, 2, 320, 3200, 6400, 32_000]), times=st.integers(1, 5))
    def audio(self, size: int, times: int) -> None:
        for _ in range(times):
            self.socket.send(bytes(size))
        if self.session is not None and not self.paused:
            self.bytes += size * times

    @rule(text=st.text(max_size=50) | JSON.map(json.dumps))
    def nonsense(self, text: str) -> None:
        self.socket.send(text)
        assert self.errors() in (["invalid_json"], ["bad_request"])

    @rule(event=st.sampled_from(["finalize", "mark", "metadata", "pause", "unpause"]), value=JSON)
    def control_with_nonsense(self, event: str, value: Any) -> None:
        fields = {"mark": "label", "metadata": "metadata"}
        self.say(event, **{fields.get(event, "id"): value})
        errors = self.errors()
        if self.session is None or errors:
            assert errors == ["bad_request"]
        elif event in ("pause", "unpause"):
            self.paused = event == "pause"

    @precondition(lambda self: self.session is not None)
    @rule()
    def finalize(self) -> None:
        self.say("finalize", id="f")
        while (message := self.hear())["event"] != "finalized" or message["id"] != "f":
            assert message["event"] != "error", message
        assert message["t"] == pytest.approx(self.bytes / RATE, abs=0.002)

    @rule()
    def keepalive(self) -> None:
        self.say("keepalive")
        assert self.errors() == []

    @precondition(lambda self: self.session is not None and self.resumable)
    @rule()
    def drop_and_resume(self) -> None:
        """Lose the socket without a word; everything sent before has arrived, for we asked."""
        assert self.session is not None
        self.answers()
        self.socket.socket.shutdown(SHUT_RDWR)
        self.reconnect(keep=True)
        resume = {
            "session_id": self.session["session_id"],
            "token": self.session["resume_token"],
            "last_seq": self.seq,
        }
        self.say("start", resume=resume)
        message = self.hear()
        assert message["event"] == "resumed", message

    def reconnect(self, *, keep: bool = False) -> None:
        self.connection.close()
        self.socket = self.connect()
        assert self.hear()["event"] == "hello"
        if not keep:
            self.new_session()

    @precondition(lambda self: self.session is None)
    @rule()
    def stop_nothing(self) -> None:
        self.say("stop")
        while (message := self.hear())["event"] != "stopped":
            pass
        assert message["full_transcription"] == ""
        self.new_session()

    @precondition(lambda self: self.session is not None)
    @rule(discard=st.booleans())
    def stop(self, discard: bool) -> None:
        assert self.session is not None
        self.say("stop", discard=discard)
        while (message := self.hear())["event"] != "stopped":
            assert message["event"] != "error", message
        assert message["session_id"] == self.session["session_id"]
        assert message["full_transcription"] == " ".join(self.finals)
        assert message["reason"] == "client"
        rate = self.session["sample_rate"] * self.session["channels"] * 2
        assert message["duration_s"] == pytest.approx(self.bytes / rate, abs=0.002)
        if discard or not self.bytes:
            assert message["stored"] == {"transcript": False, "audio": False}
        self.new_session()

    @invariant()
    def is_served(self) -> None:
        """Whatever was done, the next question is answered."""
        self.answers()


def test_any_client(tmp_path: Path) -> None:
    """Whatever a client does, in whatever order, it gets the answer the protocol promises."""
    with capture_logs() as logged, serve(tmp_path) as url:
        Client.address = f"{url.replace('http', 'ws')}{PATH}"
        run_state_machine_as_test(Client, settings=SETTINGS)
    assert [entry for entry in logged if entry["log_level"] in ("error", "critical")] == []
