"""A caller who speaks in real time beside all the abuse, and must not notice it."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from dataclasses import dataclass, field

import aiohttp

from sttgate.protocols.native import PATH
from sttgate.testing import tone

FRAME = 0.1  # seconds


@dataclass
class Canary:
    """Speaks from ``start`` to ``stop``, in a thread with a loop of its own."""

    url: str
    sent_s: float = 0.0
    lags: list[float] = field(default_factory=list)
    """Seconds from a frame to the answer to the question sent after it."""
    stopped: dict[str, object] = field(default_factory=dict)
    error: BaseException | None = None

    def start(self) -> None:
        """Begin to speak."""
        self._over, self._speaking = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="canary")
        self._thread.start()
        if not self._speaking.wait(30):
            raise AssertionError("the canary does not get a word out")

    def stop(self) -> None:
        """Stop and wait until the last word is there."""
        self._over.set()
        self._thread.join(60)
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            asyncio.run(self._speak())
        except BaseException as error:
            self.error = error

    async def _speak(self) -> None:
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(f"{self.url}{PATH}?protocol=2") as socket,
        ):
            await socket.send_str('{"event":"start"}')
            listening = asyncio.create_task(self._listen(socket))
            frame, began = tone(FRAME), time.monotonic()
            while not self._over.is_set():
                await socket.send_bytes(frame)
                await socket.send_str(json.dumps({"event": "ping", "id": time.monotonic()}))
                self.sent_s += FRAME
                await asyncio.sleep(max(0.0, began + self.sent_s - time.monotonic()))
            await socket.send_str('{"event":"stop"}')
            await asyncio.wait_for(listening, 30)

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            event = json.loads(message.data)
            if event["event"] == "pong":
                self.lags.append(time.monotonic() - event["id"])
                self._speaking.set()
            elif event["event"] == "stopped":
                self.stopped = event
                return
        raise AssertionError("the canary was cut off")
