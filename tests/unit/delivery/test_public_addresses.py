"""Which addresses are public, in whatever form."""

from ipaddress import IPv4Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.delivery.public_addresses import is_public

PUBLIC = ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "2a00:1450:4001::200e", "64:ff9b::808:808"]
NOT_PUBLIC = {
    "this machine": ["127.0.0.1", "127.8.8.8", "::1", "0.0.0.0", "::", "0.1.2.3"],  # noqa: S104
    "private": ["10.0.0.1", "172.16.0.1", "192.168.1.1", "fd00::1", "fc00::1", "100.64.0.1"],
    "the link, and the clouds' metadata": ["169.254.169.254", "fe80::1", "fd00:ec2::254"],
    "groups": ["224.0.0.1", "239.255.255.250", "ff02::1", "255.255.255.255"],
    "documentation, tests, the future": ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1", "198.18.0.1", "240.0.0.1"],
    "IPv4 in IPv6": ["::10.0.0.1", "::8.8.8.8", "64:ff9b::a00:1", "64:ff9b::7f00:1", "64:ff9b:1::808:808", "2002:a00:1::", "2002:7f00:1::1", "2001:0:a00:1::1"],
    "deprecated": ["fec0::1", "192.88.99.1", "192.0.0.8", "192.0.0.170"],
}  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_hosts_of_the_internet_are_public(address) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize("address", [one for group in NOT_PUBLIC.values() for one in group])
def test_everything_else_is_not(address) -> None:
    assert not is_public(ip_address(address))


@given(st.ip_addresses(v=4))
def test_an_address_behind_a_translator_or_a_tunnel_is_as_public_as_the_one_in_it(inner: IPv4Address) -> None:
    behind = [ip_address((0x64_FF9B << 96) | int(inner)), ip_address((0x2002 << 112) | (int(inner) << 80))]

    assert [is_public(one) for one in behind] == [is_public(inner)] * 2
