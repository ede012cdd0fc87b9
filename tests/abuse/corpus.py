"""What the targets are fed with: good and bad examples, and what chance makes of them, always the same."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Mapping

DEEP = b"[" * 100_000


def wav(
    encoding: int = 1, channels: int = 1, rate: int = 16_000, bits: int = 16, size: int = 64
) -> bytes:
    """Return a WAV file with these in its header."""
    fields = struct.pack("<HHIIHH", encoding, channels, rate, rate * 2 & 0xFFFFFFFF, 2, bits)
    data = struct.pack("<4sI", b"data", size & 0xFFFFFFFF) + bytes(64)
    body = b"WAVE" + struct.pack("<4sI", b"fmt ", len(fields)) + fields + data
    return struct.pack("<4sI", b"RIFF", len(body)) + body


SEEDS: Mapping[str, tuple[bytes, ...]] = {
    "control_message": (
        b'{"event":"start"}',
        b'{"event":"start","sample_rate":8000,"channels":2,"multichannel":true,"words":true}',
        b'{"event":"start","endpointing_ms":false,"keyterms":["a"],"metadata":{"a":1}}',
        b'{"event":"start","store":{"transcript":true,"audio":false},"acks":0.25}',
        b'{"event":"start","resume":{"session_id":"x","token":"y","last_seq":5}}',
        b'{"event":"mark","label":"x"}',
        b'{"event":"metadata","metadata":{"a":null,"b":1e308}}',
        b'{"event":"ping","id":9007199254740993}',
        b'{"event":"\\ud83d\\ude00","id":"\\ud83d"}',
        b'{"event":"start","metadata":{"a":' + b"9" * 400 + b"}}",
        b'{"event":' * 1000,
        DEEP,
    ),
    "wav_header": (
        wav(),
        wav(size=0xFFFFFFFF),
        wav(encoding=0xFFFE),
        wav(channels=0),
        wav(channels=0xFFFF, rate=0xFFFFFFFF),
        wav(bits=24),
        wav(rate=1),
        b"RIFF\xff\xff\xff\xffWAVEfmt \xff\xff\xff\xff",
        b"RIFF\0\0\0\0WAVE" + b"LIST\x02\0\0\0ab" * 50 + wav()[12:],
        b"RIFX" + wav()[4:],
        b"",
    ),
    "handshake": (
        b"Bearer stt_0123_abc|bearer, token",
        b"Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.|sttgate.bearer.x",
        b"Token x|http://127.0.0.1:8000",
        b"203.0.113.9, 127.0.0.1|localhost",
        b"[::ffff:10.0.0.1]:80, fe80::1%eth0|[::1",
        b"http://[|token,,,bearer",
        b"5|" + b"A" * 24,
        b"," * 3000,
    ),
    "configuration": (
        b"server: {port: 8000}\nchain: [echo]\n",
        b"a: &a [1, 2]\nb: *a\n",
        b"a: ${A}\nb: ${A:-x}\nc: ${file:/etc/hostname}\nd: $$\n",
        b"x: !!python/object/apply:os.system [id]\n",
        b"<<: {a: 1}\n? [a]\n: b\n",
        b"a: !!binary aGVsbG8=\nb: 2026-11-29\nc: 0o17\nd: .nan\n",
        b"a: &a\n" + b"".join(b"  - [*a, *a]\n" for _ in range(20)),
        b"export A='b # c'\nB=\"x\\n\"\nC\n",
        b"%YAML 1.1\n---\na: 1\n...\n---\nb: 2\n",
        b"a: " + b"9" * 5000,
        b"[" * 100 + b"]" * 100,
    ),
    "search": (
        b"hello there",
        b'"hello there" AND NOT x*',
        b"NEAR(a b, 5) OR text:hello -x ^y + z",
        b'"' * 101,
        b"'; DROP TABLE words; --",
        b"\0\xff\xfe\xed\xa0\x80",
        b"a " * 5000,
        b"(((((" * 100,
        b"*" * 100,
    ),
    "download": (
        b"bytes=0-",
        b"bytes=-1",
        b"bytes=9-3",
        b"bytes=0-9999999999999999999",
        b"bytes=0-1,5-9",
        b"bytes=" + b"9" * 5000 + b"-",
        b'W/"1", "2", *',
        b"Wed, 21 Oct 2015 07:28:00 GMT",
        b"Wed, 99 Foo 99999 99:99:99 +9999",
        b"2026-11-29",
        b"2026-11-29T08:00:00.123456+23:59",
        b"0001-01-01T00:00:00+14:00",
        b"9999-12-31T23:59:59Z",
    ),
    "engine": (
        b'{"type":"Results","start":0.0,"duration":1.0,"is_final":true,"channel":{"alternatives":'
        b'[{"transcript":"a","confidence":0.5,"words":[{"word":"a","start":0,"end":1}]}]}}',
        b'{"type":"Results","start":-1e308,"duration":1e308,"channel":{"alternatives":[]}}',
        b'{"type":"UtteranceEnd","last_word_end":-1}',
        b'{"type":"Error","code":7}',
        b'{"text":"hello","language":"en","segments":[{"no_speech_prob":0.9,"avg_logprob":-2}],'
        b'"words":[{"word":"hello","start":0.0,"end":0.5}]}',
        b'{"text":"a","words":[{"word":null,"start":"x","end":[]}],"segments":{}}',
        b'{"text":"a","segments":[{"avg_logprob":NaN},{"avg_logprob":1e999},7,null]}',
        DEEP,
    ),
}

_DICTIONARY = (
    *(b"null", b"true", b"-1", b"1e999", b"NaN", b'""', b"[]", b"{}", b"\\ud800", b"9" * 30),
    *(
        b"\0",
        b"\r\n",
        b"\xff",
        b"\xed\xa0\x80",
        b"\xe2\x80\xae",
        b"'",
        b'"',
        b"$",
        b"${",
        b"*",
        b"&",
    ),
)


def examples(target: str, count: int) -> Iterator[bytes]:
    """Yield the seeds of a target, then ``count`` things made of them by chance."""
    seeds = SEEDS[target]
    yield from seeds
    chance = random.Random(target)
    for _ in range(count):
        data = bytearray(chance.choice(seeds)[:4096])
        for _ in range(chance.randint(1, 4)):
            at = chance.randint(0, len(data))
            match chance.randrange(6):
                case 0:
                    data[at:at] = chance.choice(_DICTIONARY)
                case 1:
                    del data[at : at + chance.randint(1, 8)]
                case 2:
                    data[at : at + 1] = chance.randbytes(1)
                case 3:
                    other = chance.choice(seeds)[:4096]
                    data[at:] = other[chance.randint(0, len(other)) :]
                case 4:
                    data[at:at] = data[at : at + chance.randint(1, 40)] * chance.randint(1, 20)
                case 5:
                    del data[at:]
        yield bytes(data)
