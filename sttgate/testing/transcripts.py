"""The contract of transcript stores as tests: subclass ``TranscriptStoreTests``, write one fixture."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from sttgate.stores import TranscriptStore
from sttgate.testing.changing import ChangingClauses
from sttgate.testing.footprint import Footprint
from sttgate.testing.keeping import KeepingClauses
from sttgate.testing.listing import ListingClauses
from sttgate.testing.searching import SearchingClauses
from sttgate.testing.sessions import TranscriptBench


class TranscriptStoreTests(ChangingClauses, SearchingClauses, ListingClauses, KeepingClauses):
    """The contract of transcript stores. Write the fixture ``store``: as made, not yet opened.

    The tests use sessions of their own and delete them; they do not mind what else is stored. What
    these sessions used stays, as it should: some seconds in the year 2096, of owners named ``kit-…``.
    """

    @pytest.fixture
    def store(self) -> TranscriptStore:
        """Return the store under test."""
        raise NotImplementedError("write a fixture `store` that returns your store")

    @pytest_asyncio.fixture
    async def bench(self, store: TranscriptStore) -> AsyncIterator[TranscriptBench]:
        """Open the store for a test; delete what the test stored, and close it afterwards."""
        before = Footprint()
        await store.open()
        bench = TranscriptBench(store, before)
        try:
            yield bench
        finally:
            await bench.clean_up()
