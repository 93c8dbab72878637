"""Decides whether an address belongs to the public internet, in whatever form it is written. Pure.

The IANA special-purpose registries (RFC 6890) list what is not public. IPv6 addresses that carry an IPv4 address are
judged by it as well: a translator (NAT64) or a tunnel would bring a request for them to that address.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

_GLOBAL_UNICAST = IPv6Network("2000::/3")
"""What IANA gives out (RFC 4291, 2.4); outside of it is only `_NAT64`."""

_NAT64 = IPv6Network("64:ff9b::/96")
"""IPv4 addresses as hosts without IPv4 see them (RFC 6052, 2.1)."""

_NOT_PUBLIC = (
    IPv6Network("2001::/23"),  # protocol assignments, Teredo among them (RFC 2928)
    IPv6Network("3fff::/20"),  # documentation (RFC 9637)
    IPv4Network("192.0.0.0/24"),  # protocol assignments (RFC 6890, 2.2.2)
    IPv4Network("192.88.99.0/24"),  # relays of 6to4 (RFC 7526)
)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether ``address`` can only be that of a host on the public internet."""
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return is_public(IPv4Address(int(address) & 0xFFFF_FFFF))
        if address not in _GLOBAL_UNICAST or not all(map(is_public, _within(address))):
            return False
    is_special = address.is_multicast or any(address in network for network in _NOT_PUBLIC)
    return address.is_global and not is_special


def _within(address: IPv6Address) -> Iterator[IPv4Address]:
    """Yield the IPv4 address in a 6to4 address (RFC 3056)."""
    if address.sixtofour is not None:
        yield address.sixtofour
