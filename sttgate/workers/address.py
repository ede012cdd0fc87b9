"""The address that several processes listen on."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from sttgate.lineup import StartupError


@contextmanager
def reserved(host: str, port: int) -> Iterator[int]:
    """Hold an address for processes that share it, and return its port, a free one for 0.

    Raises StartupError if a program listens there already, be it a gateway with workers of its own.
    """
    with ExitStack() as stack:
        try:
            for family, _, _, _, address in _resolved(host, port):
                where = (address[0], port, *address[2:])
                # SO_REUSEPORT would let another gateway of the same user in beside this one.
                with socket.socket(family, socket.SOCK_STREAM) as probe:
                    port = _bound(probe, where, socket.SO_REUSEADDR)
                where = (address[0], port, *address[2:])
                _bound(
                    stack.enter_context(socket.socket(family, socket.SOCK_STREAM)),
                    where,
                    socket.SO_REUSEPORT,
                )
        except OSError as error:
            raise StartupError(
                f"cannot listen on {host}:{port}: {os.strerror(error.errno or 0).lower()}; "
                "set another 'server.port' in the configuration or use --port"
            ) from error
        yield port


def _resolved(host: str, port: int) -> Iterable[tuple[Any, ...]]:
    return dict.fromkeys(
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    )


def _bound(bound: socket.socket, address: tuple[object, ...], option: int) -> int:
    """Bind a socket without listening, so that no connection comes to it; return the port."""
    if bound.family == socket.AF_INET6:
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    bound.setsockopt(socket.SOL_SOCKET, option, 1)
    bound.bind(address)
    return int(bound.getsockname()[1])
