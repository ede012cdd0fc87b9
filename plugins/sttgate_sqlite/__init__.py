"""Transcripts in one SQLite file, with full-text search."""

from sttgate import StoreSpec, hookimpl
from sttgate_sqlite.options import SqliteOptions
from sttgate_sqlite.store import SqliteStore


@hookimpl
def sttgate_transcript_stores() -> list[StoreSpec]:
    """Offer the store ``sqlite``."""
    return [
        StoreSpec(
            name="sqlite",
            factory=SqliteStore,
            options=SqliteOptions,
            summary="Transcripts in one SQLite file, with full-text search",
        )
    ]
