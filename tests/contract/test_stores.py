"""The shipped stores keep their contracts."""

from __future__ import annotations

from pathlib import Path

import pytest

from sttgate.testing import RecordingStoreTests, TranscriptStoreTests
from sttgate_files import FilesOptions, FileStore
from sttgate_sqlite.options import SqliteOptions
from sttgate_sqlite.store import SqliteStore


class TestSqlite(TranscriptStoreTests):
    @pytest.fixture
    def store(self, tmp_path: Path) -> SqliteStore:
        return SqliteStore(SqliteOptions(path=tmp_path / "deep" / "sttgate.db"))


class TestFiles(RecordingStoreTests):
    @pytest.fixture
    def store(self, tmp_path: Path) -> FileStore:
        return FileStore(FilesOptions(path=tmp_path / "deep" / "recordings"))
