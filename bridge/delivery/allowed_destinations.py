"""Decides whether deliveries to a host and address are allowed (``allowed_hosts``).

The list holds names (globs) and networks. An address in a listed network is allowed under any host name. A
listed name allows any address that the name resolves to, with one exception: addresses of this machine, of
the local link, and of multicast groups (which includes the clouds' metadata service at 169.254.169.254).
Otherwise whoever controls the name's DNS record could direct requests there. Such an address must be in a
listed network. Only the name `localhost` allows loopback addresses (RFC 6761, 6.3).

For webhooks, the word `public` in the list allows every public address, under any name.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from urllib.parse import urlsplit

from bridge.delivery.public_addresses import is_public

PUBLIC = "public"
"""The word for all public addresses, in the list of webhooks."""

_NAME = re.compile(r"[a-z0-9_*?-]+(\.[a-z0-9_*?-]+)*")
_NO_NAME = re.compile(r"(?=.*\d)[\d.*?]+")
"""Digits and dots with a glob: looks like an address, and is never a host name."""

_MAPPED_BITS = 96


@dataclass(frozen=True, slots=True)
class Targets:
    """The entries of a list of allowed hosts: host names (globs, lower case), networks, perhaps all public addresses."""

    names: tuple[str, ...]
    networks: tuple[IPv4Network | IPv6Network, ...]
    has_public: bool = False

    @classmethod
    def of(cls, entries: Sequence[str]) -> "Targets":
        """Return the parsed ``entries``.

        Raises:
            ValueError: an entry is neither a name nor a network; the message says why.
        """
        read = [target(entry) for entry in entries]
        names = tuple(one for one in read if isinstance(one, str))
        return cls(names, tuple(one for one in read if not isinstance(one, str)))

    @classmethod
    def of_webhooks(cls, entries: Sequence[str]) -> "Targets":
        """Return the parsed ``entries`` of a list in which `PUBLIC` means every public address.

        Raises:
            ValueError: as in `of`.
        """
        found = cls.of([entry for entry in entries if entry != PUBLIC])
        return replace(found, has_public=PUBLIC in entries)

    def take(self, host: str, address: str) -> bool:
        """Whether a connection to ``host`` at its ``address`` is allowed."""
        plain = plain_address(address)
        if any(plain in network for network in self.networks) or (self.has_public and is_public(plain)):
            return True
        if not self._name(host):
            return False
        return not _is_near(plain) or (plain.is_loopback and _is_localhost(host))

    def could_take(self, host: str) -> bool:
        """Whether ``host`` could be allowed at any address, judged by its name alone."""
        if _literal(host) is not None:
            return self.take(host, _bare(host))
        if self.has_public and _is_localhost(host):
            return self.take(host, "127.0.0.1") or self.take(host, "::1")
        return bool(self.networks) or self.has_public or self._name(host)

    def _name(self, host: str) -> bool:
        bare = _bare(host)
        return _literal(host) is None and any(fnmatchcase(bare, name) for name in self.names)


def target(entry: str) -> str | IPv4Network | IPv6Network:
    """Return ``entry`` as a name (a glob, lower case) or a network.

    Raises:
        ValueError: it is neither; the message says why.
    """
    with suppress(ValueError):
        return _unmapped(_network(entry, strict=True))
    name = entry.lower().rstrip(".")
    if _NAME.fullmatch(name) and not _NO_NAME.fullmatch(name):
        return name
    raise ValueError(_why(entry))


def _why(entry: str) -> str:
    try:
        meant = _network(entry, strict=False)
    except ValueError:
        return (
            'must be a host such as "ci.example.com" or "*.example.com" (no scheme, no port, ASCII), '
            'or a network such as "10.0.0.0/8" or "::1"'
        )
    return f'is no network, but an address in one (did you mean "{meant}"?)'


def _network(entry: str, *, strict: bool) -> IPv4Network | IPv6Network:
    if "%" in entry:
        raise ValueError("a network has no zone")
    return ip_network(entry, strict)


def _unmapped(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    """Return an IPv4-mapped IPv6 network as the IPv4 network that it stands for."""
    if isinstance(network, IPv6Network) and network.prefixlen >= _MAPPED_BITS:
        inner = network.network_address.ipv4_mapped
        if inner is not None:
            return IPv4Network((inner, network.prefixlen - _MAPPED_BITS))
    return network


def plain_address(text: str) -> IPv4Address | IPv6Address:
    """Return the address in ``text`` without its zone; IPv4 in IPv6 (``::ffff:…``) as IPv4.

    Raises:
        ValueError: ``text`` is no address.
    """
    address = ip_address(text.partition("%")[0])
    inner = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return inner or address


def _is_near(address: IPv4Address | IPv6Address) -> bool:
    """Whether ``address`` is one of this machine, of the local link, or of a multicast group."""
    return address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast


def _bare(host: str) -> str:
    """Return ``host`` normalised for comparison: in lower case, without a final dot."""
    return host.strip("[]").rstrip(".").lower()


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return plain_address(_bare(host))
    except ValueError:
        return None


def _is_localhost(host: str) -> bool:
    return _bare(host) == "localhost" or _bare(host).endswith(".localhost")


def host_of(origin: str) -> str:
    """Return the host in ``origin`` (a URL, perhaps followed by a blank and more text); empty if it has none."""
    return urlsplit(origin.partition(" ")[0]).hostname or ""


def is_plain(origin: str) -> bool:
    """Whether requests to ``origin`` leave this machine unencrypted."""
    host = host_of(origin)
    if not origin.startswith("http:") or not host:
        return False
    address = _literal(host)
    return not (_is_localhost(host) if address is None else address.is_loopback)
