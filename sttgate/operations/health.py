"""``/livez`` (the loop turns) and ``/readyz`` (new sessions are welcome)."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from aiohttp import web

from sttgate.gateway import Gateway
from sttgate.session.chain import ConfiguredProvider
from sttgate.session.chain import Health as Circuit

STORE_PATIENCE = 10.0  # seconds a store may be out: storing waits, and words go on meanwhile


class Health:
    """The routes orchestrators ask."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._out_since: dict[str, float] = {}

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        """Return the routes to add to an application."""
        return [web.get("/livez", self.live), web.get("/readyz", self.ready)]

    async def live(self, request: web.Request) -> web.Response:
        """Answer; that is all there is to say."""
        return web.json_response({"status": "ok"})

    async def ready(self, request: web.Request) -> web.Response:
        """Tell the state of providers and stores; 503 when new sessions should go elsewhere.

        That is while draining, at capacity, when the spool fails, or a store has for STORE_PATIENCE.
        """
        gateway = self._gateway
        checked = await gateway.check_stores()
        full = await gateway.admission.is_full()
        ready = gateway.welcomes and not full and checked["spool"] and not self._long_out(checked)
        body = {
            "status": "ok" if ready else "unavailable",
            "draining": not gateway.welcomes,
            "full": full,
            "providers": {provider.name: _state(provider) for provider in gateway.chain},
            "stores": {name: "ok" if good else "failing" for name, good in checked.items()},
            "sessions": await gateway.peers.count(len(gateway.sessions)),
        }
        return web.json_response(body, status=200 if ready else 503)

    def _long_out(self, checked: Mapping[str, bool]) -> bool:
        """Whether a store has refused for too long: here, or what sessions have for it."""
        now = time.monotonic()
        for name, good in checked.items():
            if good:
                self._out_since.pop(name, None)
            else:
                self._out_since.setdefault(name, now)
        outages = [now - since for since in self._out_since.values()]
        outages += [session.store_outage_s for session in self._gateway.sessions.values()]
        return max(outages, default=0.0) > STORE_PATIENCE


def _state(provider: ConfiguredProvider) -> str:
    if not provider.is_open:
        return "not ready"
    return "ready" if provider.breaker.health is Circuit.CLOSED else "failing"
