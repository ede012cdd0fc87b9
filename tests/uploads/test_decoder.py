"""The decoder: media of all kinds become samples, and what strangers may think of does no harm."""

from __future__ import annotations

import asyncio
import os
import random
from array import array
from pathlib import Path

import av
import pytest

from sttgate import audio
from sttgate.audio import AudioFormat
from sttgate.errors import ErrorCode, RequestError
from sttgate.testing import tone
from sttgate.uploads import decode, decoder
from sttgate.uploads.decoder import Decoder
from sttgate.uploads.sources import open_source
from tests.uploads.media import KINDS, encode, float_wav, silent_flac, wav

MONO = AudioFormat()


async def decoded(path: Path, raw: AudioFormat | None = None) -> tuple[AudioFormat, bytes]:
    """Return all the samples of a file."""
    source = await open_source(path, raw, 60.0)
    pcm = b""
    async with source.samples() as read:
        while piece := await read():
            assert len(piece) % source.format.frame_bytes == 0
            pcm += piece
    assert source.format.seconds(len(pcm)) == pytest.approx(source.seconds)
    return source.format, pcm


async def refusal(path: Path, max_seconds: float = 60.0) -> RequestError:
    """Return why a file is not taken."""
    with pytest.raises(RequestError) as refused:
        await open_source(path, None, max_seconds)
    assert "\n" not in str(refused.value)
    return refused.value


def loudness(pcm: bytes) -> int:
    """Return the largest sample."""
    return max(array("h", pcm))


@pytest.mark.parametrize("kind", KINDS)
async def test_formats(tmp_path: Path, kind: str) -> None:
    """Each format gives about what was put into it, at the rate it has."""
    path = tmp_path / "file"
    path.write_bytes(encode(kind, tone(1.5)))
    audio_format, pcm = await decoded(path)
    assert audio_format == AudioFormat(KINDS[kind][3], 1)
    assert audio_format.seconds(len(pcm)) == pytest.approx(1.5, abs=0.15)
    assert loudness(pcm) == pytest.approx(loudness(tone(1.5)), rel=0.3)


async def test_lossless_is_lossless(tmp_path: Path) -> None:
    """FLAC comes out sample by sample."""
    path = tmp_path / "file"
    path.write_bytes(encode("flac", tone(1.0)))
    assert await decoded(path) == (MONO, tone(1.0))


async def test_stereo_stays_stereo(tmp_path: Path) -> None:
    """Both channels are kept."""
    path = tmp_path / "file"
    path.write_bytes(encode("flac", bytes(64_000), layout="stereo"))
    assert await decoded(path) == (AudioFormat(16_000, 2), bytes(64_000))


async def test_wav_needs_no_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """16-bit WAV is read by the gateway itself, other kinds of WAV by the decoder."""
    path = tmp_path / "file"
    path.write_bytes(float_wav(1.0))
    assert len((await decoded(path))[1]) == len(tone(1.0))
    monkeypatch.setattr(decoder, "can_decode", lambda: False)
    path.write_bytes(wav(tone(1.0)))
    assert await decoded(path) == (MONO, tone(1.0))
    path.write_bytes(float_wav(1.0))
    error = await refusal(path)
    assert error.code is ErrorCode.UNSUPPORTED_ENCODING
    assert "sttgate[uploads]" in str(error)


async def test_samples_without_a_header(tmp_path: Path) -> None:
    """They are what they are said to be; half a frame at the end is dropped."""
    path = tmp_path / "file"
    path.write_bytes(tone(1.0) + b"\0" * 3)
    stereo = AudioFormat(8_000, 2)
    assert await decoded(path, stereo) == (stereo, tone(1.0))


@pytest.mark.parametrize("claim", [0, 1_000_000_000, 0xFFFFFFFF])
async def test_wav_that_lies(tmp_path: Path, claim: int) -> None:
    """A header that claims more than there is, or does not know, makes a file as long as it is."""
    path = tmp_path / "file"
    path.write_bytes(wav(tone(1.0), size=min(claim, 0xFFFFFF00)))
    assert await decoded(path) == (MONO, tone(1.0))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"RIFF",
        b"RIFF\0\0\0\0WAVE",
        b"RIFF\0\0\0\0WAVEfmt \xff\xff\xff\xff",
        b"RIFF\0\0\0\0WAVEdata\0\0\0\0",
        wav(b""),
        b"fLaC",
        b"OggS" + bytes(23),
        b"\x1aE\xdf\xa3",
        b"ID3\x04\0\0\x7f\x7f\x7f\x7f",
        b"\0\0\0\x18ftypisom" + bytes(12),
        b"<html><body>no</body></html>",
        b"%PDF-1.7",
        bytes(100_000),
        b"\xff" * 100_000,
    ],
)
async def test_what_is_no_audio(tmp_path: Path, content: bytes) -> None:
    """Empty, cut off, or something else: one sentence, and no more."""
    path = tmp_path / "file"
    path.write_bytes(content)
    assert (await refusal(path)).code in (ErrorCode.UNSUPPORTED_ENCODING, ErrorCode.BAD_REQUEST)


