"""Which hosts, domains, addresses and networks ``NO_PROXY`` exempts from proxies.

There is no standard. Entries are read as curl, requests and Go's net/http read them, and where these differ,
as the one that supports more. A domain exempts itself and its subdomains, with or without a leading dot; with
``*.``, only its subdomains. A port limits an entry to that port. Networks apply only to URLs with an address
as host, since names are not resolved here. ``*`` exempts everything.
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
"""Digits and dots that are no complete address: never a host name."""

_WITH_PORT = re.compile(r"(.+):(\d{1,5})")


@dataclass(frozen=True, slots=True)
class _Entry:
    """One parsed entry: a network (an address is a network of one) or a name, for all ports or one."""

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
    """Whether ``NO_PROXY`` with the value ``text`` exempts requests to ``host`` at ``port`` from proxies."""
    address = _address(host)
    name = plain_name(host)
    return any(entry is not None and entry.takes(name, address, port) for _, entry in _entries(text))


def unread_entries(text: str) -> Iterator[str]:
    """Yield the entries that are neither a host nor a network, and so exempt nothing."""
    return (written.rpartition("@")[2] for written, entry in _entries(text) if entry is None)


def plain_name(host: str) -> str:
    """Return ``host`` normalised for comparison: in ASCII, in lower case, without a final dot."""
    name = host.lower().rstrip(".")
    with suppress(UnicodeError):
        return name.encode("idna").decode()
    return name


@lru_cache(maxsize=4)
def _entries(text: str) -> tuple[tuple[str, _Entry | None], ...]:
    """Return each entry as written and as parsed; None where it cannot be parsed."""
    written = (one.strip(_QUOTES) for one in _SEPARATORS.split(text))
    return tuple((one, _entry(one)) for one in written if one)


def _entry(written: str) -> _Entry | None:
    if written == _EVERYTHING:
        return _Entry(name=_EVERYTHING)
    place = written.rpartition("://")[2].rstrip("/")  # some people write URLs
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
