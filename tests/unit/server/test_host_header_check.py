"""By which names the status page may be asked for."""

import pytest

from bridge.server.host_header_check import is_welcome

NAMES = {"bridge.example.com"}


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "localhost:9464", "LOCALHOST:9464", "bridge.localhost:1", "localhost."),
        *("127.0.0.1", "127.0.0.1:9464", "10.1.2.3:9464", "[::1]", "[::1]:9464", "[fe80::1]:9464"),
        *("mlflow-bridge", "mlflow-bridge:9464", "bridge.example.com", "Bridge.Example.com:443", ""),
    ],
)
def test_addresses_and_names_that_no_stranger_can_have_are_welcome(host) -> None:
    assert is_welcome(host, NAMES)


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:9464", "127.0.0.1.evil.example", "localhost.evil.example:9464"),
        *(
            "x.bridge.example.com",
            "bridge.example.com.evil.example",
            "127.0.0.1@evil.example",
            "[evil.example]",
        ),
        *("1.2.3.4.5", "evil.localhost.example", "bridge.example.com, localhost"),
    ],
)
def test_a_name_that_a_stranger_may_own_is_not(host) -> None:
    assert not is_welcome(host, NAMES)


def test_what_is_no_browser_may_leave_it_out() -> None:
    assert is_welcome(None, ())
