"""A semaphore that knows who is inside, so that the turns of one who died go to others."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Hashable


class Turns:
    """Lets so many in at a time, in the order they came."""

    def __init__(self) -> None:
        self._inside: Counter[Hashable] = Counter()
        self._waiting: deque[tuple[Hashable, int, asyncio.Future[None]]] = deque()

    async def take(self, who: Hashable, most: int) -> None:
        """Return once fewer than ``most`` were inside; then ``who`` is, once more."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((who, most, turn))
        self._admit()
        await turn

    def end(self, who: Hashable) -> None:
        """Give back one turn of ``who``."""
        self._inside[who] -= 1
        self._admit()

    def forget(self, who: Hashable) -> None:
        """Give back all turns of ``who``, who waits for no more of them."""
        self._inside.pop(who, None)
        for waiting, _, turn in self._waiting:
            if waiting is who:
                turn.cancel()
        self._admit()

    def _admit(self) -> None:
        while self._waiting:
            who, most, turn = self._waiting[0]
            if not turn.done():
                if self._inside.total() >= most:
                    return
                self._inside[who] += 1
                turn.set_result(None)
            self._waiting.popleft()
