"""The load and the fake upstream read frames right, or all they count would be wrong."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.frames import BINARY, TEXT, FrameProtocol, frame


class Notes(FrameProtocol):
    """Writes down what comes."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    def take_head(self, head: bytes) -> None:
        self.seen.append(head)

    def take_binary(self, size: int) -> None:
        self.seen.append(size)

    def take_text(self, payload: bytes) -> None:
        self.seen.append(payload)


@pytest.mark.parametrize("step", [1, 2, 3, 1000, 1_000_000])
@pytest.mark.parametrize("masked", [False, True])
def test_frames_are_found_however_they_are_cut(step: int, masked: bool) -> None:
    """Short, long and very long messages come out whole, in whatever pieces they arrive."""
    sizes = [0, 125, 126, 300] if step < 10 else [0, 125, 126, 65_535, 65_536]
    stream = b"HTTP/1.1 101 Switching Protocols\r\nA: b\r\n\r\n"
    for size in sizes:
        stream += frame(BINARY, bytes(size), masked=masked)
    stream += frame(TEXT, b'{"event":"stop"}', masked=masked)
    notes = Notes()
    for at in range(0, len(stream), step):
        notes.data_received(stream[at : at + step])
    head, *rest = notes.seen
    assert head.startswith(b"HTTP/1.1 101 ")
    assert rest == [*sizes, b'{"event":"stop"}']


def test_a_mask_is_taken_off() -> None:
    """Text with a real mask, such as aiohttp sends, is read as it was meant."""
    notes = Notes()
    notes.data_received(b"\r\n\r\n" + bytes((0x81, 0x82, 1, 2, 3, 4, ord("h") ^ 1, ord("i") ^ 2)))
    assert notes.seen[1:] == [b"hi"]
