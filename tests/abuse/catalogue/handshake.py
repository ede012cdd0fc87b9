"""Handshakes that are none."""

from __future__ import annotations

from sttgate.protocols.native import PATH
from tests.abuse.abuse import UPGRADE, Abuse, raw, request

GET = f"GET {PATH} HTTP/1.1"
KEY = UPGRADE[3]


def _with(*headers: str, line: str = GET, without: str = "") -> bytes:
    kept = [header for header in UPGRADE if not without or not header.startswith(without)]
    return request(line, *kept, *headers)


ABUSES: list[Abuse] = [
    raw("no upgrade", request(GET), 400, 426),
    raw("no key", _with(without="Sec-WebSocket-Key"), 400),
    raw("no version", _with(without="Sec-WebSocket-Version"), 400),
    raw("no connection header", _with(without="Connection"), 400, 426),
    raw("empty key", _with("Sec-WebSocket-Key: ", without="Sec-WebSocket-Key"), 400),
    raw("short key", _with("Sec-WebSocket-Key: YWJj", without="Sec-WebSocket-Key"), 400),
    raw("key that is no base64", _with("Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!!!", without=KEY), 400),
    raw("key beyond ASCII", _with("Sec-WebSocket-Key: \xe9\xe9\xe9\xe9\xe9\xe9==", without=KEY), 400),
    raw("two keys", _with("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="), 400),
    raw("huge key", _with(f"Sec-WebSocket-Key: {'A' * 7000}==", without=KEY), 400),
    raw("version 12", _with("Sec-WebSocket-Version: 12", without="Sec-WebSocket-Version"), 400, 426),
    raw("version of words", _with("Sec-WebSocket-Version: new", without="Sec-WebSocket-Version"), 400, 426),
    raw("upgrade to something else", _with("Upgrade: h2c", without="Upgrade"), 400, 426),
    raw("upgrade with a body", _with("Content-Length: 5") + b"hello", 400),
    raw("upgrade with a chunked body", _with("Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n\r\n", 400),
    raw("upgrade with both lengths", _with("Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n", 400),
    raw("upgrade by POST", _with(line=f"POST {PATH} HTTP/1.1"), 400, 405),
    raw("upgrade by HTTP/1.0", _with(line=f"GET {PATH} HTTP/1.0"), 400, 426, 505),
    raw("no host", b"\r\n".join([GET.encode(), *(h.encode() for h in UPGRADE), b"", b""]), 101, 400),
    raw("page from elsewhere", _with("Origin: https://evil.example.com"), 403),
    raw("page from a file", _with("Origin: null"), 403),
    raw("page with a broken origin", _with("Origin: http://[::1"), 403),
    raw("page with two origins", _with("Origin: http://127.0.0.1", "Origin: https://evil.example.com"), 101, 400, 403),
    raw("protocol 3", _with(line=f"GET {PATH}?protocol=3 HTTP/1.1"), 400),
    raw("protocol of nonsense", _with(line=f"GET {PATH}?protocol=%00%ff HTTP/1.1"), 400),
    raw("very long query", _with(line=f"GET {PATH}?x={'y' * 7000} HTTP/1.1"), 101, 400, 414),
    raw("longer than any line", _with(line=f"GET {PATH}?x={'y' * 70_000} HTTP/1.1"), 0, 400, 414),
    raw("unknown path", _with(line="GET /ws/v9/speech-to-text HTTP/1.1"), 404),
    raw("way up in the path", _with(line="GET /ws/v1/../../etc/passwd HTTP/1.1"), 400, 404),
    raw("subprotocols without end", _with(f"Sec-WebSocket-Protocol: {', '.join(['x'] * 2000)}"), 101, 400),
    raw("subprotocol beyond ASCII", _with("Sec-WebSocket-Protocol: \xff\xfe"), 101, 400),
    raw("extensions without end", _with(f"Sec-WebSocket-Extensions: {'permessage-deflate, ' * 300}x"), 101, 400),
    raw("extension with a lie", _with("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99"), 101, 400),
]  # fmt: skip