@pytest.mark.parametrize("kind", ["flac", "ogg", "webm", "mp3"])
async def test_truncated(tmp_path: Path, kind: str) -> None:
    """A file that breaks off is heard up to there."""
    path = tmp_path / "file"
    content = encode(kind, tone(10.0))
    path.write_bytes(content[: len(content) // 2])
    audio_format, pcm = await decoded(path)
    assert 2.5 < audio_format.seconds(len(pcm)) < 7.5


async def test_m4a_whose_index_is_missing(tmp_path: Path) -> None:
    """What cannot be decoded at all is refused."""
    path = tmp_path / "file"
    content = encode("m4a", tone(3.0))
    path.write_bytes(content[: content.index(b"moov")])
    assert (await refusal(path)).code is ErrorCode.UNSUPPORTED_ENCODING


@pytest.mark.parametrize("kind", ["flac", "ogg", "webm", "mp3", "m4a"])
async def test_damaged(tmp_path: Path, kind: str) -> None:
    """Bytes that are wrong make samples that are wrong, or a refusal; nothing else."""
    content, dice = encode(kind, tone(2.0)), random.Random(kind)
    codes: set[ErrorCode] = set()
    for number in range(3):
        broken = bytearray(content)
        for _ in range(20):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        path = tmp_path / f"file{number}"
        path.write_bytes(broken)
        try:
            audio_format, pcm = await decoded(path)
        except RequestError as error:
            codes.add(error.code)
        else:
            assert 0 < audio_format.seconds(len(pcm)) <= 61.0
    assert codes <= {ErrorCode.UNSUPPORTED_ENCODING, ErrorCode.MAX_DURATION}


async def test_few_bytes_that_are_hours(tmp_path: Path) -> None:
    """A file that unpacks to far more than may be is refused before anybody hears it."""
    path = tmp_path / "file"
    content = silent_flac(900.0)
    path.write_bytes(content)
    assert len(content) < 15_000_000 / 50  # a hundredth of its samples
    assert (await refusal(path)).code is ErrorCode.MAX_DURATION
    assert (await open_source(path, None, 901.0)).seconds == 900.0


async def test_too_long(tmp_path: Path) -> None:
    """The sentence says how long it may be."""
    path = tmp_path / "file"
    path.write_bytes(wav(tone(4.0)))
    error = await refusal(path, 3.0)
    assert error.code is ErrorCode.MAX_DURATION
    assert "0.05 minutes" in str(error)


PLAYLISTS = {
    "concat": "ffconcat version 1.0\nfile '{path}'\n",
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:1.0,\n{path}\n#EXT-X-ENDLIST\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
}


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("scheme", ["", "subfile:,,start,0,end,0,,:", "http://127.0.0.1:9"])
async def test_files_that_name_other_files(tmp_path: Path, kind: str, scheme: str) -> None:
    """Nobody gets at files of this machine, or at its network, by sending a playlist."""
    secret = tmp_path / "secret.ts"
    secret.write_bytes(encode("mp3", tone(1.0)))
    path = tmp_path / "file"
    path.write_text(PLAYLISTS[kind].format(path=f"{scheme}{secret}"))
    assert (await refusal(path)).code is ErrorCode.UNSUPPORTED_ENCODING


def test_such_files_would_work_otherwise(tmp_path: Path) -> None:
    """The same library, when nobody forbids it, follows a playlist to a file of this machine."""
    secret = tmp_path / "secret.mp3"
    secret.write_bytes(encode("mp3", tone(1.0)))
    path = tmp_path / "file"
    path.write_text(PLAYLISTS["concat"].format(path=secret))
    with av.open(str(path), format="concat", options={"safe": "0"}) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) > 0


async def test_the_decoder_knows_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its environment has what Python needs to start, and nothing of the gateway's."""
    monkeypatch.setenv("DEEPGRAM_API_KEY", "secret")
    seen: dict[str, str] = {}
    create = asyncio.create_subprocess_exec

    async def spy(*arguments: str, **options: object) -> asyncio.subprocess.Process:
        seen.update(options["env"])  # type: ignore[call-overload]
        assert options["cwd"] != os.getcwd()
        return await create(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", spy)
    path = tmp_path / "file"
    path.write_bytes(encode("flac", tone(1.0)))
    await decoded(path)
    assert seen
    assert "secret" not in seen.values()


async def test_a_decoder_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ended after a while, and the file is refused."""
    monkeypatch.setattr(decoder, "START_CPU", 0.0)
    path = tmp_path / "file"
    path.write_bytes(encode("flac", tone(1.0)))
    with pytest.raises(RequestError):
        await Decoder(path, 0.001).measure()  # which has no time at all


async def test_a_decoder_nobody_waits_for(tmp_path: Path) -> None:
    """However often its caller is cancelled, its process is gone before the caller is."""
    path = tmp_path / "file"
    path.write_bytes(encode("flac", tone(1.0)))
    entered = asyncio.Event()
    processes = []

    async def decode() -> None:
        async with Decoder(path, 10.0)._run("decode") as process:
            processes.append(process)
            entered.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(decode())
    await entered.wait()
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)
    assert processes[0].returncode is not None


def test_the_decoder_knows_what_the_gateway_takes() -> None:
    """Its own copies of some numbers are the same."""
    assert (decode.LOWEST_RATE, decode.HIGHEST_RATE) == (
        audio.MIN_SAMPLE_RATE,
        audio.MAX_SAMPLE_RATE,
    )
    assert decode.SAMPLE_BYTES == audio.SAMPLE_BYTES


def test_every_codec_and_format_exists() -> None:
    """The names in the lists are names the library knows, so that none is a mistake."""
    assert set(decode.CODECS.split(",")) <= av.codecs_available
    known = {part for name in av.formats_available for part in name.split(",")}
    assert set(decode.FORMATS.split(",")) <= known
