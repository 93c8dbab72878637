"""What ``NO_PROXY`` exempts from proxies: hosts, domains, addresses and networks.

There is no standard. Entries are read as curl, requests and Go's net/http read them, each in its most
capable way: a domain exempts itself and what is below it, with or without a dot before it (with ``*.``:
only what is below it); a port limits an entry to that port; networks concern URLs that hold an address,
since no name is resolved for them; ``*`` exempts everything.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

from bridge.delivery.allowed_destinations import plain_address

_SEPARATORS = re.compile(r"[,\s]+")
_QUOTES = "\"'"
_EVERYTHING = "*"
_NAME = re.compile(r"[\w-]+(\.[\w-]+)*")
_NO_NAME = re.compile(r"[\d.]+")
"""Digits and dots that are no address: a part of one to a person, and never the name of a host."""

_WITH_PORT = re.compile(r"(.+):(\d{1,5})")


@dataclass(frozen=True, slots=True)
class _Entry:
    """What one entry exempts: a network (an address is a small one) or a name, at all ports or one."""

    network: IPv4Network | IPv6Network | None = None
    name: str = ""
    port: int | None = None
    only_below: bool = False

    def takes(self, name: str, address: IPv4Address | IPv6Address | None, port: int) -> bool:
        if self.name == _EVERYTHING:
            return True
        if self.port not in {None, port}:
            return False
        if address is not None:
            return self.network is not None and address in self.network
        return bool(self.name) and (
            name.endswith(f".{self.name}") or (name == self.name and not self.only_below)
        )


def exempts(text: str, host: str, port: int) -> bool:
    """Whether ``NO_PROXY`` with the value ``text`` keeps requests to ``host`` at ``port`` from proxies."""
    address = _address(host)
    name = plain_name(host)
    return any(entry is not None and entry.takes(name, address, port) for _, entry in _entries(text))


def unread_entries(text: str) -> Iterator[str]:
    """Yield the entries that exempt nothing, because they are neither a host nor a network."""
    return (written.rpartition("@")[2] for written, entry in _entries(text) if entry is None)


def plain_name(host: str) -> str:
    """Return ``host`` as names are compared: in ASCII, in lower case, without a dot at its end."""
    name = host.lower().rstrip(".")
    with suppress(UnicodeError):
        return name.encode("idna").decode()
    return name


@lru_cache(maxsize=4)
def _entries(text: str) -> tuple[tuple[str, _Entry | None], ...]:
    """Return each entry as it is written and as it is meant; None where that cannot be told."""
    written = (one.strip(_QUOTES) for one in _SEPARATORS.split(text))
    return tuple((one, _entry(one)) for one in written if one)


def _entry(written: str) -> _Entry | None:
    if written == _EVERYTHING:
        return _Entry(name=_EVERYTHING)
    place = written.rpartition("://")[2].rstrip("/")  # some write URLs
    base, slash, bits = place.removeprefix("[").removesuffix("]").partition("/")
    address = _address(base)
    if address is not None:
        return _network_entry(f"{address}{slash}{bits}")
    host, port = _host_and_port(place.partition("/")[0])
    address = _address(host)
    if address is not None:
        return _Entry(ip_network(address), port=port)
    name = plain_name(host.removeprefix("*.").lstrip("."))
    is_name = _NAME.fullmatch(name) and not _NO_NAME.fullmatch(name)
    return _Entry(name=name, port=port, only_below=host.startswith("*.")) if is_name else None


def _network_entry(text: str) -> _Entry | None:
    with suppress(ValueError):
        return _Entry(ip_network(text, strict=False))
    return None


def _host_and_port(place: str) -> tuple[str, int | None]:
    found = _WITH_PORT.fullmatch(place)
    return (found[1], int(found[2])) if found else (place, None)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    with suppress(ValueError):
        return plain_address(host.removeprefix("[").removesuffix("]").rstrip("."))
    return None
