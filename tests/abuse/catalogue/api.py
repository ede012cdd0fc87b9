"""Requests that every route of the API has to bear: ids, queries, bodies and files that are none."""

from __future__ import annotations

import gzip
import struct

from tests.abuse.abuse import Abuse, Peer, raw, request
from tests.abuse.catalogue.http import body, get

API = "/api/v1"
UPLOAD = f"{API}/transcriptions"
NOBODY = "0b5c1c2e-0000-4000-8000-000000000000"
JSON = "Content-Type: application/json"

OF_A_SESSION = ("", "/audio", "/peaks", "/export?format=srt", "/events")
"""What can be asked of one session."""

WITH_AN_ID = (
    *(("GET", f"/sessions/%s{rest}") for rest in OF_A_SESSION),
    *(("GET", "/transcriptions/%s"), ("GET", "/transcriptions/%s/events")),
    *(("DELETE", "/sessions/%s"), ("DELETE", "/transcriptions/%s"), ("PATCH", "/sessions/%s")),
)

IDS = {
    "nobody's id": NOBODY,
    "a way up": "..%2f..%2fetc%2fpasswd",
    "a long id": "a" * 1000,
    "an id with NUL and line break": "a%00%0d%0ab",
    "SQL": "x'%20OR%201=1;--",
}

QUERIES = {
    "no number": "/sessions?limit=many",
    "a number without end": f"/sessions?limit={'9' * 5000}",
    "less than nothing": "/sessions?limit=-1",
    "a broken cursor": "/sessions?cursor=%ff%00!!",
    "a cursor that is another's": "/sessions?cursor=WzEsIngiXQ",
    "a cursor of infinity": "/sessions?cursor=WzFlOTk5LCIiXQ",
    "nobody's state": "/sessions?state=gone",
    "the day before time": "/sessions?from=0000-00-00&to=9999-99-99T99:99:99Z",
    "a parameter nobody knows": "/sessions?__proto__=1",
    "a parameter twice": "/sessions?limit=1&limit=2",
    "metadata without a name": "/sessions?metadata.=x&metadata=y",
    "a search for quotes": "/sessions?q=%22%22%22%20AND%20NOT%20*",
    "a search for nothing": "/sessions?q=%00%01%ff",
    "a search without end": f"/sessions?q={'a+' * 3000}",
    "days that never were": "/usage?from=2026-02-31",
    "too many peaks": f"/sessions/{NOBODY}/peaks?n=99999999999",
    "a format of nonsense": f"/sessions/{NOBODY}/export?format=../../exe",
}

PATCHES = {
    "a list": b"[]",
    "null": b"null",
    "a field nobody knows": b'{"owner":"me"}',
    "a title that is none": b'{"title":{"$ne":null}}',
    "a title without end": b'{"title":"' + b"x" * 100_000 + b'"}',
    "half a character": b'{"title":"\\ud800"}',
    "numbers beyond all": b'{"metadata":{"a":1e999,"b":' + b"9" * 5000 + b"}}",
    "metadata of metadata": b'{"metadata":' + b'{"a":' * 200 + b"1" + b"}" * 200 + b"}",
}

TOKENS = {
    "seconds that are none": b'{"ttl_seconds":"long"}',
    "less than no time": b'{"ttl_seconds":-1}',
    "no end": b'{"ttl_seconds":1e999}',
    "scopes of nonsense": b'{"scopes":["root","../admin"]}',
    "scopes without end": b'{"scopes":[' + b'"read",' * 50_000 + b'"read"]}',
}


def wav(claim: int, content: bytes = b"", *, rate: int = 16_000, channels: int = 1) -> bytes:
    """Return a WAV file that claims to have ``claim`` bytes of sound."""
    fields = struct.pack("<IHHIIHH", 16, 1, channels, rate, rate * 2 & 0xFFFFFFFF, 2, 16)
    return b"RIFF\xff\xff\xff\x7fWAVEfmt " + fields + struct.pack("<4sI", b"data", claim) + content


