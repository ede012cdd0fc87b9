"""``/livez`` (the loop turns) and ``/readyz`` (new sessions are welcome)."""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import web

from sttgate.gateway import Gateway
from sttgate.session.chain import ConfiguredProvider
from sttgate.session.chain import Health as Circuit


class Health:
    """The routes orchestrators ask."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        """Return the routes to add to an application."""
        return [web.get("/livez", self.live), web.get("/readyz", self.ready)]

    async def live(self, request: web.Request) -> web.Response:
        """Answer; that is all there is to say."""
        return web.json_response({"status": "ok"})

    async def ready(self, request: web.Request) -> web.Response:
        """Tell the state of providers and stores; 503 when new sessions should go elsewhere.

        That is while draining, at capacity, when the spool fails, or a store has for a while.
        """
        gateway = self._gateway
        readiness = await gateway.readiness()
        body = {
            "status": "ok" if readiness.ready else "unavailable",
            "draining": readiness.draining,
            "full": readiness.full,
            "providers": {provider.name: _state(provider) for provider in gateway.chain},
            "stores": {
                name: "ok" if good else "failing" for name, good in readiness.stores.items()
            },
            "sessions": await gateway.peers.count(len(gateway.sessions)),
        }
        return web.json_response(body, status=200 if readiness.ready else 503)


def _state(provider: ConfiguredProvider) -> str:
    if not provider.is_open:
        return "not ready"
    return "ready" if provider.breaker.health is Circuit.CLOSED else "failing"
