"""What native clients send, parsed: no input whatever can do worse than be refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sttgate.errors import ErrorCode, RequestError
from sttgate.protocols.native.requests import (
    MAX_METADATA_BYTES,
    MAX_TEXT_BYTES,
    Start,
    Store,
    check_metadata,
    parse_event,
    parse_id,
    parse_metadata,
    parse_start,
    unknown_fields,
)
from sttgate.session.params import SessionParams, dump_params, load_params

T = TypeVar("T")

FIELDS = Start.__struct_fields__
text = st.text(st.characters(exclude_categories=["Cs"]))
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**18, 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=8,
)
objects = st.dictionaries(st.sampled_from(FIELDS) | text, values, max_size=8)
plausible = st.fixed_dictionaries(
    {},
    optional={
        "protocol": st.sampled_from([1, 2]),
        "provider": st.just("auto") | st.text("abc-", max_size=200),
        "model": st.none() | st.text("abc", max_size=200),
        "language": st.none() | st.sampled_from(["en", "de-CH", "auto"]),
        "encoding": st.just("linear16"),
        "sample_rate": st.integers(8_000, 48_000),
        "channels": st.integers(1, 8),
        "multichannel": st.booleans(),
        "interim_results": st.booleans(),
        "endpointing_ms": st.none() | st.just(False) | st.integers(0, 60_000),
        "utterance_end_ms": st.none() | st.just(False) | st.integers(0, 60_000),
        "keyterms": st.lists(st.text("abc", min_size=1), max_size=5),
        "punctuate": st.none() | st.booleans(),
        "profanity_filter": st.none() | st.booleans(),
        "diarize": st.none() | st.booleans(),
        "metadata": st.dictionaries(st.text("abc", max_size=9), st.integers() | st.none()),
        "title": st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=200),
        "client_ref": st.none() | st.text("abc", max_size=128),
        "store": st.booleans()
        | st.fixed_dictionaries({}, optional={"transcript": st.booleans(), "audio": st.booleans()}),
        "provider_options": st.dictionaries(text, values, max_size=3),
        "words": st.booleans(),
        "acks": st.booleans() | st.floats(0.01, 60),
        "resumable": st.booleans(),
    },
)


def refused_or(call: Callable[[], T]) -> T | RequestError:
    """Return what ``call`` returns, or the RequestError it raises; let any other error out."""
    try:
        return call()
    except RequestError as error:
        return error


class TestParseEvent:
    @given(
        st.text()
        | st.binary()
        | st.binary().map(bytearray)
        | st.binary().map(memoryview)
        | values.map(json.dumps)
        | objects.map(lambda o: json.dumps({"event": "x"} | o)[:-1])
    )
    def test_never_raises(self, message: Any) -> None:
        """Any text or bytes give an object with a textual event, or None."""
        event = parse_event(message)
        assert event is None or isinstance(event["event"], str)

    @given(text, objects)
    def test_objects_come_out_as_they_were(self, event: str, fields: dict[str, Any]) -> None:
        """Any JSON object with a textual event is understood, escaped or not."""
        message = {**fields, "event": event}
        for ascii_only in (True, False):
            assert parse_event(json.dumps(message, ensure_ascii=ascii_only)) == message

    @pytest.mark.parametrize(
        "message",
        [
            "",
            " ",
            "{}",
            "[]",
            "null",
            '{"event":null}',
            '{"event":1}',
            '{"event":["start"]}',
            '{"Event":"start"}',
            '{"event":"start"}}',
            '{"event":"start",}',
            "{'event':'start'}",
            '{"event":"x","y":NaN}',
            '{"event":"x","y":1e999}',
            '{"event":"\\ud800"}',
            '{"event":"\ud800"}',
            "[" * 60_000,
            '{"event":"x","y":' + "[" * 5_000 + "]" * 5_000 + "}",
            '{"event":"x","y":' + "9" * 5_000 + "}",
            '{"event":"' + "x" * MAX_TEXT_BYTES + '"}',
        ],
        ids=lambda message: message[:20],
    )
    def test_nonsense(self, message: str) -> None:
        """What is no JSON object with a textual event, or is absurd in size or depth, is None."""
        assert parse_event(message) is None


class TestParseStart:
    @given(objects)
    def test_any_object(self, fields: dict[str, Any]) -> None:
        """Any JSON object is a Start or a RequestError, and then parameters or a RequestError."""
        message = {**fields, "event": "start"}
        outcome = refused_or(lambda: parse_start(message).session_params("id", 2))
        if isinstance(outcome, RequestError):
            assert outcome.code in (ErrorCode.BAD_REQUEST, ErrorCode.UNSUPPORTED_ENCODING)
            assert str(outcome).endswith(".")
        else:
            assert isinstance(outcome, SessionParams)

    @given(plausible)
    def test_every_valid_one(self, fields: dict[str, Any]) -> None:
        """Valid fields are taken as they are, and the parameters survive their file in the spool."""
        start = parse_start({**fields, "event": "start"})
        for name, value in fields.items():
            taken = getattr(start, name)
            if isinstance(taken, Store):
                taken = {key: getattr(taken, key) for key in value}
            assert taken == (tuple(value) if isinstance(value, list) else value)
        params = start.session_params("id", 1)
        assert load_params(dump_params(params)) == params

    @pytest.mark.parametrize("field", [name for name in FIELDS if name != "event"])
    def test_the_message_names_the_field(self, field: str) -> None:
        """A field of a wrong type is named, without a trace of how it was found out."""
        with pytest.raises(RequestError, match=f"'{field}'") as refused:
            parse_start({"event": "start", field: [{}]})
        assert refused.value.code is ErrorCode.BAD_REQUEST
        assert "$" not in str(refused.value)
        assert "`" not in str(refused.value)

    @pytest.mark.parametrize(
        ("encoding", "code"),
        [
            ("opus", ErrorCode.UNSUPPORTED_ENCODING),
            ("wav", ErrorCode.UNSUPPORTED_ENCODING),
            ("LINEAR16", ErrorCode.BAD_REQUEST),
            ("", ErrorCode.BAD_REQUEST),
        ],
    )
    def test_encodings(self, encoding: str, code: ErrorCode) -> None:
        """An encoding that is known and cannot be decoded is told apart from nonsense."""
        start = parse_start({"event": "start", "encoding": encoding})
        with pytest.raises(RequestError) as refused:
            start.session_params("id", 1)
        assert refused.value.code is code

    def test_defaults(self) -> None:
        """A bare `start` is 16 kHz mono of whatever is configured, and all of it is kept."""
        params = parse_start({"event": "start"}).session_params("id", 1)
        assert params.protocol == "native/1"
        assert params.provider is None
        assert (params.format.sample_rate, params.format.channels) == (16_000, 1)
        assert not params.multichannel
        assert params.stream.interim_results
        assert params.stream.language is None
        assert params.store_transcript
        assert params.store_audio
        assert not params.resumable

    @pytest.mark.parametrize(
        ("store", "transcript", "audio"),
        [
            (True, True, True),
            (False, False, False),
            ({"audio": False}, True, False),
            ({"transcript": False}, False, True),
            ({}, True, True),
        ],
    )
    def test_store(self, store: object, transcript: bool, audio: bool) -> None:
        """`store` is one wish for all, or one for each; what is left out is kept."""
        params = parse_start({"event": "start", "store": store}).session_params("id", 2)
        assert (params.store_transcript, params.store_audio) == (transcript, audio)

    def test_only_protocol_2_resumes(self) -> None:
        """A base client's session ends with its socket, whatever its `start` says."""
        start = parse_start({"event": "start", "resumable": True})
        assert start.session_params("id", 2).resumable
        assert not start.session_params("id", 1).resumable

    def test_multichannel_needs_channels(self) -> None:
        """Multichannel of one channel is plain."""
        start = parse_start({"event": "start", "multichannel": True})
        assert not start.session_params("id", 2).multichannel

    def test_deep_options(self) -> None:
        """Nesting as deep as JSON may come does not get through to a crash."""
        deep = parse_event(
            '{"event":"start","provider_options":{"a":' + "[" * 900 + "]" * 900 + "}}"
        )
        assert deep is not None
        assert isinstance(refused_or(lambda: parse_start(deep)), Start | RequestError)


