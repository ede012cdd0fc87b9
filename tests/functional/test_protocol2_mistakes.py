"""Protocol 2: how mistakes are answered."""

from __future__ import annotations

from typing import Any

import pytest

from sttgate.testing import silence
from tests.functional.native import Serve, send, start, stop
from tests.gateways import finals, receive, receive_until


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"event":"no_such_event"}', "bad_request"),
        ('{"event":"mark","label":7}', "bad_request"),
        ('{"event":"mark","label":"' + "x" * 201 + '"}', "bad_request"),
        ('{"event":"metadata"}', "bad_request"),
        ('{"event":"metadata","metadata":{"a":{"b":1}}}', "bad_request"),
        ('{"event":"metadata","metadata":{"a":"' + "x" * 5000 + '"}}', "bad_request"),
        ('{"event":"finalize","id":{"a":1}}', "bad_request"),
        ('{"event":"finalize","id":' + "[" * 940 + "]" * 940 + "}", "bad_request"),
        ('{"event":"ping","id":[1]}', "bad_request"),
        ('{"event":"ping","id":' + "[" * 940 + "]" * 940 + "}", "bad_request"),
        ('{"event":"ping"', "invalid_json"),
        ("[]", "invalid_json"),
        ("ping", "invalid_json"),
        ("", "invalid_json"),
        ('{"event":7}', "invalid_json"),
        ('{"event":"ping","id":"' + "x" * 70_000 + '"}', "invalid_json"),
    ],
    ids=lambda value: value[:40],
)
async def test_mistake_is_answered_and_harms_nothing(serve: Serve, text: str, code: str) -> None:
    """A message that cannot be understood is an error that is not fatal; the session goes on."""
    server = await serve()
    async with server.connect("?protocol=2") as socket:
        await receive_until(socket, "hello")
        await start(socket)
        await socket.send_bytes(silence(0.1))
        await socket.send_str(text)
        error = (await receive_until(socket, "error"))[-1]
        assert (error["code"], error["fatal"], error["retryable"]) == (code, False, False)
        assert error["message"].endswith(".")
        await socket.send_bytes(silence(0.1))
        messages = await stop(socket)
        assert finals(messages) == ["heard 0.2 seconds"]


@pytest.mark.parametrize("event", ["finalize", "pause", "unpause", "mark", "metadata"])
async def test_control_outside_a_session(serve: Serve, event: str) -> None:
    """What needs a session is an error before `start`."""
    server = await serve()
    async with server.connect("?protocol=2") as socket:
        await receive_until(socket, "hello")
        await send(socket, event)
        error = await receive(socket)
        assert (error["event"], error["code"]) == ("error", "bad_request")
        assert event in error["message"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"protocol": 3}, "bad_request"),
        ({"protocol": "2"}, "bad_request"),
        ({"provider": "nobody"}, "unknown_provider"),
        ({"provider": 7}, "bad_request"),
        ({"model": "m" * 201}, "bad_request"),
        ({"language": 7}, "bad_request"),
        ({"language": "fr"}, "unsupported_language"),
        ({"encoding": "mp3"}, "bad_request"),
        ({"encoding": "opus"}, "unsupported_encoding"),
        ({"encoding": "mulaw"}, "unsupported_encoding"),
        ({"encoding": "auto"}, "unsupported_encoding"),
        ({"sample_rate": 7999}, "bad_request"),
        ({"sample_rate": 48001}, "bad_request"),
        ({"sample_rate": "16000"}, "bad_request"),
        ({"channels": 0}, "bad_request"),
        ({"channels": 9}, "bad_request"),
        ({"multichannel": "yes"}, "bad_request"),
        ({"interim_results": 1}, "bad_request"),
        ({"endpointing_ms": True}, "bad_request"),
        ({"endpointing_ms": -1}, "bad_request"),
        ({"utterance_end_ms": "1000"}, "bad_request"),
        ({"keyterms": ["x"] * 101}, "bad_request"),
        ({"keyterms": [1]}, "bad_request"),
        ({"punctuate": "yes"}, "bad_request"),
        ({"profanity_filter": 0}, "bad_request"),
        ({"diarize": "no"}, "bad_request"),
        ({"metadata": {"a": []}}, "bad_request"),
        ({"metadata": {"a": "x" * 4096}}, "bad_request"),
        ({"metadata": [1]}, "bad_request"),
        ({"title": "x" * 201}, "bad_request"),
        ({"client_ref": "x" * 129}, "bad_request"),
        ({"store": "no"}, "bad_request"),
        ({"store": {"audio": "no"}}, "bad_request"),
        ({"provider_options": [1]}, "bad_request"),
        ({"words": "yes"}, "bad_request"),
        ({"acks": -1}, "bad_request"),
        ({"resumable": "yes"}, "bad_request"),
        ({"resume": {"token": "x"}}, "bad_request"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_bad_start(serve: Serve, fields: dict[str, Any], code: str) -> None:
    """A `start` that cannot be had says why, names the field, and leaves a socket that works."""
    server = await serve("puppet", languages=["en-GB", "de"])
    async with server.connect("?protocol=2") as socket:
        await receive_until(socket, "hello")
        await send(socket, "start", **fields)
        error = await receive(socket)
        assert list(error) == ["event", "message", "code", "retryable", "fatal"]
        assert (error["event"], error["code"]) == ("error", code)
        assert (error["fatal"], error["retryable"]) == (False, False)
        ((field, value),) = fields.items()
        assert field in error["message"] or str(value) in error["message"]
        (started,) = await start(socket, language="en")
        assert started["seq"] == 1


async def test_unknown_field_is_a_warning(serve: Serve) -> None:
    """Fields of `start` that mean nothing are named in a warning, and the session goes on."""
    server = await serve()
    async with server.connect("?protocol=2") as socket:
        await receive_until(socket, "hello")
        await send(socket, "start", langauge="en", sampling=1)
        messages = await receive_until(socket, "warning")
        assert messages[-1]["code"] == "unknown_field"
        assert "langauge" in messages[-1]["message"]
        assert "sampling" in messages[-1]["message"]
        assert (await stop(socket))[-1]["reason"] == "client"


@pytest.mark.parametrize("feature", ["diarize", "punctuate", "profanity_filter", "keyterms"])
async def test_feature_the_provider_lacks_is_a_warning(serve: Serve, feature: str) -> None:
    """A wish the provider cannot fulfil is a warning."""
    server = await serve()
    async with server.connect("?protocol=2") as socket:
        await receive_until(socket, "hello")
        await start(socket, **{feature: ["x"] if feature == "keyterms" else True})
        warning = (await receive_until(socket, "warning"))[-1]
        assert warning["code"] == "unsupported_parameter"
        assert feature in warning["message"]


async def test_provider_that_fails(serve: Serve) -> None:
    """An exhausted chain is one error with its code and provider, for people without details."""
    server = await serve(refuse=True, error="auth")
    async with server.connect("?protocol=2") as socket:
        await receive_until(socket, "hello")
        await send(socket, "start")
        error = (await receive_until(socket, "error"))[-1]
        assert error["seq"] >= 1
        assert error["message"] == "The speech service is unavailable. Try again."
        assert (error["code"], error["provider"]) == ("provider_auth", "echo")
        assert (error["retryable"], error["fatal"]) == (True, False)
        await send(socket, "ping", id=1)
        assert (await receive(socket))["event"] == "pong"
        assert (await stop(socket))[-1]["session_id"] == error["session_id"]
