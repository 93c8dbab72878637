"""Why there is no connection, in a sentence: to which host and address, and what came of each try."""

import errno
import os
import re
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

_WHY = {
    errno.ECONNREFUSED: "refused: nothing listens there, or a firewall refuses",
    errno.ENETUNREACH: "unreachable: there is no route to its network",
    errno.EHOSTUNREACH: "unreachable: no machine answers at the address, or there is no route to it",
    errno.ETIMEDOUT: "timed out: a firewall drops the packets, or the machine is down",
    errno.ECONNRESET: "reset before it was made",
    errno.EACCES: "forbidden on this machine: by its firewall, or the service's IPAddressDeny=",
    errno.EPERM: "forbidden on this machine: by its firewall, or the service's IPAddressDeny=",
    errno.EADDRNOTAVAIL: "this machine has no address or port for it",
    errno.EAFNOSUPPORT: "this machine (or its service) has no IPv6, or no network at all",
    errno.EMFILE: "too many open files: raise the limit (LimitNOFILE=, ulimit -n)",
    errno.ENFILE: "too many open files on this machine",
    errno.EINVAL: "no address to connect to: one that begins with fe80 needs its interface, as in [fe80::1%eth0]",
}
_NO_ADDRESS = {
    socket.EAI_NONAME: "no such host name",
    socket.EAI_NODATA: "the host name has no address",
    socket.EAI_AGAIN: "temporary failure in name resolution: the name servers do not answer",
    socket.EAI_FAIL: "the name servers refuse to answer",
}
_PLACE = re.compile(r"\('([0-9A-Fa-f.:%\w]+)', (\d+)")
"""What asyncio adds to the error of an address."""

_MOST_SHOWN = 4


def connect_failure(error: BaseException, url: str, otherwise: str) -> str:
    """Return why a request to ``url`` got no connection.

    Args:
        error: what was raised, with its causes.
        url: where the request went.
        otherwise: what to say where the error tells nothing that is known here.
    """
    host, port = _asked_for(url)
    found = list(dict.fromkeys(_told(one, host, port) for one in _causes(error)))
    first, *others = found[:_MOST_SHOWN] or [f": {otherwise}"]
    told = "; ".join((first, *(one.lstrip(": ") for one in others)))
    return f"no connection to {_joined(host, port)}{told}"


def connect_timeout(url: str, seconds: float) -> str:
    """Return that no connection to the host in ``url`` was made in time."""
    place = _joined(*_asked_for(url))
    return f"no connection to {place} within {seconds:g} s: a firewall drops the packets, or the machine or its name server is down"


def _asked_for(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _causes(error: BaseException) -> Iterator[OSError]:
    """Yield the errors of the system that are behind ``error``."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, OSError) and one.errno is not None:
            yield one
        elif isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
        else:
            waiting.append(one.__cause__ or one.__context__)


def _told(error: OSError, host: str, port: int) -> str:
    """Return the address that was tried, where it is not what was asked for, and what came of it."""
    number = error.errno or 0
    if isinstance(error, socket.gaierror):
        return f": {_NO_ADDRESS.get(number) or error.strerror or 'the host name has no address'}"
    why = _WHY.get(number) or os.strerror(number)
    found = _PLACE.search(str(error))
    if found is None or found.groups() == (host, str(port)):
        return f": {why}"
    address = found[1] if int(found[2]) == port else _joined(found[1], int(found[2]))
    return f" ({address}): {why}"
