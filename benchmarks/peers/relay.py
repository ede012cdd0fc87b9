"""A bare relay on aiohttp and uvloop: passes frames both ways and keeps nothing.

With ``--sink`` it connects to nobody and drops the audio: what receiving alone costs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc

import aiohttp
import uvloop
from aiohttp import web

_UPSTREAM = web.AppKey("upstream", str)
_SESSION = web.AppKey("session", aiohttp.ClientSession)


async def _relay(request: web.Request) -> web.WebSocketResponse:
    client = web.WebSocketResponse(compress=False, heartbeat=10.0)
    await client.prepare(request)
    url = f"{request.app[_UPSTREAM]}/v1/listen?{request.query_string}"
    async with request.app[_SESSION].ws_connect(
        url, compress=0, heartbeat=10.0, decode_text=False
    ) as upstream:

        async def down() -> None:
            async for message in upstream:
                await client.send_frame(message.data, message.type)
            await client.close()

        task = asyncio.create_task(down())
        async for message in client:
            if message.type is aiohttp.WSMsgType.BINARY:
                await upstream.send_bytes(message.data)
            elif message.type is aiohttp.WSMsgType.TEXT:
                await upstream.send_str(message.data)
        await upstream.close()
        await task
    return client


async def _drop(request: web.Request) -> web.WebSocketResponse:
    client = web.WebSocketResponse(compress=False, heartbeat=10.0)
    await client.prepare(request)
    async for message in client:
        if message.type is aiohttp.WSMsgType.TEXT:
            await client.send_str('{"type":"Metadata"}')
            await client.close()
    return client


async def main(port: int, upstream: str, *, sink: bool) -> None:
    """Serve until SIGTERM."""
    app = web.Application()
    app.router.add_get("/v1/listen", _drop if sink else _relay)
    app[_UPSTREAM] = upstream
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        app[_SESSION] = session
        runner = web.AppRunner(app, access_log=None, handle_signals=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
        gc.freeze()
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", default="")
    parser.add_argument("--sink", action="store_true")
    given = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt, web.GracefulExit):
        uvloop.run(main(given.port, given.upstream, sink=given.sink))
