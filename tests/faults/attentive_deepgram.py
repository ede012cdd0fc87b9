"""A Deepgram whose words depend on what it hears, not only on how much.

The audio says where on the tape it is, so a connection that begins in the middle goes on there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from tests.fakes import deepgram_server
from tests.fakes.deepgram_speech import SENTENCES

RATE = 16_000
_BLOCK = RATE // 100  # samples that carry the same number
TEXT = " ".join(SENTENCES)


def tape(seconds: float) -> bytes:
    """Return audio whose samples count hundredths of a second."""
    return np.repeat(np.arange(round(seconds * 100), dtype="<i2"), _BLOCK).tobytes()


class _Attentive(deepgram_server._Conversation):
    async def _hear(self, audio: bytes) -> bool:
        if not self._connection.audio:
            begin = int.from_bytes(audio[:2], "little") / 100
            self._recognizer._words = [
                replace(word, start=max(0.0, word.start - begin), end=word.end - begin)
                for word in self._recognizer._words
                if word.end - begin > 0.03
            ]
        return await super()._hear(audio)


@contextmanager
def attentive() -> Iterator[None]:
    """Have every fake server listen to the tape."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deepgram_server, "_Conversation", _Attentive)
        yield
