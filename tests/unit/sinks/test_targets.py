"""Limited targets over real sockets: what is not listed is never connected to."""

import socket
import threading

import pytest
from support.receiver import Answer, Receiver, free_port
from support.tls import Authority, TlsReceiver
from support.until import eventually

from bridge.config import Access, TlsSettings
from bridge.delivery.allowed_destinations import Targets
from bridge.delivery.attempt_outcome import Outcome, Reason, Verdict
from bridge.sinks.base import Request, Response
from bridge.sinks.transport.client_cache import LazyTransport
from bridge.sinks.transport.name_resolution import _numeric


@pytest.fixture
def receiver():
    receiver = Receiver(Answer(200, body=b"thanks"))
    yield receiver
    receiver.stop()


@pytest.fixture
def names(monkeypatch):
    """Names and their addresses, one list for each time that they are asked for.

    Patched where the system is asked: there is no way to have a real name resolve as tests need it.
    """
    known: dict[str, list[list[str]]] = {}
    real = socket.getaddrinfo

    def resolve(host, port, *rest, **options):
        if host not in known:
            return real(host, port, *rest, **options)
        answers = known[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
            if ":" in address
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in addresses
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return known


def access(*allowed: str, tls: TlsSettings | None = None) -> Access:
    return Access(tls=tls or TlsSettings(), targets=Targets.of(allowed), hosts_key="sinks.ci.allowed_hosts")


async def post(url: str, *allowed: str, timeout_ms: int = 10_000, **more) -> Response | Outcome:
    async with LazyTransport() as transport:
        request = Request(f"{url}/hook", {"X-A": "b"}, b'{"a": 1}', timeout_ms)
        return await transport.through(access(*allowed, **more)).post(request)


def at(name: str, receiver: Receiver, scheme: str = "http") -> str:
    return f"{scheme}://{name}:{receiver.port}"


def assert_refused(got: Response | Outcome, receiver: Receiver) -> None:
    assert isinstance(got, Outcome), got
    assert (got.verdict, got.reason) == (Verdict.RETRYABLE, Reason.MISCONFIGURED)
    assert "sinks.ci.allowed_hosts" in got.detail
    assert "add the name, or a network" in got.detail
    assert receiver.came == 0


async def test_a_listed_network_is_connected_to_as_ever(receiver) -> None:
    got = await post(receiver.url, "127.0.0.0/8")

    assert isinstance(got, Response), got
    assert (got.status, got.excerpt) == (200, "thanks")
    assert (receiver.got[0].body, receiver.got[0].headers["x-a"]) == ({"a": 1}, "b")


@pytest.mark.parametrize("allowed", ["10.0.0.0/8", "ci.example.com", "*", "::1"])
async def test_an_address_that_is_not_listed_is_refused(receiver, allowed) -> None:
    assert_refused(await post(receiver.url, allowed), receiver)


@pytest.mark.parametrize(
    "spelled", ["127.1", "0x7f000001", "2130706433", "017700000001", "[::ffff:127.0.0.1]"]
)
async def test_no_spelling_of_an_address_gets_past_the_list(receiver, spelled) -> None:
    assert_refused(await post(at(spelled, receiver), "10.0.0.0/8", "*"), receiver)


async def test_a_name_is_judged_by_the_address_that_it_has(receiver, names) -> None:
    names["ci.example.com"] = [["127.0.0.1"]]

    assert_refused(await post(at("ci.example.com", receiver), "10.0.0.0/8", "*.example.com"), receiver)
    assert isinstance(await post(at("ci.example.com", receiver), "127.0.0.0/8"), Response)


async def test_a_name_whose_address_changes_after_the_look_leads_nowhere_else(receiver, names) -> None:
    names["rebound.example.com"] = [["127.0.0.1"], ["10.9.9.9"]]

    got = await post(at("rebound.example.com", receiver), "127.0.0.0/8")

    assert isinstance(got, Response), got
    assert len(names["rebound.example.com"]) == 1  # asked once: the other answer waits
    assert receiver.came == 1


def test_an_address_of_the_link_keeps_its_zone() -> None:
    assert _numeric(("fe80::1", 80, 0, 3)) == "fe80::1%3"
    assert _numeric(("fe80::1%eth0", 80, 0, 3)) == "fe80::1%eth0"
    assert _numeric(("::1", 80, 0, 0)) == "::1"


async def test_of_several_addresses_only_those_allowed_are_tried(receiver, names) -> None:
    names["many.example.com"] = [["169.254.169.254", "::1", "127.0.0.1"]]

    assert isinstance(await post(at("many.example.com", receiver), "127.0.0.1"), Response)


async def test_an_address_that_does_not_answer_is_followed_by_the_next(receiver, names) -> None:
    names["two.example.com"] = [["127.0.0.2", "127.0.0.1"]]  # the receiver listens at the second alone

    assert isinstance(await post(at("two.example.com", receiver), "127.0.0.0/8"), Response)


async def test_none_that_answers_is_no_connection(names) -> None:
    names["two.example.com"] = [["127.0.0.2", "127.0.0.3"]]

    got = await post(f"http://two.example.com:{free_port()}", "127.0.0.0/8")

    assert isinstance(got, Outcome)
    assert got.reason is Reason.CONNECT


@pytest.mark.parametrize("host", ["none.example.com", f"{'x' * 64}.example.com"])
async def test_a_name_without_an_address_is_no_connection(names, host) -> None:
    names["none.example.com"] = [[]]

    got = await post(f"http://{host}:1", "*.example.com")

    assert isinstance(got, Outcome)
    assert got.reason is Reason.CONNECT


async def test_names_that_take_too_long_are_a_timeout(monkeypatch) -> None:
    silent = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: silent.wait(60))

    got = await post("http://slow.example.com", "*.example.com", timeout_ms=300)

    silent.set()
    assert isinstance(got, Outcome)
    assert got.reason is Reason.TIMEOUT


