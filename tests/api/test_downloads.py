"""Names of files to download."""

from __future__ import annotations

import pytest

from sttgate.api.downloads import attachment
from sttgate.stores import SessionStart, StoredSession


def named(title: str | None) -> str:
    """Return the header for a session with this title."""
    start = SessionStart(
        id="0123456789", created_at=0, protocol="test", sample_rate=16_000, channels=1, title=title
    )
    return attachment(start.id, StoredSession(start=start, end=None, utterances=0, words=0), ".txt")


@pytest.mark.parametrize(
    ("title", "name"),
    [
        (None, "session"),
        ("", "session"),
        ("Stand-up, Monday", "Stand-up-Monday"),
        ("../../etc/passwd", "etc-passwd"),
        ('a"; filename="b.exe', "a-filename-b-exe"),
        ("a\r\nSet-Cookie: b", "a-Set-Cookie-b"),
        ("C:\\CON", "C-CON"),
        (".hidden", "hidden"),
        ("???", "session"),
        ("x" * 300, "x" * 80),
    ],
)
def test_name(title: str | None, name: str) -> None:
    """Only letters and digits of a title are left: nothing is a path, and nothing ends the header."""
    assert named(title) == f'attachment; filename="{name}-01234567.txt"'


@pytest.mark.parametrize(
    ("title", "plain", "encoded"),
    [
        ("Café", "Cafe-01234567.txt", "Caf%C3%A9-01234567.txt"),
        ("会议", "01234567.txt", "%E4%BC%9A%E8%AE%AE-01234567.txt"),
        ("a\u202etxt.exe", None, None),
    ],
)
def test_other_scripts(title: str, plain: str | None, encoded: str | None) -> None:
    """A title in any script is kept, and a client that knows ASCII only gets a name, too."""
    if plain is None:  # what turns the direction of the writing is no letter
        assert named(title) == 'attachment; filename="a-txt-exe-01234567.txt"'
        return
    assert named(title) == f"attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"


def test_without_a_session() -> None:
    """A recording without a transcript has a name, too."""
    assert attachment("abc", None, ".wav") == 'attachment; filename="session-abc.wav"'
