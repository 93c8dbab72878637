"""Connections to places that a list allows, and to no other.

The name is resolved here, each address is judged, and the connection is made to the very
address that was allowed: a name that changes its address in between changes nothing. TLS is
httpcore's, and still asks for the certificate of the name.
"""

import asyncio
import socket
from collections.abc import Iterable
from typing import Any

import httpcore

from bridge.delivery.targets import Targets


class TargetRefused(Exception):  # not one of bridge.errors: an outcome, before it reaches a person
    """The list allows none of the addresses that a host has."""

    def __init__(self, host: str, addresses: Iterable[str]) -> None:
        """Keep what was asked for, and where it led."""
        self.host = host
        self.addresses = tuple(addresses)
        super().__init__(host)


class AllowedBackend(httpcore.AsyncNetworkBackend):
    """Resolves, judges, connects. For plain TCP only: there is no other way out."""

    def __init__(self, targets: Targets) -> None:
        """Allow what ``targets`` takes."""
        self._targets = targets
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address of ``host`` that is allowed and answers.

        Raises:
            TargetRefused: none is allowed.
            httpcore.ConnectError, httpcore.ConnectTimeout: none answers.
        """
        addresses = await _resolve(host, port, timeout)
        allowed = [address for address in addresses if self._targets.take(host, address)]
        if not allowed:
            raise TargetRefused(host, addresses)
        share = None if timeout is None else timeout / len(allowed)  # one that swallows packets is not all
        for address in allowed[:-1]:
            try:
                return await self._inner.connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._inner.connect_tcp(allowed[-1], port, share, local_address, socket_options)


async def _resolve(host: str, port: int, seconds: float | None) -> list[str]:
    """Return the addresses of ``host`` in the system's order, each once, IPv6 with its zone."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(seconds):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError as error:
        raise httpcore.ConnectTimeout(str(error)) from error
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(str(error)) from error
    return list(dict.fromkeys(_numeric(place) for *_, place in found))


def _numeric(place: tuple[Any, ...]) -> str:
    zone = place[3] if len(place) > 3 else 0  # noqa: PLR2004 - (address, port, flow, zone) in IPv6
    return f"{place[0]}%{zone}" if zone and "%" not in place[0] else str(place[0])
