"""Hosts as they are written in URLs, and what they are called in requests, in TLS and in lists."""

import pytest
from support.sinks import DELIVERY, built
from support.tls import Authority, TlsReceiver

from bridge.config import Access, TlsSettings
from bridge.delivery.allowed_destinations import Targets
from bridge.delivery.attempt_outcome import Outcome, Verdict
from bridge.sinks.base import Request
from bridge.sinks.transport.client_cache import LazyTransport
from bridge.sinks.transport.wire_requests import wire_request

CALLED = {
    "http://ci.example.com/x": "ci.example.com",
    "http://ci.example.com./x": "ci.example.com",
    "http://ci.example.com.:8080/x": "ci.example.com:8080",
    "http://ci.example.com.:80/x": "ci.example.com",
    "https://ci.example.com:443/x": "ci.example.com",
    "https://ci.example.com.:80/x": "ci.example.com:80",
    "http://[fe80::1%eth0]:8080/x": "[fe80::1]:8080",
    "http://[fe80::1%eth0]/x": "[fe80::1]",
    "http://[::1]/x": "[::1]",
    "http://127.0.0.1.:5000/x": "127.0.0.1:5000",
}


@pytest.mark.parametrize(("url", "expected"), CALLED.items())
def test_a_host_is_called_what_its_server_calls_it(url, expected) -> None:
    assert dict(wire_request(Request(url, {}, b"", 1_000)).headers)[b"host"] == expected.encode()


@pytest.fixture
def authority(tmp_path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def server(authority):
    receiver = TlsReceiver(*authority.issue("server", "localhost"))
    yield receiver
    receiver.stop()


async def delivered(url: str, authority: Authority, targets: Targets | None = None) -> Outcome:
    access = Access(tls=TlsSettings(ca_file=str(authority.ca_file)), targets=targets)
    async with LazyTransport() as transport:
        return await built("http", transport.through(access), 20_000, url=url).deliver(DELIVERY)


@pytest.mark.parametrize("allowed", [None, ["localhost"], ["localhost."], ["127.0.0.0/8", "::1"]])
async def test_a_host_with_a_final_dot_is_reached_over_tls_under_its_name(allowed, authority, server) -> None:
    targets = Targets.of(allowed) if allowed else None

    outcome = await delivered(f"https://localhost.:{server.port}/hook", authority, targets)

    assert outcome.verdict is Verdict.DELIVERED, outcome
    assert server.asked_for == ["localhost"]
    assert server.got[0].headers["host"] == f"localhost:{server.port}"


async def test_without_a_dot_nothing_is_different(authority, server) -> None:
    outcome = await delivered(f"https://localhost:{server.port}/hook", authority)

    assert outcome.verdict is Verdict.DELIVERED
    assert (server.asked_for, server.got[0].headers["host"]) == (["localhost"], f"localhost:{server.port}")
