"""Names that are slow to resolve, or never do: they hold up nobody else, neither deliveries nor the exit."""

import asyncio
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager

import pytest
from support.patience import patience
from support.receiver import RawReceiver, free_port
from support.sinks import DELIVERY, built
from support.until import eventually

from bridge.config import Access
from bridge.delivery.allowed_destinations import Targets
from bridge.delivery.attempt_outcome import Outcome, Reason, Verdict
from bridge.sinks.base import Request, Response
from bridge.sinks.transport import blocking_calls, host_connection, tls_context
from bridge.sinks.transport import client_cache as clients_by_access
from bridge.sinks.transport.blocking_calls import SharedCalls
from bridge.sinks.transport.client_cache import LazyTransport
from bridge.sinks.transport.http_client import Client
from bridge.sinks.transport.name_resolution import NameResolution
from bridge.sinks.transport.response_normalization import ResponseReader

DEAD = "hooks.dead.test"


@pytest.fixture
def hanging(monkeypatch):
    """Have look-ups of names under ``dead.test`` hang; return how often each was asked for."""
    asked: list[str] = []
    silent = threading.Event()
    real = socket.getaddrinfo

    def slow(host, *rest, **more):
        if not str(host).endswith("dead.test"):
            return real(host, *rest, **more)
        asked.append(host)
        silent.wait(120)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    yield asked
    silent.set()


def post(url: str, timeout_ms: int = 60_000) -> Request:
    return Request(url, {}, b"{}", timeout_ms)


@pytest.mark.parametrize("allowed", [None, ("*.dead.test", "localhost", "127.0.0.0/8")])
async def test_a_name_that_hangs_holds_up_no_other(allowed, hanging, receiver) -> None:
    access = Access(targets=Targets.of(allowed) if allowed else None)
    async with LazyTransport() as transport:
        way = transport.through(access)
        dead = [asyncio.create_task(way.post(post(f"http://{DEAD}/"))) for _ in range(48)]
        await eventually(lambda: bool(hanging))
        healthy = await way.post(post(f"http://localhost:{receiver.port}/"))
        assert not any(task.done() for task in dead)
        for task in dead:
            task.cancel()
        await asyncio.wait(dead)

    assert isinstance(healthy, Response), healthy
    assert hanging == [DEAD]  # and so one thread, however many ask
    assert asyncio.get_running_loop()._default_executor is None  # type: ignore[attr-defined]


async def test_many_names_that_hang_cost_a_thread_each(hanging, receiver) -> None:
    async with LazyTransport() as transport:
        requests = [post(f"http://h{number}.dead.test/", 500) for number in range(40)]
        outcomes, healthy = await asyncio.gather(
            asyncio.gather(*(transport.post(one) for one in requests * 2)),
            transport.post(post(f"http://localhost:{receiver.port}/")),
        )

    assert isinstance(healthy, Response)
    assert {one.reason for one in outcomes if isinstance(one, Outcome)} == {Reason.TIMEOUT}
    assert sorted(hanging) == sorted(f"h{number}.dead.test" for number in range(40))


async def test_a_token_endpoint_whose_name_hangs_fails_its_own_sink_alone(
    hanging, receiver, monkeypatch
) -> None:
    monkeypatch.setenv("CLIENT_SECRET", "s3cret")
    oauth2 = {
        "token_url": f"https://id.{DEAD}/t",
        "client_id": "c",
        "client_secret": {"env": "CLIENT_SECRET"},
    }
    async with LazyTransport() as transport:
        waiting = built("http", transport, 500, url=f"{receiver.url}/a", oauth2=oauth2)
        healthy = built("http", transport, url=f"http://localhost:{receiver.port}/b")
        late, well = await asyncio.gather(waiting.deliver(DELIVERY), healthy.deliver(DELIVERY))

    assert (late.reason, well.verdict) == (Reason.TIMEOUT, Verdict.DELIVERED)
    assert hanging == [f"id.{DEAD}"]


