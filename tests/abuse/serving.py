"""A real server beside a test that does not await."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiohttp import web

from sttgate.app import create_app
from sttgate.gateway import Gateway
from tests.gateways import build_config

TIMEOUT = 20.0


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve the echo provider from a thread; yield its address."""
    started, over = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()
    address = ""

    async def run() -> None:
        nonlocal address
        gateway = Gateway.from_config(build_config(folder, limits={"start_s": 300}))
        runner = web.AppRunner(
            create_app(gateway), access_log=None, auto_decompress=False, shutdown_timeout=1
        )
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        started.set()
        await over.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), name="server")
    thread.start()
    try:
        assert started.wait(TIMEOUT)
        yield address
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(TIMEOUT)
        loop.close()
