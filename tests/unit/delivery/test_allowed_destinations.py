"""Where deliveries may go."""

import re
from ipaddress import IPv4Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.delivery.allowed_destinations import Targets, is_plain

LISTED = ("ci.example.com", "*.example.org", "10.0.0.0/8", "127.0.0.0/8", "::1")
v4 = st.ip_addresses(v=4)


def takes(host: str, address: str, *listed: str) -> bool:
    return Targets.of(listed or LISTED).take(host, address)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("ci.example.com", "192.0.2.7"),
        ("CI.Example.COM.", "192.0.2.7"),
        ("a.example.org", "2001:db8::1"),
        ("a.b.example.org", "10.1.2.3"),
        ("else.example.net", "10.1.2.3"),
        ("else.example.net", "::ffff:10.1.2.3"),
        ("10.1.2.3", "10.1.2.3"),
        ("[::1]", "::1"),
        ("127.0.0.1", "127.0.0.1"),
        ("ci.example.com", "127.0.0.1"),  # by its network, not by its name
    ],
)
def test_what_is_listed_is_taken(host, address) -> None:
    assert takes(host, address)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("else.example.net", "192.0.2.7"),
        ("example.org", "192.0.2.7"),
        ("ci.example.com.evil.net", "192.0.2.7"),
        ("xci.example.com", "192.0.2.7"),
        ("else.example.net", "11.0.0.1"),
        ("else.example.net", "::ffff:11.0.0.1"),
        ("::ffff:169.254.169.254", "::ffff:169.254.169.254"),
        ("192.0.2.7", "192.0.2.7"),
    ],
)
def test_what_is_not_listed_is_refused(host, address) -> None:
    assert not takes(host, address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "fe80::1%eth0",
        "0.0.0.0",  # noqa: S104
        "::",
        "224.0.0.1",
    ],
)
def test_a_name_vouches_for_no_address_of_this_machine_or_of_the_link(address) -> None:
    assert not takes("ci.example.com", address, "ci.example.com")
    assert not takes("2852039166", address, "*")
    network = str(ip_network(address.partition("%")[0]))
    assert takes("ci.example.com", address, "ci.example.com", network)


def test_localhost_stands_for_loopback_by_its_name() -> None:
    assert takes("LocalHost", "127.0.0.1", "localhost")
    assert takes("a.localhost", "::1", "*.localhost")
    assert not takes("localhost", "169.254.169.254", "localhost")
    assert not takes("localhost", "127.0.0.1", "elsewhere")


def test_a_zone_does_not_matter() -> None:
    assert takes("fe80::1%25eth0", "fe80::1%eth0", "fe80::/10")
    assert takes("h", "fe80::1%3", "fe80::1")


def test_a_glob_of_names_takes_no_address() -> None:
    assert takes("anything", "192.0.2.7", "*")
    assert not takes("192.0.2.7", "192.0.2.7", "*")
    assert not takes("[2001:db8::1]", "2001:db8::1", "*")


@given(v4, st.integers(0, 32))
def test_a_network_takes_its_addresses_however_they_and_it_are_written(address, bits) -> None:
    network = ip_network((address, bits), strict=False)
    mapped = f"::ffff:{network.network_address}/{96 + bits}"

    for listed in (str(network), mapped):
        assert takes("h", str(address), listed)
        assert takes("h", f"::ffff:{address}", listed)


@given(v4, v4, st.integers(1, 32))
def test_a_network_takes_no_other_address(address, other, bits) -> None:
    network = ip_network((address, bits), strict=False)

    assert takes("h", str(other), str(network)) is (IPv4Address(other) in network)


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("", "must be a host"),
        ("https://ci.example.com", "must be a host"),
        ("ci.example.com:443", "must be a host"),
        ("ci.example.com/x", "must be a host"),
        ("b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example", "must be a host"),
        ("10.0.*", "must be a host"),
        ("10.0.0.1.2", "must be a host"),
        ("fe80::1%eth0", "must be a host"),
        ("10.0.0.1/8", 'did you mean "10.0.0.0/8"?'),
        ("10.0.0.0/33", "must be a host"),
    ],
)
def test_what_is_neither_a_name_nor_a_network_is_refused(entry, why) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        Targets.of([entry])


def test_what_can_never_be_taken_is_known_without_asking_for_addresses() -> None:
    assert Targets.of(["*.example.com"]).could_take("ci.example.com")
    assert not Targets.of(["*.example.com"]).could_take("ci.example.net")
    assert Targets.of(["10.0.0.0/8"]).could_take("ci.example.net")
    assert not Targets.of(["10.0.0.0/8"]).could_take("192.0.2.7")
    assert Targets.of(["10.0.0.0/8"]).could_take("10.0.0.7")


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("http://ci.example.com", True),
        ("http://10.0.0.1:8080 acme/deploy", True),
        ("http://[2001:db8::1]", True),
        ("https://ci.example.com", False),
        ("http://127.0.0.1:80", False),
        ("http://[::1]:80", False),
        ("http://[::ffff:127.0.0.1]", False),
        ("http://localhost acme/deploy", False),
        ("http://a.LOCALHOST.", False),
        ("", False),
    ],
)
def test_plain_http_is_told_where_it_leaves_the_machine(origin, expected) -> None:
    assert is_plain(origin) is expected
