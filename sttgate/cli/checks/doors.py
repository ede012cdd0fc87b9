"""Doors: who may come in, and whether the ports are free."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sttgate.cli.checks.finding import Finding

if TYPE_CHECKING:
    from sttgate.config import Config


def look_at_access(config: Config) -> Finding:
    """Tell whether strangers are kept out and friends can come in."""
    from sttgate.access.gate import Gate
    from sttgate.access.keys import KeyFileError

    gate, host = Gate.from_config(config), config.server.host
    if not gate.enforced:
        if not config.access.insecure:
            return Finding("ok", "access", f"{host} is this machine only; nobody needs a key")
        message = f"{host} lets everybody in who reaches it; set access.insecure to false"
        return Finding("error", "access", message)
    try:
        gate.keys.refresh()
    except KeyFileError as error:
        return Finding("error", "access", str(error))
    now = time.time()
    if holding := sum(key.holds(now) for key in gate.keys):
        return Finding("ok", "access", f"{host} asks for a key; {holding} can be used")
    if config.access.jwt is not None:
        return Finding("ok", "access", f"{host} takes tokens of {config.access.jwt.issuer}")
    message = f"{host} asks for a key, and there is none; run `sttgate keys create NAME`"
    return Finding("error", "access", message)


async def look_at_issuer(config: Config) -> Finding | None:
    """Fetch the keys of the other issuer, if there is one."""
    if config.access.jwt is None:
        return None
    import aiohttp
    from joserfc.errors import JoseError

    from sttgate.access.issuers import Issuer

    url = config.access.jwt.jwks_url
    try:
        keys = await Issuer(config.access.jwt).fetch()
    except (aiohttp.ClientError, TimeoutError, JoseError, ValueError, TypeError) as error:
        message = (
            f"{url} does not give its keys ({type(error).__name__}); check access.jwt.jwks_url and "
            "the network: its tokens are refused"
        )
        return Finding("error", "issuer", message)
    return Finding("ok", "issuer", f"{url} has {len(keys.keys)} of its keys")


def look_at_ports(config: Config) -> Iterator[Finding]:
    """Tell whether the gateway could listen."""
    yield _port("port", "server.port", config.server.host, config.server.port)
    metrics = config.metrics
    if metrics.port is None:
        return
    from sttgate.access.addresses import is_loopback

    free = _port("metrics port", "metrics.port", metrics.host, metrics.port)
    if free.level == "ok" and not is_loopback(metrics.host):
        message = (
            f"{metrics.host}:{metrics.port} is free, and shows the metrics to everybody who reaches "
            "it; set metrics.host to an address that only Prometheus reaches"
        )
        free = Finding("warning", "metrics port", message)
    yield free


def _port(subject: str, key: str, host: str, port: int) -> Finding:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.create_server((host, port), family=family):
            return Finding("ok", subject, f"{host}:{port} is free")
    except OSError as error:
        message = f"{host}:{port}: {error.strerror}; stop what uses it or set {key}"
        return Finding("warning", subject, message)