UPLOADS = {
    "no file": (b"", (400,)),
    "no sound": (b"these are my notes", (202,)),
    "a header and no more": (b"RIFF\xff\xff\xff\xffWAVE", (202,)),
    "a sound of 4 GiB": (wav(0xFFFFFFFF, bytes(3200)), (202,)),
    "65535 channels": (wav(64, bytes(64), channels=0xFFFF), (202,)),
    "no rate": (wav(64, bytes(64), rate=0), (202,)),
    "a zip": (b"PK\x03\x04" + bytes(1000), (202,)),
    "a playlist": (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", (202,)),
    "a list of files": (b"ffconcat version 1.0\nfile /etc/passwd\n", (202,)),
}
"""They are taken, for nobody looks at a file before its turn, and fail by themselves."""

FORMS = {
    "a form without a boundary": ("multipart/form-data", b"x"),
    "a form without a part": ("multipart/form-data; boundary=x", b"--x--\r\n"),
    "a form that ends": ("multipart/form-data; boundary=x", b"--x\r\nContent-Disp"),
    "a form with a broken header": ("multipart/form-data; boundary=x", b"--x\r\nno header\r\n\r\na\r\n--x--\r\n"),
    "a boundary without end": (f"multipart/form-data; boundary={'x' * 5000}", b"--x--\r\n"),
    "a type of nonsense": ("a/b/c;;=;\x7f", b"x"),
}  # fmt: skip


def _of_id(method: str, path: str) -> bytes:
    if method == "PATCH":
        return body(method, API + path, b"{}", JSON)
    return get(API + path) if method == "GET" else body(method, API + path, b"")


async def _every_id(port: int) -> None:
    """Ask every route for every id that is none."""
    for name, identity in IDS.items():
        for method, path in WITH_AN_ID:
            abuse = raw(f"{name}: {path}", _of_id(method, path % identity), 400, 404)
            await abuse.act(port)


async def _give_up(port: int) -> None:
    """Begin to send ten files, and leave in the middle of each."""
    for _ in range(10):
        peer = await Peer.connect(port)
        await peer.send(
            request(
                f"POST {API}/transcriptions HTTP/1.1",
                "Content-Type: audio/wav",
                "Content-Length: 1000000",
            )
            + wav(1_000_000, bytes(5000))
        )
        peer.leave()


ABUSES: list[Abuse] = [
    Abuse("every id that is none, on every route", _every_id),
    *(raw(f"query: {name}", get(API + path), 200, 400, 404) for name, path in QUERIES.items()),
    *(
        raw(f"patch: {name}", body("PATCH", f"{API}/sessions/{NOBODY}", content, JSON), 400, 404)
        for name, content in PATCHES.items()
    ),
    *(
        # 409: nobody needs one here
        raw(f"token: {name}", body("POST", f"{API}/tokens", content, JSON), 400, 409)
        for name, content in TOKENS.items()
    ),
    *(
        raw(f"file: {name}", body("POST", UPLOAD, content, "Content-Type: audio/wav"), *statuses)
        for name, (content, statuses) in UPLOADS.items()
    ),
    *(
        raw(f"file: {name}", body("POST", UPLOAD, content, f"Content-Type: {kind}"), 400, 415)
        for name, (kind, content) in FORMS.items()
    ),
    raw("file: without a type", body("POST", UPLOAD, b"abc"), 202),
    raw("file: that is a bomb", body("POST", UPLOAD, gzip.compress(bytes(20 << 20)), "Content-Type: audio/wav", "Content-Encoding: gzip"), 415),
    raw("file: larger than any", request(f"POST {UPLOAD} HTTP/1.1", "Content-Type: audio/wav", f"Content-Length: {1 << 40}"), 413),
    raw("file: chunks of nonsense", request(f"POST {UPLOAD} HTTP/1.1", "Content-Type: audio/wav", "Transfer-Encoding: chunked") + b"5\r\nhello\r\nxyz\r\n", 400),
    raw("file: of another rate", body("POST", f"{UPLOAD}?encoding=linear16&sample_rate=1", bytes(64), "Content-Type: audio/l16"), 400),
    raw("file: for nobody's engine", body("POST", f"{UPLOAD}?provider=../../etc", bytes(64), "Content-Type: audio/l16"), 400),
    raw("file: with too much beside it", body("POST", f"{UPLOAD}?metadata.a={'x' * 5000}", bytes(64), "Content-Type: audio/l16"), 400),
    Abuse("file: ten that are given up", _give_up),
    raw("method for every route: put", body("PUT", f"{API}/sessions/{NOBODY}", b"{}", JSON), 405),
    raw("method for every route: the document", body("DELETE", f"{API}/openapi.json", b""), 405),
    raw("way around the prefix", get("/api/v1//sessions"), 404),
    raw("another version", get("/api/v999/sessions"), 404),
    raw("events of nobody, from the future", get(f"{API}/sessions/{NOBODY}/events", "Last-Event-ID: 99999999999999999999"), 404),
]  # fmt: skip