async def test_a_proxy_whose_name_hangs_holds_up_no_other(hanging, receiver, monkeypatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://proxy.{DEAD}:3128")
    monkeypatch.setenv("no_proxy", "localhost")
    async with LazyTransport() as transport:
        late, well = await asyncio.gather(
            transport.post(post("http://ci.example.com/", 500)),
            transport.post(post(f"http://localhost:{receiver.port}/")),
        )

    assert isinstance(late, Outcome)
    assert (late.reason, isinstance(well, Response)) == (Reason.TIMEOUT, True)
    assert hanging == [f"proxy.{DEAD}"]


EXIT = """
import asyncio, socket, time
socket.getaddrinfo = lambda *_, **__: time.sleep(600)
from bridge.sinks.base import Request
from bridge.sinks.transport.client_cache import LazyTransport

async def main():
    async with LazyTransport() as way:
        requests = [Request(f"http://h{number}.dead.test/", {}, b"", 300) for number in range(40)]
        print({one.reason.value for one in await asyncio.gather(*map(way.post, requests))})

asyncio.run(main())
"""


def test_the_process_ends_while_look_ups_hang() -> None:
    began = time.monotonic()

    done = subprocess.run(
        [sys.executable, "-c", EXIT], capture_output=True, text=True, timeout=patience(), check=True
    )

    assert done.stdout == "{'timeout'}\n"
    assert time.monotonic() - began < 100  # and not the ten minutes that a look-up takes


async def test_look_ups_that_are_over_are_made_anew(monkeypatch) -> None:
    answers = [["10.0.0.1"], ["10.0.0.2", "10.0.0.2", "::1"]]
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *_, **__: [(None, None, None, "", (one, 0)) for one in answers.pop(0)]
    )
    names = NameResolution()

    assert await names.addresses("ci.example.com") == ["10.0.0.1"]
    assert await names.addresses("ci.example.com") == ["10.0.0.2", "::1"]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "fe80::1%lo"])
async def test_an_address_needs_no_look_up(address, monkeypatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("looked up"))

    assert await NameResolution().addresses(address) == [address]


async def test_what_hangs_for_long_is_tried_again_a_few_times(monkeypatch) -> None:
    monkeypatch.setattr(blocking_calls, "_STALE_S", 0.0)
    calls: SharedCalls[str, int] = SharedCalls("test")
    silent = threading.Event()
    made = []

    def hang() -> int:
        made.append(1)
        silent.wait(60)
        return len(made)

    waiting = [asyncio.create_task(calls.result("x", hang)) for _ in range(9)]
    await eventually(lambda: len(made) == 4)
    silent.set()

    assert await asyncio.gather(*waiting) == [4] * 9
    assert await calls.result("x", lambda: 7) == 7


async def test_what_a_call_raises_is_raised_to_all_who_wait_for_it() -> None:
    calls: SharedCalls[str, float] = SharedCalls("test")
    waiting = [asyncio.create_task(calls.result("x", lambda: 1 / 0)) for _ in range(3)]

    assert [type(one) for one in await asyncio.gather(*waiting, return_exceptions=True)] == [
        ZeroDivisionError
    ] * 3


