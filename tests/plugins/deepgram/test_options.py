"""Options of the Deepgram provider, and how they reach the wire."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from sttgate import (
    NotConfigured,
    ProviderRejected,
    StreamParams,
    Transcript,
)
from sttgate_deepgram import DeepgramOptions, DeepgramProvider, sttgate_providers
from sttgate_deepgram.options import LiveOptions
from tests.fakes.deepgram_server import FakeDeepgram
from tests.plugins.deepgram.helpers import (
    KEY,
    hear,
    seconds,
)


def test_importing_and_constructing_load_no_sdk() -> None:
    """Neither the SDK nor aiohttp is imported before a provider is opened."""
    code = (
        "import sys; from sttgate_deepgram import *; DeepgramProvider(DeepgramOptions(api_key='k'));"
        "sys.exit(bool({'deepgram', 'aiohttp', 'httpx', 'websockets'} & set(sys.modules)))"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    assert (
        subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0
    )


def test_the_hook_offers_the_provider() -> None:
    """The plugin offers one provider, named deepgram."""
    (spec,) = sttgate_providers()
    assert (spec.name, spec.factory, spec.options) == (
        "deepgram",
        DeepgramProvider,
        DeepgramOptions,
    )


def test_without_a_key_it_is_not_configured() -> None:
    """A missing key says which variable and which option to set."""
    with pytest.raises(NotConfigured) as caught:
        DeepgramProvider(DeepgramOptions())
    assert str(caught.value) == "no API key: set DEEPGRAM_API_KEY or providers.deepgram.api_key"


def test_capabilities_follow_the_options() -> None:
    """The host learns from the capabilities what is switched off and how many streams may run."""
    options = DeepgramOptions(
        api_key=SecretStr(KEY), vad_events=False, interim_results=False, max_streams=7
    )
    capabilities = DeepgramProvider(options).capabilities
    assert not capabilities.speech_started
    assert not capabilities.interim_results
    assert (capabilities.max_streams, capabilities.max_replay_speed) == (7, 1.25)
    assert (capabilities.sample_rates, capabilities.word_times) == (None, "exact")


@pytest.mark.parametrize(
    "wrong",
    [
        {"utterance_end_ms": 999},
        {"endpointing": 9},
        {"endpointing": True},
        {"keepalive_interval": 9},
        {"base_url": "ftp://deepgram"},
        {"base_url": "https://user:pass@deepgram"},
        {"api_key": "secret secret"},
        {"api_key": "secret\r\nsecret"},
        {"extra": {"key": "x" * 2048}},
        {"tag": ["x" * 129]},
        {"no_such_option": 1},
    ],
)
def test_wrong_options_are_refused_without_being_repeated(wrong: dict[str, Any]) -> None:
    """Values out of bounds fail validation, and the error text has no value in it."""
    with pytest.raises(ValidationError) as caught:
        DeepgramOptions(**wrong)
    assert "secret" not in str(caught.value)


WIRE = [  # option, value, name on the wire, what it is there
    ("model", "nova-3-medical", "model", ["nova-3-medical"]),
    ("version", "2025-04-17.21547", "version", ["2025-04-17.21547"]),
    ("language", "de", "language", ["de"]),
    ("language", "auto", "language", ["multi"]),
    ("smart_format", False, "smart_format", ["false"]),
    ("punctuate", True, "punctuate", ["true"]),
    ("numerals", True, "numerals", ["true"]),
    ("dictation", True, "dictation", ["true"]),
    ("filler_words", True, "filler_words", ["true"]),
    ("profanity_filter", True, "profanity_filter", ["true"]),
    ("redact", ["pci", "ssn"], "redact", ["pci", "ssn"]),
    ("replace", {"hallo": "hello"}, "replace", ["hallo:hello"]),
    ("search", ["C++ & co"], "search", ["C++ & co"]),
    ("keyterms", ["sttgate", "card number"], "keyterm", ["sttgate", "card number"]),
    ("keywords", ["sttgate:2"], "keywords", ["sttgate:2"]),
    ("diarize", True, "diarize", ["true"]),
    ("diarize_model", "latest", "diarize_model", []),
    ("detect_entities", True, "detect_entities", ["true"]),
    ("interim_results", False, "interim_results", ["true"]),  # utterance_end_ms needs them
    ("endpointing", False, "endpointing", ["false"]),
    ("endpointing", 500, "endpointing", ["500"]),
    ("utterance_end_ms", False, "utterance_end_ms", []),
    ("utterance_end_ms", 1500, "utterance_end_ms", ["1500"]),
    ("vad_events", False, "vad_events", ["false"]),
    ("no_delay", True, "no_delay", ["true"]),
    ("mip_opt_out", True, "mip_opt_out", ["true"]),
    ("tag", ["clinic", "line 2"], "tag", ["clinic", "line 2"]),
    ("extra", {"ward": "7"}, "extra", ["ward:7"]),
]


@pytest.mark.parametrize(("option", "value", "name", "expected"), WIRE)
async def test_every_option_reaches_the_wire(
    server: FakeDeepgram, option: str, value: Any, name: str, expected: list[str]
) -> None:
    """Each option arrives at the server under Deepgram's name."""
    await hear(server, seconds(0.1), **{option: value})
    assert server.connections[0].query.getall(name, []) == expected


