"""Names of files to download, which browsers and file systems take whatever people call a session."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote

from sttgate.stores import StoredSession

_LONGEST = 80  # characters of a title


def attachment(session_id: str, session: StoredSession | None, suffix: str) -> str:
    """Return the ``Content-Disposition`` of a file of a session; ``suffix`` begins with a dot.

    Of the title only letters and digits are left, so that nothing in it is a path or ends the header
    (RFC 6266, RFC 8187).
    """
    title = (session.start.title if session is not None else None) or "session"
    words = re.sub(r"[\W_]+", "-", unicodedata.normalize("NFC", title)).strip("-")[:_LONGEST]
    name = f"{words or 'session'}-{session_id[:8]}{suffix}"
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lstrip("-")
    written = f'attachment; filename="{plain}"'
    return written if plain == name else f"{written}; filename*=UTF-8''{quote(name, safe='')}"
