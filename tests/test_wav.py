"""Reading WAV files, good ones and all the others."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest

from sttgate.audio import AudioFormat, wav_header
from sttgate.testing import tone
from sttgate.wav import WavError, WavFile, open_wav

PCM = tone(0.5)


def chunk(name: bytes, content: bytes, size: int | None = None) -> bytes:
    return name + struct.pack("<I", len(content) if size is None else size) + content


def wav(
    pcm: bytes = PCM,
    *,
    encoding: int = 1,
    channels: int = 1,
    rate: int = 16_000,
    bits: int = 16,
    size: int | None = None,
    extra: bytes = b"",
) -> bytes:
    frame = channels * bits // 8
    fields = struct.pack("<HHIIHH", encoding, channels, rate, rate * frame, frame, bits) + extra
    body = b"WAVE" + chunk(b"fmt ", fields) + chunk(b"data", pcm, size)
    return chunk(b"RIFF", body)


def read(content: bytes) -> tuple[WavFile, bytes]:
    file = WavFile(io.BytesIO(content), "talk.wav")
    return file, b"".join(file.chunks(0.1))


class TestGood:
    def test_own_header(self) -> None:
        """What the gateway writes is read back, with the length its header tells."""
        file, pcm = read(wav_header(AudioFormat(), len(PCM)) + PCM)
        assert (file.format, file.seconds, file.missing) == (AudioFormat(), 0.5, 0.0)
        assert pcm == PCM

    @pytest.mark.parametrize("size", [0, 0x7FFFFFFF - 36, 0xFFFFFFFF])
    def test_unknown_length(self, size: int) -> None:
        """A header written before the length was known means: until the end of the file."""
        file, pcm = read(wav(size=size))
        assert (file.seconds, file.missing) == (None, 0.0)
        assert pcm == PCM

    def test_extensible(self) -> None:
        """The extensible format that many programs write for PCM is PCM."""
        guid = struct.pack("<HHIH", 22, 16, 4, 1) + b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"
        assert read(wav(encoding=0xFFFE, extra=guid))[1] == PCM

    def test_other_chunks(self) -> None:
        """Chunks beside the two that matter are passed over, those of odd length with their padding."""
        plain = wav()
        notes = chunk(b"LIST", b"abc") + b"\0"
        content = plain[:12] + notes + plain[12:36] + notes + plain[36:] + notes
        assert read(content)[1] == PCM

    @pytest.mark.parametrize(("channels", "rate"), [(1, 8_000), (2, 44_100), (8, 48_000)])
    def test_formats(self, channels: int, rate: int) -> None:
        """The format is that of the header; chunks are whole frames."""
        file = WavFile(io.BytesIO(wav(PCM[:-4], channels=channels, rate=rate)), "talk.wav")
        assert file.format == AudioFormat(rate, channels)
        assert all(len(piece) % file.format.frame_bytes == 0 for piece in file.chunks(0.0101))

    def test_truncated(self) -> None:
        """A file that ends early gives what it has, in whole samples, and says how much is missing."""
        file, pcm = read(wav()[: 44 + 8001])
        assert pcm == PCM[:8000]
        assert file.missing == pytest.approx(0.25, abs=0.001)

    def test_pipe(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Short reads, as pipes give them, make no difference."""

        class Trickle(io.BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                return super().read(min(size or 7, 7))

        file = WavFile(Trickle(wav()), "pipe")
        assert b"".join(file.chunks(0.1)) == PCM


class TestBad:
    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"", "is empty"),
            (b"\n", "is not a WAV file"),
            (b"Dear diary, today nobody listened.", "is not a WAV file"),
            (b"RIFF\0\0\0\0AVI LIST", "is not a WAV file"),
            (wav()[:12], "ends within its header"),
            (wav()[:30], "damaged header"),
            (wav()[:38], "ends within its header"),
            (wav()[:12] + chunk(b"fmt ", b"\0" * 8), "damaged header"),
            (wav()[:12] + chunk(b"fmt ", b"", 0xFFFFFFFF), "damaged header"),
            (wav()[:12] + chunk(b"junk", b"", 0xFFFFFFFF), "ends within its header"),
            (wav(bits=24), "has 24-bit samples, not 16"),
            (wav(bits=8), "has 8-bit samples, not 16"),
            (wav(bits=32, encoding=3), "has floating-point samples, not 16-bit PCM"),
            (wav(bits=8, encoding=7), "has mu-law, not 16-bit PCM"),
            (wav(encoding=999), "has encoding 999, not 16-bit PCM"),
            (wav(encoding=0xFFFE), "has encoding 65534, not 16-bit PCM"),
            (wav(rate=96_000), "has 96000 samples a second, not 8000 to 48000"),
            (wav(rate=0), "has 0 samples a second"),
            (wav(channels=0), "has 0 channels, not 1 to 8"),
            (wav(channels=9), "has 9 channels, not 1 to 8"),
        ],
    )
    def test_content(self, content: bytes, words: str) -> None:
        """The sentence names the file, says what is wrong with it and how to convert it."""
        with pytest.raises(WavError) as caught:
            read(content)
        assert str(caught.value).startswith("talk.wav: ")
        assert words in str(caught.value)
        assert not content or "ffmpeg -i talk.wav" in str(caught.value)

    def test_every_cut(self) -> None:
        """A file cut off anywhere in its header is a WavError, never another exception."""
        for length in range(44):
            with pytest.raises(WavError):
                read(wav()[:length])

    def test_paths(self, tmp_path: Path) -> None:
        """A file that is not there, a folder and a path below a file are told as what they are."""
        (tmp_path / "file").touch()
        for name, words in (
            ("none.wav", "No such file"),
            ("", "directory"),
            ("file/x.wav", "Not a directory"),
        ):
            with pytest.raises(WavError, match=words), open_wav(tmp_path / name):
                pass

    def test_closed(self, tmp_path: Path) -> None:
        """A file that is no WAV is closed all the same."""
        (tmp_path / "talk.wav").write_bytes(wav(bits=8))
        with pytest.raises(WavError), open_wav(tmp_path / "talk.wav"):
            pass
