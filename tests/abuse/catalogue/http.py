"""Requests that are none, and requests for what is not to be had."""

from __future__ import annotations

import gzip

from tests.abuse.abuse import Abuse, raw, request

LIVE = "GET /livez HTTP/1.1"
SESSIONS = "/api/v1/sessions"
ID = "0b5c1c2e-0000-4000-8000-000000000000"


def get(path: str, *headers: str) -> bytes:
    """Return a GET."""
    return request(f"GET {path} HTTP/1.1", *headers)


def body(method: str, path: str, content: bytes, *headers: str) -> bytes:
    """Return a request with a body."""
    return (
        request(f"{method} {path} HTTP/1.1", f"Content-Length: {len(content)}", *headers) + content
    )


ABUSES: list[Abuse] = [
    raw("nothing but line breaks", b"\r\n\r\n\r\n\r\n" + request(LIVE), 200, 400),
    raw("no HTTP", b"hello there\r\n\r\n", 0, 400),
    raw("TLS", bytes.fromhex("16030100a1010000 9d0303") + bytes(150), 0, 400),
    raw("another version", request("GET /livez HTTP/3.0"), 0, 400, 505),
    raw("method of nonsense", request("G\x00T /livez HTTP/1.1"), 400),
    raw("unknown method", request("BREW /livez HTTP/1.1"), 400, 405),
    raw("trace", request("TRACE /livez HTTP/1.1"), 400, 405),
    raw("a proxy's request", request("GET http://169.254.169.254/latest HTTP/1.1"), 400, 404),
    raw("connect", request("CONNECT 169.254.169.254:80 HTTP/1.1"), 400, 404, 405),
    raw("NUL in a header", request(LIVE, "X-A: a\x00b"), 400),
    raw("line break in a header", request(LIVE, "X-A: a\rb"), 400),
    raw("header without a name", request(LIVE, ": x"), 400),
    raw("space before the colon", request(LIVE, "X-A : x"), 400),
    raw("header on two lines", request(LIVE, "X-A: a\r\n b"), 200, 400),
    raw("header of 100 KB", request(LIVE, f"X-A: {'a' * 100_000}"), 0, 400, 431),
    raw("1000 headers", request(LIVE, *[f"X-{n}: a" for n in range(1000)]), 0, 200, 400, 431),
    raw("two hosts", request(LIVE, "Host: other"), 200, 400),
    raw("two lengths", request("POST /livez HTTP/1.1", "Content-Length: 3", "Content-Length: 4") + b"abcd", 400),
    raw("length and chunks", request("POST /livez HTTP/1.1", "Content-Length: 3", "Transfer-Encoding: chunked") + b"0\r\n\r\n", 400),
    raw("negative length", request("POST /livez HTTP/1.1", "Content-Length: -1"), 400),
    raw("length with a sign", request("POST /livez HTTP/1.1", "Content-Length: +3") + b"abc", 400),
    raw("length beyond all", request("POST /livez HTTP/1.1", f"Content-Length: {10**30}"), 400, 405, 413),
    raw("chunk of nonsense", request("POST /api/v1/tokens HTTP/1.1", "Transfer-Encoding: chunked") + b"xyz\r\nhello\r\n", 400, 415),
    raw("chunked twice", request("POST /livez HTTP/1.1", "Transfer-Encoding: chunked, chunked") + b"0\r\n\r\n", 400, 405),
    raw("unknown transfer encoding", request("POST /livez HTTP/1.1", "Transfer-Encoding: rot13") + b"0\r\n\r\n", 400, 405, 501),
    raw("hidden second request", request("POST /livez HTTP/1.1", "Content-Length: 0", "Transfer-Encoding : chunked") + b"0\r\n\r\n" + get("/metrics"), 400),
    raw("way up", get("/api/v1/../../../../etc/passwd"), 400, 404),
    raw("way up, encoded", get(f"{SESSIONS}/..%2f..%2f..%2fetc%2fpasswd"), 404),
    raw("way up, encoded twice", get(f"{SESSIONS}/%252e%252e%252fetc"), 404),
    raw("way up, to the recordings", get(f"{SESSIONS}/..%5c..%5csecret/audio"), 404),
    raw("NUL in an id", get(f"{SESSIONS}/a%00b"), 404),
    raw("id of 5000 characters", get(f"{SESSIONS}/{'a' * 5000}"), 404),
    raw("id that is no UTF-8", get(f"{SESSIONS}/%ff%fe"), 400, 404),
    raw("unknown id", get(f"{SESSIONS}/{ID}"), 404),
    raw("unknown recording", get(f"{SESSIONS}/{ID}/audio"), 404),
    raw("broken range", get(f"{SESSIONS}/{ID}/audio", "Range: bytes=9-3,xyz"), 404, 416),
    raw("ranges without end", get(f"{SESSIONS}/{ID}/audio", "Range: bytes=" + "0-1," * 1000), 404, 416),
    raw("unknown page", get("/wp-admin/setup.php"), 404),
    raw("query of nonsense", get("/livez?%ff=%00&&&=;;"), 200, 400),
    raw("long path", get("/" + "a/" * 3000), 400, 404, 414),
    raw("no method here", body("POST", f"{SESSIONS}/{ID}/audio", b""), 405),
    raw("delete of everything", body("DELETE", SESSIONS, b""), 404, 405),
    raw("body that is no JSON", body("POST", "/api/v1/tokens", b"{", "Content-Type: application/json"), 400),
    raw("body that is another type", body("POST", "/api/v1/tokens", b"a=b", "Content-Type: text/plain"), 415),
    raw("body without a type", body("POST", "/api/v1/tokens", b"{}"), 415),
    raw("very deep body", body("POST", "/api/v1/tokens", b"[" * 100_000, "Content-Type: application/json"), 400),
    raw("body of 2 MiB", body("POST", "/api/v1/tokens", b" " * (2 << 20), "Content-Type: application/json"), 413),
    raw("body that is a bomb", body("POST", "/api/v1/tokens", gzip.compress(bytes(50 << 20)), "Content-Type: application/json", "Content-Encoding: gzip"), 415),
    raw("body that is no UTF-8", body("POST", "/api/v1/tokens", b'{"a":"\xff"}', "Content-Type: application/json"), 400),
    raw("fields nobody knows", body("POST", "/api/v1/tokens", b'{"__proto__":{}}', "Content-Type: application/json"), 400),
    raw("expectation of nonsense", body("POST", "/api/v1/tokens", b"", "Expect: 200-ok"), 400, 415, 417),
    raw("half a request, then gone", b"POST /api/v1/tokens HT", 0, 400, then_close=True),
]  # fmt: skip