@contextmanager
def swallowing(address: str, port: int):
    """Have ``address`` swallow packets: its queue of connections is full."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address, port))
        server.listen(0)
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex((address, port))
        yield


@pytest.fixture
def addresses(monkeypatch):
    """Have every name resolve to these addresses."""
    found: list[str] = []
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *_, **__: [(None, None, None, "", (one, 0)) for one in found]
    )
    return found


async def test_an_address_that_swallows_packets_costs_a_moment_only(addresses, receiver) -> None:
    addresses += ["127.0.0.2", "127.0.0.3", "127.0.0.1"]
    with swallowing("127.0.0.2", receiver.port), swallowing("127.0.0.3", receiver.port):
        async with Client() as client:
            got = await client.post(post(f"http://ci.example.com:{receiver.port}/", 300_000))

    assert isinstance(got, Response), got


async def test_what_swallows_packets_alone_is_a_timeout(addresses) -> None:
    addresses += ["127.0.0.2"]
    port = free_port()
    with swallowing("127.0.0.2", port):
        async with Client() as client:
            got = await client.post(post(f"http://ci.example.com:{port}/", 500))

    assert isinstance(got, Outcome)
    assert got.reason is Reason.TIMEOUT


async def test_a_failure_to_connect_says_where_and_why(addresses, monkeypatch) -> None:
    port = free_port()
    addresses += ["127.0.0.1", "127.0.0.2"]
    async with Client() as client:
        refused = await client.post(post(f"http://ci.example.com:{port}/"))
        numeric = await client.post(post(f"http://[::1]:{port}/"))
        addresses[:] = [f"127.0.1.{number}" for number in range(9)]
        many = await client.post(post(f"http://ci.example.com:{port}/"))
        monkeypatch.setattr(socket, "getaddrinfo", _unknown)
        unknown = await client.post(post("http://ci.example.com/"))
        impossible = await client.post(post(f"http://{'x' * 64}.example.com/"))

    details = [
        one.detail for one in (refused, numeric, many, unknown, impossible) if isinstance(one, Outcome)
    ]
    assert details[0] == (
        f"no connection: ci.example.com:{port} (127.0.0.1: Connection refused; 127.0.0.2: Connection refused)"
    )
    assert details[1].startswith(f"no connection: [::1]:{port} (::1: ")
    assert details[2].endswith("; 127.0.1.3: Connection refused and 5 more addresses)")
    assert (
        details[3] == "no connection: the name ci.example.com cannot be resolved: Name or service not known"
    )
    assert "can be no host's name" in details[4]


def _unknown(host, *_rest, **_more):
    host.encode("idna")
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


async def test_an_absolute_name_is_asked_for_and_shown_without_its_dot(addresses, receiver) -> None:
    addresses += ["127.0.0.1"]
    async with Client() as client:
        got = await client.post(post(f"http://ci.example.com.:{receiver.port}/"))

    assert isinstance(got, Response)
    assert receiver.got[0].headers["host"] == f"ci.example.com:{receiver.port}"


class Stream:
    """A connection that was made, and perhaps closed."""

    is_closed = False

    async def aclose(self) -> None:
        self.is_closed = True


async def test_of_connections_that_are_made_at_once_one_is_used_and_the_others_are_closed() -> None:
    streams = [Stream() for _ in range(3)]
    all_began = asyncio.Event()

    async def connect(number: int) -> Stream:
        if number == 2:
            all_began.set()
        await all_began.wait()
        return streams[number]

    used = await host_connection._first(
        {str(number): connect(number) for number in range(3)}, "ci.example.com:80"
    )

    assert [one.is_closed for one in streams if one is not used] == [True, True]
    assert not used.is_closed


async def test_a_system_whose_authorities_cannot_be_read_is_told_in_time(monkeypatch, receiver) -> None:
    silent = threading.Event()
    monkeypatch.setattr(clients_by_access, "_AUTHORITIES_S", 0.2)
    monkeypatch.setattr(tls_context, "context_of", lambda *_: silent.wait(60))
    async with LazyTransport() as transport:
        got = await transport.post(post(f"{receiver.url}/", 100))
    silent.set()

    assert isinstance(got, Outcome)
    assert got.reason is Reason.TLS
    assert got.detail == "delivery.tls: a file of the system's authorities cannot be read within 0.2 s"


async def test_what_is_no_request_is_passed_on_as_it_is() -> None:
    receiver = RawReceiver(b"\x05\x00")  # a proxy that speaks SOCKS
    port = int(receiver.url.rstrip("/").rpartition(":")[2])
    stream = await host_connection.Backend(NameResolution(), ResponseReader()).connect_tcp("127.0.0.1", port)
    await stream.write(b"\x05\x01\x00")

    assert await stream.read(10) == b"\x05\x00"
    await stream.aclose()
    receiver.stop()
