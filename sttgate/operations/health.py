"""``/livez`` (the loop turns) and ``/readyz`` (new sessions are welcome)."""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import web

from sttgate.gateway import Gateway


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
        """Tell the state of providers and stores; 503 while draining or when a store fails."""
        checked = await self._gateway.check_stores()
        stores = {name: "ok" if good else "failing" for name, good in checked.items()}
        ready = self._gateway.welcomes and all(checked.values())
        providers = {p.name: "ready" if p.is_open else "not ready" for p in self._gateway.chain}
        body = {
            "status": "ok" if ready else "unavailable",
            "draining": not self._gateway.welcomes,
            "providers": providers,
            "stores": stores,
            "sessions": len(self._gateway.sessions),
        }
        return web.json_response(body, status=200 if ready else 503)
