"""Figures in the documentation are those of the code."""

from __future__ import annotations

import pytest

from sttgate import app
from sttgate.protocols import native
from sttgate.protocols.native import connection, requests
from sttgate.session import chain, feed, finalizing, recognition, session, spool, storing
from tests.docs.pages import read

PLUGINS, PROTOCOL = "docs/plugins.md", "docs/protocol.md"
DESIGN, OPERATIONS = "docs/design.md", "docs/operations.md"


@pytest.mark.parametrize(
    ("page", "sentence", "figures"),
    [
        (PLUGINS, "`open` may take | {:g} s", [chain._OPEN_TIMEOUT]),
        (PLUGINS, "`close` may take | {:g} s", [chain._CLOSE_TIMEOUT]),
        (PLUGINS, "{:g} s without reading audio or", [recognition.STALL_TIMEOUT]),
        (PLUGINS, "{:g} s of audio without any event", [recognition.STALL_TIMEOUT]),
        (PLUGINS, "counts as stalled after {:g} s", [recognition.SETTLE_TIMEOUT]),
        (PLUGINS, "{:g} s without an event", [recognition.FAREWELL_TIMEOUT]),
        (
            PLUGINS,
            "| {}, the second after {:g} s or `retry_after`, at most {:g} s",
            [recognition._TRIES_PER_PROVIDER, recognition._FIRST_RETRY, recognition._MAX_RETRY],
        ),
        (PLUGINS, "tried again every {:g} s", [recognition.REVIVE_INTERVAL]),
        (
            PLUGINS,
            "failed {} times in a row",
            [chain._FAILURES_TO_OPEN],
        ),
        (
            PLUGINS,
            "passed over for {:g} s, then {:g} s, up to {:g} s",
            [chain._FIRST_COOL_DOWN, 2 * chain._FIRST_COOL_DOWN, chain._MAX_COOL_DOWN],
        ),
        (PLUGINS, "{:g} s after its audio", [session.DRAIN_TIMEOUT]),
        (PLUGINS, "after {:g} s the client gets its `finalized`", [finalizing.FINALIZE_TIMEOUT]),
        (PLUGINS, "chunks are at most {:g} s", [feed.MAX_CHUNK]),
        (
            PLUGINS,
            "after {:g} s, then doubles up to {:g} s",
            [storing._FIRST_RETRY, storing._MAX_RETRY],
        ),
        (PROTOCOL, "any size up to {} MiB", [native.MAX_MESSAGE_BYTES >> 20]),
        (PROTOCOL, '"max_message_bytes":{}', [native.MAX_MESSAGE_BYTES]),
        (PROTOCOL, "WebSocket pings go out every {:g} s", [native._HEARTBEAT]),
        (PROTOCOL, "| a text message | {} KiB |", [requests.MAX_TEXT_BYTES >> 10]),
        (PROTOCOL, "| metadata | {} KiB |", [requests.MAX_METADATA_BYTES >> 10]),
        (PROTOCOL, "and the like | {};", [connection._MAX_REPLIES]),
        (PROTOCOL, "reads nothing for {:g} s", [connection._WRITE_TIMEOUT]),
        (PROTOCOL, "nothing for {:g} s, is cut off", [native._USER_TIMEOUT_MS / 1000]),
        (PROTOCOL, "did not settle within {:g} s", [finalizing.FINALIZE_TIMEOUT]),
        (PROTOCOL, "`stopped` waits {:g} s for it", [session.STORE_TIMEOUT]),
        (PROTOCOL, "outlives its socket for {:g} s", [session.RESUME_WINDOW]),
        (PROTOCOL, "tried again every {:g} s", [recognition.REVIVE_INTERVAL]),
        (PROTOCOL, "| {} | There is no such session", [connection._UNKNOWN_SESSION]),
        (PROTOCOL, "| {} | Another connection", [connection._TAKEN_OVER]),
        (DESIGN, "to disk every {:.0f} ms", [1000 * spool.FLUSH_INTERVAL]),
        (DESIGN, "at most {:g} s of audio is lost", [spool.FLUSH_INTERVAL]),
        (DESIGN, "after {:g} s of reading nothing", [connection._WRITE_TIMEOUT]),
        (DESIGN, "session waits {:g} s for it", [session.RESUME_WINDOW]),
        (
            OPERATIONS,
            "pass it over for {:g} to {:g} s",
            [chain._FIRST_COOL_DOWN, chain._MAX_COOL_DOWN],
        ),
        (OPERATIONS, "cannot be stored in {:g} s", [app._SETTLE]),
        (OPERATIONS, "pings go out every {:g} s", [native._HEARTBEAT]),
    ],
)
def test_figure_is_that_of_the_code(page: str, sentence: str, figures: list[float]) -> None:
    """A sentence with a figure in it changes with the code."""
    assert sentence.format(*figures) in read(page)