def test_the_wire_table_is_complete() -> None:
    """An option without a row in the table above fails here."""
    assert {row[0] for row in WIRE} == set(LiveOptions.model_fields)


@pytest.mark.parametrize(
    ("params", "name", "expected"),
    [
        ({"sample_rate": 48_000}, "sample_rate", ["48000"]),
        ({"model": "nova-2"}, "model", ["nova-2"]),
        ({"language": "fr-CA"}, "language", ["fr-CA"]),
        ({"endpointing_ms": False}, "endpointing", ["false"]),
        ({"endpointing_ms": 1}, "endpointing", ["10"]),
        ({"utterance_end_ms": 200}, "utterance_end_ms", ["1000"]),
        ({"utterance_end_ms": False}, "utterance_end_ms", []),
        ({"keyterms": ("Osler",)}, "keyterm", ["Osler"]),
        ({"keyterms": ("Osler",), "model": "nova-2"}, "keywords", ["Osler"]),
        ({"punctuate": False}, "punctuate", ["false"]),
        ({"profanity_filter": True}, "profanity_filter", ["true"]),
        ({"diarize": True}, "diarize", ["true"]),
        ({"provider_options": {"numerals": True}}, "numerals", ["true"]),
        ({"provider_options": {"redact": ["pci"]}}, "redact", ["pci"]),
    ],
)
async def test_a_stream_can_differ_from_the_configuration(
    server: FakeDeepgram, params: dict[str, Any], name: str, expected: list[str]
) -> None:
    """What a session asks for replaces the configured option, moved into Deepgram's range."""
    configured = {"punctuate": True, "endpointing": 700, "utterance_end_ms": 2000}
    await hear(server, seconds(0.1), StreamParams(**params), **configured)
    assert server.connections[0].query.getall(name, []) == expected


@pytest.mark.parametrize("wrong", [{"api_key": "other"}, {"base_url": "http://x"}, {"numerals": 3}])
async def test_a_stream_cannot_change_the_connection(
    server: FakeDeepgram, wrong: dict[str, Any]
) -> None:
    """Provider options of a session are checked, and reach recognition only."""
    with pytest.raises(ProviderRejected, match=f"provider_options.{next(iter(wrong))}"):
        await hear(server, seconds(0.1), StreamParams(provider_options=wrong))
    assert not server.connections


async def test_interims_nobody_wants_are_kept_back(server: FakeDeepgram) -> None:
    """With interim results off no interims come out, though the wire needs them."""
    events = await hear(server, seconds(8), StreamParams(interim_results=False))
    assert all(event.is_final for event in events if isinstance(event, Transcript))
    assert server.connections[0].query["interim_results"] == "true"
