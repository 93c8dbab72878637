"""Resolves host names to addresses through the system's resolver, which has no time limit."""

import socket
from ipaddress import ip_address
from typing import Any

from bridge.sinks.transport.blocking_calls import SharedCalls


class NameResolution:
    """Resolves names, each in one thread however many requests need it: a silent name server delays no other name."""

    def __init__(self) -> None:
        """Resolve nothing yet."""
        self._look_ups: SharedCalls[str, list[str]] = SharedCalls("name look-up")

    async def addresses(self, host: str) -> list[str]:
        """Return the addresses of ``host`` in the system's order, each once, IPv6 with its zone.

        Raises:
            OSError: it has none, or the resolver fails (`socket.gaierror`).
            UnicodeError: it cannot be a host name.
        """
        try:
            ip_address(host)
        except ValueError:
            return await self._look_ups.result(host, lambda: _look_up(host))
        return [host]


def _look_up(host: str) -> list[str]:
    """Resolve a name. A final dot keeps search lists out; /etc/hosts may have the name without the dot."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror:
        bare = host.removesuffix(".")
        if bare == host or not bare:
            raise
        found = socket.getaddrinfo(bare, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(_numeric(place) for *_, place in found))


def _numeric(place: tuple[Any, ...]) -> str:
    zone = place[3] if len(place) > 3 else 0  # noqa: PLR2004 - (address, port, flow, zone) in IPv6
    return f"{place[0]}%{zone}" if zone and "%" not in place[0] else str(place[0])
