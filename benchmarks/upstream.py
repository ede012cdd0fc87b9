"""A fake of Deepgram's live API that costs next to nothing, for load: ``WS /v1/listen``.

It hears 16 kHz mono PCM and answers an interim for each 100 ms of it (real servers send fewer) and a
final each 2 s. Every transcript carries a marker, the number of bytes it follows, so that latency,
loss and order can be told from the words alone. Wire facts are those of Deepgram's live reference:
``Results``, ``Finalize``, ``CloseStream`` answered by the last final, ``Metadata`` and Close 1000.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import signal
import sys

import uvloop

from benchmarks.frames import CLOSE, TEXT, FrameProtocol, accept, frame

BYTES_PER_SECOND = 32_000
INTERIM_BYTES = BYTES_PER_SECOND // 10
FINAL_BYTES = 2 * BYTES_PER_SECOND
MARKER = re.compile(rb"zq(\d{10})")

_RESULTS = (
    b'{"type":"Results","channel_index":[0,1],"duration":%.3f,"start":%.3f,"is_final":%s,'
    b'"speech_final":%s,"channel":{"alternatives":[{"transcript":"zq%010d the quick fox says",'
    b'"confidence":0.98828125,"words":[%s]}]},"metadata":{"request_id":'
    b'"00000000-0000-4000-8000-%012x","model_info":{"name":"general-nova-3","version":'
    b'"2024-12-20.0","arch":"nova-3"},"model_uuid":"40bd3654-e622-47c4-a111-63a61b23bfe8"},'
    b'"from_finalize":%s}'
)
_WORD = b'{"word":"%s","start":%.3f,"end":%.3f,"confidence":0.9921875,"punctuated_word":"%s"}'
_METADATA = (
    b'{"type":"Metadata","transaction_key":"deprecated","request_id":'
    b'"00000000-0000-4000-8000-%012x","sha256":"0","created":"2026-01-01T00:00:00.000Z",'
    b'"duration":%.3f,"channels":1,"models":[],"model_info":{}}'
)
_KEY = re.compile(rb"sec-websocket-key: *(\S+)", re.IGNORECASE)
_HEAD = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: %s\r\ndg-request-id: 00000000-0000-4000-8000-%012x\r\n\r\n"
)


class Listener(FrameProtocol):
    """One stream."""

    _numbers = iter(range(1, 1 << 40))

    def __init__(self) -> None:
        super().__init__()
        self._number = next(self._numbers)
        self._heard = 0
        self._due = INTERIM_BYTES
        self._since = 0  # where the open final starts

    def take_head(self, head: bytes) -> None:
        """Accept the upgrade."""
        key = _KEY.search(head)
        assert key is not None
        self.transport.write(_HEAD % (accept(key[1]), self._number))

    def send(self, opcode: int, payload: bytes) -> None:
        """Send one message."""
        self.transport.write(frame(opcode, payload))

    def take_binary(self, size: int) -> None:
        """Hear audio."""
        heard = self._heard = self._heard + size
        # By the audio and not by the message: who sends it in larger pieces is told as much.
        while heard >= self._due:
            self._say(self._due, final=self._due % FINAL_BYTES == 0)
            self._due += INTERIM_BYTES

    def take_text(self, payload: bytes) -> None:
        """Take a control message."""
        if b"CloseStream" in payload:
            if self._heard > self._since:
                self._say(self._heard, final=True)
            self.send(TEXT, _METADATA % (self._number, self._heard / BYTES_PER_SECOND))
            self.send(CLOSE, (1000).to_bytes(2, "big"))
        elif b"Finalize" in payload:
            self._say(self._heard, final=True, finalized=True)

    def _say(self, heard: int, *, final: bool, finalized: bool = False) -> None:
        start = self._since / BYTES_PER_SECOND
        step = (heard / BYTES_PER_SECOND - start) / 4
        marker = b"zq%010d" % heard
        words = b",".join(
            _WORD % (word, start + i * step, start + (i + 1) * step, word)
            for i, word in enumerate((marker, b"the", b"quick", b"fox"))
        )
        truth = b"true" if final else b"false"
        flushed = b"true" if finalized else b"false"
        self.send(
            TEXT, _RESULTS % (4 * step, start, truth, truth, heard, words, self._number, flushed)
        )
        if final:
            self._since = heard


async def main(port: int) -> None:
    """Serve until SIGTERM."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    server = await loop.create_server(Listener, "127.0.0.1", port, backlog=4096)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await over.wait()
    server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(main(parser.parse_args().port))
