"""``sttgate listen``: from sound to lines; the microphone itself needs hardware."""

from __future__ import annotations

import asyncio
import builtins
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pysubs2
import pytest

from sttgate.cli import microphone
from sttgate.cli.doors import local
from sttgate.cli.listen import hear
from sttgate.errors import ProviderUnavailable
from sttgate.testing import tone
from tests.gateways import SCRIPT, build_config, scripted


async def sound(seconds: float) -> AsyncIterator[bytes]:
    pcm = tone(seconds)
    for at in range(0, len(pcm), 3200):
        yield pcm[at : at + 3200]


async def test_finals_are_lines_on_stdout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every final is a line of standard output, and nothing else is."""
    config = build_config(tmp_path, providers=scripted())
    async with local(config) as open_door, open_door(sample_rate=16_000) as door:
        await hear(door, sound(6.0))
    lines = capsys.readouterr().out.splitlines()
    assert lines == list(SCRIPT)


@pytest.mark.parametrize("output_format", ["json", "srt", "vtt"])
async def test_other_formats_at_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], output_format: str
) -> None:
    """Subtitles and JSON are printed once, when the session is over."""
    config = build_config(tmp_path, providers=scripted())
    start = {"sample_rate": 16_000, "words": True}
    async with local(config) as open_door, open_door(**start) as door:
        await hear(door, sound(6.0), output_format)
    lines = capsys.readouterr().out.splitlines()
    if output_format == "json":
        [line] = lines
        told = json.loads(line)
        assert (told["text"], "file" in told) == (" ".join(SCRIPT), False)
        return
    written = "\n".join(lines) + "\n"
    assert written.count("-->") == len(pysubs2.SSAFile.from_string(written, format_=output_format))
    assert lines[0] == {"srt": "1", "vtt": "WEBVTT"}[output_format]
    assert SCRIPT[0] in written


async def test_what_nobody_heard_is_told(tmp_path: Path) -> None:
    """When no provider hears the end, the command says how much is missing."""
    dying = {"script": list(SCRIPT), "die_after": 3.0, "error": "auth"}
    config = build_config(tmp_path, providers={"echo": dying})
    with pytest.raises(ProviderUnavailable, match="could not be transcribed"):
        async with local(config) as open_door, open_door(sample_rate=16_000) as door:
            await hear(door, sound(6.0))


@pytest.mark.parametrize(
    ("error", "cure"),
    [
        (ModuleNotFoundError("No module named 'sounddevice'"), r"sttgate\[mic\]"),
        (OSError("PortAudio library not found"), "libportaudio2"),
    ],
)
def test_missing_sound_is_explained(
    monkeypatch: pytest.MonkeyPatch, error: Exception, cure: str
) -> None:
    """Without the package or the library below it, the sentence says what to install."""
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> ModuleType:
        if name == "sounddevice":
            raise error
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(microphone.MicrophoneError, match=cure):
        microphone.list_devices()


async def test_no_microphone_is_explained() -> None:
    """Where there is no microphone, one sentence says so and how to see what there is."""
    try:
        devices = microphone.list_devices()
    except microphone.MicrophoneError as error:
        pytest.skip(str(error))
    if devices.strip():
        pytest.skip("this machine has sound devices")
    with pytest.raises(microphone.MicrophoneError, match="--list-devices"):
        async with microphone.open_microphone(None, asyncio.Event()):
            pass
