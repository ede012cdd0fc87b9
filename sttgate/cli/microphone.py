"""A microphone as a stream of PCM, through sounddevice (extra ``sttgate[mic]``)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sttgate.audio import AudioFormat
from sttgate.errors import SttgateError

FORMAT = AudioFormat(16_000, 1)
_BLOCK = 0.1  # seconds
_MAX_BLOCKS = 100  # ten seconds that nobody took; older sound is dropped


class MicrophoneError(SttgateError):
    """There is no sound to be had; the sentence says what to do."""


def list_devices() -> str:
    """Return the sound devices of this machine, a line each."""
    return str(_sounddevice().query_devices())


@asynccontextmanager
async def open_microphone(
    device: str | None, stop: asyncio.Event
) -> AsyncIterator[AsyncIterator[bytes]]:
    """Give 16 kHz mono PCM from ``device`` (a number or a part of its name) until ``stop``."""
    sounddevice = _sounddevice()
    loop = asyncio.get_running_loop()
    blocks: asyncio.Queue[bytes | None] = asyncio.Queue(_MAX_BLOCKS)

    def put(block: bytes | None) -> None:
        if blocks.full():
            blocks.get_nowait()
        blocks.put_nowait(block)

    def heard(data: Any, frames: int, time: Any, status: Any) -> None:
        loop.call_soon_threadsafe(put, bytes(data))

    try:
        stream = sounddevice.RawInputStream(
            samplerate=FORMAT.sample_rate,
            channels=FORMAT.channels,
            dtype="int16",
            blocksize=FORMAT.bytes(_BLOCK) // FORMAT.frame_bytes,
            device=int(device) if device is not None and device.isdecimal() else device,
            callback=heard,
        )
    except (sounddevice.PortAudioError, ValueError) as error:
        raise MicrophoneError(
            f"the microphone cannot be opened: {error}; see: sttgate listen --list-devices"
        ) from error
    waiting = asyncio.create_task(stop.wait())
    waiting.add_done_callback(lambda _: put(None))
    try:
        with stream:
            yield _until_none(blocks)
    finally:
        waiting.cancel()


async def _until_none(blocks: asyncio.Queue[bytes | None]) -> AsyncIterator[bytes]:
    while (block := await blocks.get()) is not None:
        yield block


def _sounddevice() -> Any:
    try:
        import sounddevice
    except ModuleNotFoundError as error:
        raise MicrophoneError(
            "there is no access to microphones: pip install 'sttgate[mic]'"
        ) from error
    except OSError as error:  # the package is there, the library it talks to is not
        raise MicrophoneError(
            f"{error}; install PortAudio, on Debian the package libportaudio2"
        ) from error
    return sounddevice