class TestMetadata:
    @given(values)
    def test_any_value(self, value: Any) -> None:
        """Metadata is an object of scalars, or a RequestError."""
        outcome = refused_or(lambda: parse_metadata({"event": "metadata", "metadata": value}))
        if isinstance(outcome, RequestError):
            assert outcome.code is ErrorCode.BAD_REQUEST
        else:
            assert outcome == value

    def test_bound(self) -> None:
        """4 KiB of JSON are taken, one byte more is not; bytes count, not characters."""
        frame = len('{"a":""}')
        check_metadata({"a": "x" * (MAX_METADATA_BYTES - frame)})
        check_metadata({"a": "é" * ((MAX_METADATA_BYTES - frame) // 2)})
        for text in ("x" * (MAX_METADATA_BYTES - frame + 1), "é" * (MAX_METADATA_BYTES // 2)):
            with pytest.raises(RequestError):
                check_metadata({"a": text})

    def test_missing(self) -> None:
        """A metadata event without metadata is a RequestError."""
        with pytest.raises(RequestError):
            parse_metadata({"event": "metadata"})


class TestParseId:
    @given(scalars)
    def test_scalars_come_back(self, value: Any) -> None:
        """Any scalar may be an id."""
        assert parse_id({"event": "ping", "id": value}) == value

    @pytest.mark.parametrize("value", [[], {}, [1], {"a": 1}])
    def test_nothing_else(self, value: object) -> None:
        """What could nest without end is no id."""
        with pytest.raises(RequestError, match="'id'"):
            parse_id({"event": "ping", "id": value})

    def test_missing(self) -> None:
        """No id is None."""
        assert parse_id({"event": "ping"}) is None


def test_unknown_fields_are_named_in_order() -> None:
    """Fields that mean nothing are found; those that do are not."""
    message = dict.fromkeys([*FIELDS, "zeta", "alpha"], 1)
    assert unknown_fields(message) == ["alpha", "zeta"]
