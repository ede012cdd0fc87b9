"""Which bytes a request is about, and which version of them."""

from __future__ import annotations

import pytest

from sttgate.api.problems import ApiProblem
from sttgate.api.ranges import Version, byte_range

VERSION = Version(etag='"a-1"', modified_at=1_700_000_000)
DATE = "Tue, 14 Nov 2023 22:13:20 GMT"
LATER = "Tue, 14 Nov 2023 22:13:21 GMT"
EARLIER = "Tue, 14 Nov 2023 22:13:19 GMT"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", range(1)),
        ("bytes=0-99", range(100)),
        ("bytes=10-19", range(10, 20)),
        ("bytes=90-", range(90, 100)),
        ("bytes=90-1000", range(90, 100)),
        ("bytes=-1", range(99, 100)),
        ("bytes=-1000", range(100)),
        ("Bytes=5-5", range(5, 6)),
        (" bytes=5-5 ", range(5, 6)),
    ],
)
def test_range(header: str, expected: range) -> None:
    """First and last byte count, either may be missing, and the end is where the file ends."""
    assert byte_range(header, 100) == expected


@pytest.mark.parametrize(
    "header",
    [
        *(None, "", "bytes", "bytes=", "bytes=-", "bytes=5", "bytes=5-4", "bytes=a-b"),
        *("items=0-1", "bytes=0-1,3-4", "bytes=+1-2", "bytes=0x1-2", "bytes=\u0661-2"),
        "bytes=0-" + "9" * 20,
    ],
)
def test_no_range(header: str | None) -> None:
    """What is no single range of bytes counts as none, so that all is sent."""
    assert byte_range(header, 100) is None


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_outside(header: str) -> None:
    """A range with nothing in it is refused, and the size is told."""
    with pytest.raises(ApiProblem) as raised:
        byte_range(header, 100)
    assert raised.value.status == 416
    assert raised.value.headers == {"Content-Range": "bytes */100"}


def test_empty_file() -> None:
    """Of nothing no part can be had."""
    for header in ("bytes=0-", "bytes=-1"):
        with pytest.raises(ApiProblem):
            byte_range(header, 0)


@pytest.mark.parametrize(
    ("headers", "known"),
    [
        ({}, False),
        ({"If-None-Match": '"a-1"'}, True),
        ({"If-None-Match": 'W/"a-1"'}, True),
        ({"If-None-Match": '"b", "a-1"'}, True),
        ({"If-None-Match": "*"}, True),
        ({"If-None-Match": '"b"'}, False),
        ({"If-None-Match": '"b"', "If-Modified-Since": LATER}, False),
        ({"If-Modified-Since": DATE}, True),
        ({"If-Modified-Since": LATER}, True),
        ({"If-Modified-Since": EARLIER}, False),
        ({"If-Modified-Since": "yesterday"}, False),
    ],
)
def test_known(headers: dict[str, str], known: bool) -> None:
    """A client that has this version is told so; the tag counts before the date."""
    assert VERSION.is_known(headers) is known


@pytest.mark.parametrize(
    ("condition", "continues"),
    [
        (None, True),
        ('"a-1"', True),
        ('"b"', False),
        ('W/"a-1"', False),
        (DATE, True),
        (LATER, False),
        ("nonsense", False),
    ],
)
def test_continues(condition: str | None, continues: bool) -> None:
    """A part is sent only to somebody whose other parts are of this very version."""
    headers = {} if condition is None else {"If-Range": condition}
    assert VERSION.continues(headers) is continues


def test_version_without_a_date() -> None:
    """Without a date only the tag counts, and no date is told."""
    version = Version(etag='"a"', modified_at=None)
    assert version.headers == {"ETag": '"a"'}
    assert not version.is_known({"If-Modified-Since": DATE})
    assert not version.continues({"If-Range": DATE})
