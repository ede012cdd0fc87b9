"""The composition root: puts the gateway behind its wires and serves it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
from collections.abc import AsyncIterator, Callable, Collection
from pathlib import Path

import structlog
from aiohttp import web

from sttgate.access.gate import Gate, control_access, scope_of
from sttgate.access.principal import Scope
from sttgate.api.operations import operations_of
from sttgate.api.problems import problem_details
from sttgate.api.routing import routes, scope_of_operation
from sttgate.config import Config
from sttgate.console import routes as console_routes
from sttgate.gateway import Gateway
from sttgate.lineup import StartupError
from sttgate.operations.health import Health
from sttgate.operations.logs import set_level
from sttgate.operations.metrics import Metrics
from sttgate.operations.origins import check_origin, share_answer
from sttgate.operations.process import prepare_process
from sttgate.operations.requests import log_requests
from sttgate.operations.traces import traced
from sttgate.protocols.native import NativeEndpoint
from sttgate.reloading import Reloader
from sttgate.workers.forwarding import believe, forward
from sttgate.workers.link import Link

log = structlog.get_logger(__name__)

GATEWAY = web.AppKey("gateway", Gateway)
NATIVE = web.AppKey("native", NativeEndpoint)
_KEEPALIVE = 15.0  # seconds; AppRunner's own default is an hour, an invitation to slow clients
_SETTLE = 5.0  # seconds to settle what still runs at the end; the next start does the rest
_MAX_BODY = 1024**2  # bytes
_INNER_SHUTDOWN = 2.0  # seconds; what other workers pass on has had the time of all by then
_SHUTDOWN = 30.0  # seconds for sessions to settle; aiohttp waits this long twice


def create_app(
    gateway: Gateway,
    gate: Gate | None = None,
    origins: Collection[str] = (),
    *,
    with_metrics: bool = True,
) -> web.Application:
    """Return an application that serves ``gateway``, and opens and closes it.

    Without a ``gate`` nobody is asked for a key; ``origins`` are those of web pages from elsewhere
    that may use it. ``with_metrics`` False leaves out ``/metrics``, which is somewhere else then.
    """
    gate = gate or Gate.for_everybody()
    app = web.Application(
        middlewares=[
            log_requests(gateway.tally),
            problem_details,
            check_origin(origins),
            control_access(gate, _scope_of),
        ],
        client_max_size=_MAX_BODY,
    )
    app[GATEWAY] = gateway
    native = app[NATIVE] = NativeEndpoint(gateway)
    metrics = Metrics(gateway)
    operations = operations_of(gateway, gate)
    if isinstance(gateway.peers, Link):
        app.middlewares.append(forward(gateway.peers))
        gateway.peers.tell_metrics = metrics.text

    def cut_off() -> None:
        native.cut_off(gate.holds)
        gateway.cut_off(gate.holds)

    async def open_and_close(app: web.Application):  # type: ignore[no-untyped-def]
        gate.open()
        gate.on_change = cut_off
        try:
            await gateway.open()
            yield
            await gateway.close()
        finally:
            await gate.close()

    async def shut_down(app: web.Application) -> None:
        native.shut_down()
        await gateway.drain("shutdown", _SETTLE)
        native.hang_up()

    app.cleanup_ctx.append(open_and_close)
    if isinstance(gateway.peers, Link):
        inner = web.Application(middlewares=[problem_details, believe], client_max_size=_MAX_BODY)
        inner.add_routes([*native.inner_routes(), *routes(operations)])
        app.cleanup_ctx.append(_listen_to_workers(inner, gateway.peers.socket))
        app.on_response_prepare.append(_send_elsewhere)
    app.on_shutdown.append(shut_down)
    app.on_response_prepare.append(share_answer)
    app.add_routes(
        [
            *native.routes(),
            *Health(gateway).routes(),
            *(metrics.routes() if with_metrics else ()),
            *routes(operations),
            *console_routes(),
        ]
    )
    return app


def create_operations_app(gateway: Gateway) -> web.Application:
    """Return an application with metrics and health only; it asks nobody for a key."""
    app = web.Application(middlewares=[log_requests(gateway.tally)])
    app.add_routes([*Health(gateway).routes(), *Metrics(gateway).routes()])
    return app


async def _send_elsewhere(request: web.Request, response: web.StreamResponse) -> None:
    """Have a client of a worker that drains connect anew, so that another one answers."""
    if request.app[GATEWAY].draining and not isinstance(response, web.WebSocketResponse):
        response.force_close()


def _listen_to_workers(
    inner: web.Application, socket: Path
) -> Callable[[web.Application], AsyncIterator[None]]:
    """Return what serves ``inner`` at ``socket`` while the gateway is open."""

    async def serve(app: web.Application) -> AsyncIterator[None]:
        runner = web.AppRunner(inner, shutdown_timeout=_INNER_SHUTDOWN, access_log=None)
        await runner.setup()
        try:
            await web.UnixSite(runner, str(socket)).start()
            yield
        finally:
            await runner.cleanup()

    return serve


def _scope_of(request: web.Request) -> Scope | None:
    return scope_of(request) or scope_of_operation(request)


OnReady = Callable[[Gateway, str, str | None], None]
"""Called with the gateway, its URL, and the URL of its metrics if they have an address of their own."""


async def serve(
    config: Config, on_ready: OnReady, load: Callable[[], Config], link: Link | None = None
) -> None:
    """Serve until SIGTERM or Ctrl-C; ``on_ready`` is called once clients can connect.

    ``load()`` reads the configuration again, when its file changes or SIGHUP comes.
    The first signal drains: running sessions may finish. The second one settles them at once.
    A worker has a ``link``: it shares the port with others, and its supervisor has the signals.
    Raises StartupError or StoreError that says what is wrong and what to do.
    """
    prepare_process(config.server.max_sessions, config.limits.connections)
    gateway = Gateway.from_config(config, link, link)
    gate = Gate.from_config(config, link)
    beside = config.metrics.port is not None
    app = create_app(gateway, gate, config.access.origins, with_metrics=not beside)
    app.cleanup_ctx.insert(0, traced(gateway, config.traces))
    runner = web.AppRunner(
        app,
        keepalive_timeout=_KEEPALIVE,
        shutdown_timeout=_SHUTDOWN,
        handler_cancellation=False,  # a client that leaves must not cut short the saving
        auto_decompress=False,  # a small body that unpacks to a large one would stall the loop
        access_log=None,  # aiohttp's prints the query, so tokens
    )
    operations = web.AppRunner(
        create_operations_app(gateway), keepalive_timeout=_KEEPALIVE, access_log=None
    )
    signals = Signals()

    def use(config: Config) -> None:
        gate.use(config.limits)
        set_level(config.log.level)

    reloader = Reloader(config, gateway, load, use)
    try:
        await runner.setup()
        shared = link is not None
        site = await _listen(
            runner,
            *(config.server.host, config.server.port),
            "set another 'server.port' in the configuration or use --port",
            shared=shared,
        )
        metrics_url = None
        if config.metrics.port is not None:
            await operations.setup()
            await _listen(
                operations,
                *(config.metrics.host, config.metrics.port),
                "set another 'metrics.port' in the configuration",
                shared=shared,
            )
            metrics_url = f"http://{_address(operations)}/metrics"
        if link is None:
            signals.listen(reloader.request)
        else:
            signals.follow(link, reloader.request)
        reloader.start()
        # What start-up made lives as long as the process: no need to look at it again. Nor is there
        # after each 700 objects, for nothing that a session makes in passing is in a cycle.
        gc.freeze()
        gc.set_threshold(10_000)
        on_ready(gateway, f"http://{_address(runner)}", metrics_url)
        await signals.wait(1)
        await reloader.stop()
        server = reloader.config.server
        log.info("draining", sessions=len(gateway.sessions))
        if not signals.others_stay:
            gateway.ready = False
            await signals.wait(2, timeout=server.lame_duck_s)
        await site.stop()
        app[NATIVE].say_goodbye(server.drain_timeout_s)
        await _until_idle(gateway, app[NATIVE], signals, server.drain_timeout_s)
        log.info("stopping", sessions=len(gateway.sessions))
    finally:
        await reloader.stop()
        await runner.cleanup()
        await operations.cleanup()  # last, so that the end can be watched


async def _listen(
    runner: web.AppRunner, host: str, port: int, cure: str, *, shared: bool
) -> web.TCPSite:
    site = web.TCPSite(runner, host, port, backlog=1024, reuse_port=shared)
    try:
        await site.start()
    except OSError as error:
        cause = os.strerror(error.errno or 0).lower()
        raise StartupError(f"cannot listen on {host}:{port}: {cause}; {cure}") from error
    return site


async def _until_idle(
    gateway: Gateway, native: NativeEndpoint, signals: Signals, timeout: float
) -> None:
    """Return when no session is live, after ``timeout`` seconds or at the second signal."""
    gateway.draining = True
    for session in gateway.sessions.values():
        session.release()
    deadline = asyncio.get_running_loop().time() + timeout
    while (gateway.sessions or native.busy) and not signals.received(2):
        if (left := deadline - asyncio.get_running_loop().time()) <= 0:
            return
        await signals.wait(2, timeout=min(left, 0.1))


class Signals:
    """Counts SIGTERM and SIGINT, or of a worker how often its supervisor told it to stop.

    ``others_stay``: the gateway goes on without this worker.
    """

    def __init__(self) -> None:
        self.others_stay = False
        self._count = 0
        self._changed = asyncio.Event()

    def listen(self, on_hangup: Callable[[], None]) -> None:
        """Start to count, instead of dying; ``on_hangup`` is called at SIGHUP."""
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            try:
                loop.add_signal_handler(signum, self._note)
            except NotImplementedError:  # Windows
                signal.signal(signum, lambda *_: loop.call_soon_threadsafe(self._note))
        with contextlib.suppress(NotImplementedError, AttributeError):  # Windows has none
            loop.add_signal_handler(signal.SIGHUP, on_hangup)

    def follow(self, link: Link, on_reload: Callable[[], None]) -> None:
        """Count what the supervisor says instead, since a terminal or systemd signals all processes."""

        def stop(others_stay: bool) -> None:
            self.others_stay = others_stay
            self._note()

        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(signum, lambda: None)
        link.on_stop, link.on_reload = stop, on_reload
        if link.lost:
            stop(False)

    def received(self, count: int) -> bool:
        """Whether at least ``count`` signals came."""
        return self._count >= count

    async def wait(self, count: int, timeout: float | None = None) -> None:
        """Return once ``count`` signals came, or after ``timeout`` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while self._count < count:
                    self._changed.clear()
                    await self._changed.wait()

    def _note(self) -> None:
        self._count += 1
        self._changed.set()


def _address(runner: web.AppRunner) -> str:
    host, port = runner.addresses[0][:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
