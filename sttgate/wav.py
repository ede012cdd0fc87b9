"""Reading WAV files: the one container the gateway's own tools take."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from sttgate.audio import MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, SAMPLE_BYTES, AudioFormat
from sttgate.errors import SttgateError

_MAX_CHANNELS = 8


class WavError(SttgateError):
    """A file is no WAV that can be read; the sentence says why and what to do."""


class WavFile:
    """An open WAV file of 16-bit PCM; a context manager. Raises WavError for anything else."""

    def __init__(self, path: Path) -> None:
        convert = f"convert it first: ffmpeg -i {path.name} -ar 16000 -ac 1 -c:a pcm_s16le out.wav"
        try:
            self._wave = wave.open(str(path), "rb")  # noqa: SIM115 - closed by our own __exit__
        except OSError as error:
            raise WavError(f"{path}: cannot be read: {error.strerror or error}") from error
        except (wave.Error, EOFError) as error:
            raise WavError(
                f"{path}: is not a WAV file of PCM ({error or 'empty'}); {convert}"
            ) from error
        rate, channels = self._wave.getframerate(), self._wave.getnchannels()
        bits = 8 * self._wave.getsampwidth()
        problem = ""
        if bits != 8 * SAMPLE_BYTES:
            problem = f"has {bits}-bit samples, not 16"
        elif not MIN_SAMPLE_RATE <= rate <= MAX_SAMPLE_RATE:
            problem = f"has {rate} samples a second, not {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE}"
        elif not 1 <= channels <= _MAX_CHANNELS:
            problem = f"has {channels} channels, not 1 to {_MAX_CHANNELS}"
        if problem:
            self._wave.close()
            raise WavError(f"{path}: {problem}; {convert}")
        self.format = AudioFormat(rate, channels)
        self.seconds = self._wave.getnframes() / rate

    def chunks(self, seconds: float = 0.1) -> Iterator[bytes]:
        """Yield the PCM in pieces of ``seconds``; a truncated file ends where it ends."""
        while pcm := self._wave.readframes(round(seconds * self.format.sample_rate)):
            yield pcm

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._wave.close()
