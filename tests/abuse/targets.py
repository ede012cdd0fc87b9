"""Everything that takes what strangers send apart, each as a function of bytes that must bear it all.

A target returns, or raises what the parser documents and the target catches; anything else is a
mistake. ``test_targets.py`` runs them over a fixed corpus, ``fuzz.py`` for as long as one likes.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote_from_bytes

from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from pydantic import IPvAnyNetwork, TypeAdapter, ValidationError

import sttgate_deepgram.messages as deepgram
from sttgate.access.addresses import client_address, is_loopback
from sttgate.access.credentials import presented
from sttgate.access.keys import KeyFile
from sttgate.access.principal import parse_scopes
from sttgate.access.tokens import Tokens
from sttgate.api.instants import Moment
from sttgate.api.problems import ApiProblem
from sttgate.api.ranges import Version, byte_range
from sttgate.config.document import Document
from sttgate.config.environment import read_dotenv
from sttgate.config.reading import parse
from sttgate.errors import RequestError
from sttgate.operations.origins import origin_allowed
from sttgate.protocols.handshake import check_handshake
from sttgate.protocols.native import requests
from sttgate.wav import WavError, open_wav
from sttgate_openai.answer import read_answer
from sttgate_openai.failures import read_refusal
from sttgate_sqlite.search import expression

_PROXIES = [TypeAdapter(IPvAnyNetwork).validate_python("127.0.0.0/8")]
_TOKENS = Tokens(b"0" * 32)
_KEYS = KeyFile(Path("no such file"))
_INSTANT: TypeAdapter[float] = TypeAdapter(Moment)
_VERSION = Version(etag='"1"', modified_at=1_700_000_000)


def control_message(data: bytes) -> None:
    """Take a text message of the native protocol."""
    message = requests.parse_event(data.decode("utf-8", "surrogateescape"))
    if message is None:
        return
    for take in (requests.parse_start, requests.parse_metadata, requests.parse_id):
        with suppress(RequestError):
            taken = take(message)
            if isinstance(taken, requests.Start):
                taken.session_params("id", 2)
    requests.unknown_fields(message)


def wav_header(data: bytes) -> None:
    """Read a WAV file."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        file.write(data)
        file.flush()
        with suppress(WavError), open_wav(Path(file.name)) as wav:
            for _ in zip(range(4), wav.chunks(1.0), strict=False):
                pass


def handshake(data: bytes) -> None:
    """Look at the address, the origin and the credential of a request."""
    text = data.decode("latin-1").translate({0: None, 10: None, 13: None})
    first, _, second = text.partition("|")
    transport = SimpleNamespace(get_extra_info=lambda name, default=None: ("127.0.0.1", 9))
    request = make_mocked_request(
        "GET",
        f"/?token={quote_from_bytes(data[:200])}",
        headers={
            "Authorization": first,
            "Sec-WebSocket-Protocol": second,
            "Sec-WebSocket-Key": second,
            "X-Forwarded-For": text,
            "Content-Length": first,
        },
        transport=transport,
    )
    with suppress(web.HTTPBadRequest):
        check_handshake(request)
    assert client_address(request, _PROXIES)
    origin_allowed(first, second, [text])
    is_loopback(text)
    parse_scopes(text)
    credential = presented(request)
    if credential is not None:
        assert asyncio.run(_TOKENS.check(credential.secret, use=True)) is None
        assert _KEYS.find(credential.secret) is None


def configuration(data: bytes) -> None:
    """Read a configuration, and a file of variables."""
    text = data.decode("utf-8", "replace")
    document = Document("config.yaml")
    parse(text, document, {"A": text}, Path("/nowhere"))
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        read_dotenv(Path(file.name), ".env", document)
    for problem in document.problems:
        str(problem)


def search(data: bytes) -> None:
    """Look for it in a full-text index."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE VIRTUAL TABLE words USING fts5 (text)")
        database.execute("INSERT INTO words VALUES ('hello there')")
        query = expression(data.decode("utf-8", "surrogateescape"))
        database.execute("SELECT * FROM words WHERE words MATCH ?", (query,)).fetchall()


def download(data: bytes) -> None:
    """Look at which part of which version is asked for, and since when."""
    text = data.decode("latin-1")
    with suppress(ApiProblem):
        part = byte_range(text, 1000)
        assert part is None or (0 <= part.start < part.stop <= 1000)
    for header in ("If-None-Match", "If-Modified-Since", "If-Range"):
        _VERSION.is_known({header: text})
        _VERSION.continues({header: text})
    with suppress(ValidationError):
        _INSTANT.validate_python(text)


def engine(data: bytes) -> None:
    """Take what a vendor answers."""
    with suppress(deepgram.Malformed):
        message = deepgram.decode(data)
        if isinstance(message, deepgram.Results):
            deepgram.transcript(message, 0.0, 10.0)
    with suppress(ValueError, RecursionError):  # both are the vendor's mistake to the session
        read_answer(data, 10.0)
    read_refusal(429, {}, data)


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        *(control_message, wav_header, handshake, configuration, search, download, engine),
    )
}