async def test_tls_still_asks_for_the_certificate_of_the_name(names, tmp_path) -> None:
    authority = Authority(tmp_path)
    receiver = TlsReceiver(*authority.issue("server", "ci.example.com"))
    names["ci.example.com"] = names["other.example.com"] = [["127.0.0.1"]]
    trusting = TlsSettings(ca_file=str(authority.ca_file))

    good = await post(at("ci.example.com", receiver, "https"), "127.0.0.0/8", tls=trusting)
    bad = await post(at("other.example.com", receiver, "https"), "127.0.0.0/8", tls=trusting)

    receiver.stop()
    assert isinstance(good, Response), good
    assert receiver.asked_for == ["ci.example.com", "other.example.com"]
    assert isinstance(bad, Outcome)
    assert (bad.reason, "Hostname mismatch" in bad.detail) == (Reason.TLS, True)


async def test_a_proxy_of_the_environment_is_not_asked(receiver, monkeypatch) -> None:
    proxy = Receiver()
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)

    limited = await post(receiver.url, "127.0.0.0/8")
    refused = await post("http://ci.example.com", "127.0.0.1")
    async with LazyTransport() as transport:
        await transport.post(Request(f"{receiver.url}/hook", {}, b"{}", 10_000))

    proxy.stop()
    assert isinstance(limited, Response)
    assert isinstance(refused, Outcome)
    assert (receiver.came, proxy.came) == (1, 1)  # only the one without a limit went through the proxy


async def test_connections_are_kept_and_answers_that_break_off_are_told(names, receiver) -> None:
    names["ci.example.com"] = [["127.0.0.1"]]
    asked = 0
    real = receiver.answer

    def count(got):
        nonlocal asked
        asked += 1
        return real

    receiver.answer = count
    async with LazyTransport() as transport:
        way = transport.through(access("127.0.0.0/8"))
        for _ in range(3):
            sent = await way.post(Request(at("ci.example.com", receiver), {}, b"{}", 5_000))
            assert isinstance(sent, Response)
        names["ci.example.com"] = [["10.9.9.9"]]  # a connection that was allowed stays where it is
        assert isinstance(await way.post(Request(at("ci.example.com", receiver), {}, b"{}", 5_000)), Response)
        receiver.stop()
    await eventually(lambda: asked == 4)
