"""Audio that is none, or too much of it."""

from __future__ import annotations

import gzip
import random

from sttgate.audio import AudioFormat, wav_header
from sttgate.testing import tone
from tests.abuse.abuse import START, STOP, Abuse, Peer, checked, masked, text
from tests.abuse.catalogue.messages import start

NOISE = random.Random(3).randbytes(32_000)


def hears(name: str, *audio: bytes, begin: bytes = START) -> Abuse:
    """Return an abuse with audio that is taken for what it is not, and ends in order."""

    async def act(port: int) -> None:
        peer = await (await Peer.connect(port)).upgrade()
        try:
            await peer.send(begin)
            for data in audio:
                await peer.send(masked(2, data))
            await peer.send(STOP)
            await peer.answer("stopped")
            checked(peer)
        finally:
            peer.leave()

    return Abuse(name, act)


ABUSES: list[Abuse] = [
    hears("nothing at all"),
    hears("one byte", b"\x01"),
    hears("odd bytes", bytes(3201)),
    hears("odd bytes, again and again", *[bytes(33)] * 500),
    hears("frames of a byte", *[b"\x00"] * 3000),
    hears("noise", NOISE),
    hears("loudest", b"\xff\x7f" * 16_000),
    hears("silence", bytes(320_000)),
    hears("a WAV header in the midst", tone(0.2), wav_header(AudioFormat(44_100, 2), 2**31), tone(0.2)),
    hears("an MP3", b"ID3\x04\x00\x00\x00\x00\x00\x00" + b"\xff\xfb\x90\x00" * 2000),
    hears("text as audio", b"please transcribe this" * 500),
    hears("a zip bomb", gzip.compress(bytes(10 << 20))),
    hears("the largest message", bytes(16 * 1024 * 1024)),
    hears("eight channels, one and a half samples", bytes(24), begin=text(start(channels=8))),
    hears("eight channels apart", tone(0.5) * 8, begin=text(start(channels=8, multichannel=True))),
    hears("lowest rate", tone(0.5), begin=text(start(sample_rate=8000))),
    hears("nothing of it kept", tone(0.5), begin=text(start(store=False))),
]  # fmt: skip
