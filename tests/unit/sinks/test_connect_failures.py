"""Why there is no connection: which host, which address, and what came of it."""

import errno
import os
import socket

import pytest
from support.receiver import free_port
from support.sinks import attempt

from bridge.config import Access
from bridge.delivery.outcome import Reason, Verdict
from bridge.delivery.targets import Targets
from bridge.sinks.base import Request
from bridge.sinks.client import Client
from bridge.sinks.connect_failures import connect_failure, connect_timeout


def at(number: int, address: str, port: int = 443) -> OSError:
    """Return the error that asyncio raises for an address."""
    return OSError(number, f"Connect call failed ({address!r}, {port})")


def behind(cause: BaseException) -> Exception:
    """Return an error as libraries wrap it."""
    inner = OSError("All connection attempts failed")
    inner.__cause__ = cause
    outer = RuntimeError("no connection")
    outer.__cause__ = inner
    return outer


URL = "https://ci.example.com/T0KEN"
PLACE = "no connection to ci.example.com:443"
TOLD = {
    "refused": (at(errno.ECONNREFUSED, "10.0.0.7"), f"{PLACE} (10.0.0.7): refused"),
    "no route": (at(errno.ENETUNREACH, "10.0.0.7"), f"{PLACE} (10.0.0.7): unreachable"),
    "no machine": (at(errno.EHOSTUNREACH, "10.0.0.7"), f"{PLACE} (10.0.0.7): unreachable"),
    "timed out": (at(errno.ETIMEDOUT, "10.0.0.7"), f"{PLACE} (10.0.0.7): timed out"),
    "IPv6": (at(errno.ENETUNREACH, "2001:db8::1"), f"{PLACE} (2001:db8::1): unreachable"),
    "elsewhere": (at(errno.ECONNREFUSED, "10.0.0.7", 3128), f"{PLACE} (10.0.0.7:3128): refused"),
    "forbidden here": (at(errno.EPERM, "10.0.0.7"), f"{PLACE} (10.0.0.7): forbidden on this machine"),
    "no such name": (socket.gaierror(socket.EAI_NONAME, "x"), f"{PLACE}: no such host name"),
    "no address": (socket.gaierror(socket.EAI_NODATA, "x"), f"{PLACE}: the host name has no address"),
    "name servers": (
        socket.gaierror(socket.EAI_AGAIN, "x"),
        f"{PLACE}: temporary failure in name resolution",
    ),
    "odd look-up": (socket.gaierror(socket.EAI_FAMILY, "odd"), f"{PLACE}: odd"),
    "files": (OSError(errno.EMFILE, "x"), f"{PLACE}: too many open files"),
    "anything": (OSError(errno.EPIPE, "x"), f"{PLACE}: {os.strerror(errno.EPIPE)}"),
    "nothing known": (ValueError("x"), f"{PLACE}: as it was said"),
}


@pytest.mark.parametrize(("cause", "told"), TOLD.values(), ids=list(TOLD))
def test_a_failure_names_host_port_address_and_why(cause, told) -> None:
    found = connect_failure(behind(cause), URL, "as it was said")

    assert found.startswith(told)
    assert "T0KEN" not in found


def test_several_addresses_are_told_one_by_one() -> None:
    several = BaseExceptionGroup(
        "x", [at(errno.ENETUNREACH, "2001:db8::1"), at(errno.ECONNREFUSED, "10.0.0.7")]
    )

    found = connect_failure(behind(several), URL, "")

    assert found.startswith(f"{PLACE} (2001:db8::1): unreachable")
    assert "; (10.0.0.7): refused" in found


def test_an_address_in_the_url_is_told_once_and_circles_of_causes_end() -> None:
    circle = behind(at(errno.ECONNREFUSED, "::1", 8080))
    told = connect_failure(circle, "http://[::1]:8080/", "")
    endless = RuntimeError("x")
    endless.__cause__, endless.__context__ = None, endless

    assert told.startswith("no connection to [::1]:8080: refused")
    assert connect_failure(endless, "http://ci.example.com", "so") == "no connection to ci.example.com:80: so"


def test_what_took_too_long_says_for_what() -> None:
    assert connect_timeout(URL, 13.5).startswith("no connection to ci.example.com:443 within 13.5 s: ")


@pytest.mark.parametrize("targets", [None, Targets.of(["127.0.0.0/8", "::1"])], ids=["anywhere", "limited"])
async def test_a_port_at_which_nobody_listens_is_named(targets) -> None:
    port = free_port()
    async with Client(Access(targets=targets)) as client:
        outcome = await client.post(Request(f"http://127.0.0.1:{port}/", {}, b"{}", 10_000))

    assert (outcome.verdict, outcome.reason) == (Verdict.RETRYABLE, Reason.CONNECT)
    assert outcome.detail.startswith(f"no connection to 127.0.0.1:{port}: refused: ")


async def test_a_name_that_nobody_has_is_named() -> None:
    outcome = await attempt("http", url="http://no-such-host.invalid/hook")

    assert (outcome.reason, "no-such-host.invalid:80: " in outcome.detail) == (Reason.CONNECT, True)


async def test_a_connection_that_is_not_made_in_time_is_told_from_an_answer_that_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:  # its queue is full: nobody accepts
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        async with Client() as client:
            outcome = await client.post(Request(f"http://127.0.0.1:{port}/", {}, b"{}", 1_000))
        for one in waiting:
            one.close()

    assert (outcome.verdict, outcome.reason) == (Verdict.RETRYABLE, Reason.TIMEOUT)
    assert f"no connection to 127.0.0.1:{port} within 0.9 s" in outcome.detail
