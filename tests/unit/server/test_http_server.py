"""The small server."""

import asyncio
import errno
import http.client
import socket
import threading
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from http import HTTPStatus

import pytest
from structlog.testing import capture_logs
from support.patience import patience
from support.receiver import free_port
from support.until import eventually

from bridge.config import ServerSettings
from bridge.errors import ConfigurationError
from bridge.server import http_server as module
from bridge.server.http_server import probe_answer, serving


def fetch(port: int, path: str, host: str = "127.0.0.1") -> tuple[int, bytes]:
    status, body, _ = request(port, "GET", path, host=host)
    return status, body


def request(port: int, method: str, path: str, body: bytes | None = None, host: str = "127.0.0.1", **headers):
    connection = http.client.HTTPConnection(host, port, timeout=patience())
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    found = answer.status, answer.read(), answer.headers
    connection.close()
    return found


async def get(port: int, path: str, host: str = "127.0.0.1") -> tuple[int, bytes]:
    return await asyncio.to_thread(fetch, port, path, host)


PAGES = {
    "/livez": lambda: probe_answer(ok=True, text="alive"),
    "/readyz": lambda: probe_answer(ok=False, text="not ready"),
}


@pytest.fixture(autouse=True)
def _a_busy_machine_is_no_hung_loop(monkeypatch) -> None:
    """A loaded machine is no loop that hangs."""
    monkeypatch.setattr(module, "_PATIENCE_S", 20.0)


async def test_pages_are_served_and_no_others() -> None:
    port = free_port()
    with serving(ServerSettings(listen=f"127.0.0.1:{port}"), PAGES):
        assert await get(port, "/livez?verbose") == (200, b"alive\n")
        assert await get(port, "/readyz") == (503, b"not ready\n")
        assert (await get(port, "/etc/passwd"))[0] == 404


async def test_without_an_address_nothing_is_served() -> None:
    with serving(None, PAGES):
        pass


async def test_a_loop_that_hangs_fails_the_probe(monkeypatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE_S", 0.1)
    port = free_port()
    with serving(ServerSettings(listen=f"127.0.0.1:{port}"), PAGES), ThreadPoolExecutor(1) as outside:
        probing = outside.submit(fetch, port, "/livez")
        status, body = probing.result(30)  # holds up the loop, which is the point

    assert (status, body) == (503, b"the event loop does not answer\n")


async def test_where_no_more_files_may_be_opened_the_server_does_not_spin(monkeypatch) -> None:
    """No real way to run out of files would leave the test any."""
    accepts = 0

    def exhausted(_server):
        nonlocal accepts
        accepts += 1
        raise OSError(errno.EMFILE, "Too many open files")

    settings = ServerSettings(listen=f"127.0.0.1:{free_port()}")
    with serving(settings, {"/livez": lambda: probe_answer(True, "alive")}):
        with monkeypatch.context() as patched:
            patched.setattr(module.ThreadingHTTPServer, "get_request", exhausted)
            waiting = asyncio.create_task(get(settings.address[1], "/livez"))
            await eventually(lambda: accepts > 2)
            before = accepts
            await asyncio.sleep(module._LOOK_S)
            assert accepts - before < 20
        assert await waiting == (200, b"alive\n")


async def test_an_address_in_use_is_a_configuration_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with (
            pytest.raises(ConfigurationError, match=r"server\.listen: .*Address already in use"),
            serving(ServerSettings(listen=listen), PAGES),
        ):
            pass


async def test_a_peer_that_hangs_up_is_nothing(capfd) -> None:
    port = free_port()
    with serving(ServerSettings(listen=f"127.0.0.1:{port}"), PAGES):
        with socket.create_connection(("127.0.0.1", port)) as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            peer.send(b"GET /livez")
        await asyncio.sleep(0.1)
        assert (await get(port, "/livez"))[0] == 200

    assert "Traceback" not in capfd.readouterr().err


async def test_it_listens_on_ipv6_too() -> None:
    port = free_port()
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    with serving(ServerSettings(listen=f"[::1]:{port}"), PAGES):
        assert (await get(port, "/livez", "::1"))[0] == 200


async def test_only_looking_is_allowed() -> None:
    port = free_port()
    with serving(ServerSettings(listen=f"127.0.0.1:{port}"), PAGES):
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "<script>"):
            status, body, headers = await asyncio.to_thread(request, port, method, "/livez", b"x" * 1_000)
            assert (status, headers["Allow"]) == (405, "GET, HEAD"), method
            assert body == b"only GET and HEAD: what is here is for looking at\n"


async def test_a_head_is_a_get_without_its_body() -> None:
    port = free_port()
    with serving(ServerSettings(listen=f"127.0.0.1:{port}"), PAGES):
        status, body, headers = await asyncio.to_thread(request, port, "HEAD", "/livez")

    assert (status, body, headers["Content-Length"]) == (200, b"", "6")


async def test_every_answer_keeps_browsers_from_making_more_of_it() -> None:
    port = free_port()
    with serving(ServerSettings(listen=f"127.0.0.1:{port}"), PAGES):
        answers = [
            await asyncio.to_thread(request, port, method, path)
            for method, path in (("GET", "/livez"), ("GET", "/<script>"), ("POST", "/"), ("GET", "/%00"))
        ]

    for status, body, headers in answers:
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")
        for rule in ("base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"):
            assert rule in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        kept = {
            name: headers[name] for name in ("X-Content-Type-Options", "Referrer-Policy", "Cache-Control")
        }
        assert list(kept.values()) == ["nosniff", "no-referrer", "no-store"], status
        assert (headers["Content-Type"], b"<" in body) == ("text/plain; charset=utf-8", False)
        assert headers["Server"].strip() == "mlflow-bridge"


@pytest.mark.parametrize(
    "line", [b"GET", b"GET / HTTP/9.9", b"\0\1\2", b"GET /<b> HTTP/x", b"GET /" + b"x" * 70_000]
)
async def test_what_is_no_request_is_refused_without_giving_it_back(line) -> None:
    port = free_port()
    with serving(ServerSettings(listen=f"127.0.0.1:{port}"), PAGES):
        answer = await asyncio.to_thread(_spoken, port, line + b"\r\n\r\n")

    assert b"<" not in answer
    assert b"Traceback" not in answer


def _spoken(port: int, said_: bytes) -> bytes:
    found = b""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=patience()) as peer,
        suppress(ConnectionResetError),
    ):
        peer.sendall(said_)
        while more := peer.recv(65_536):
            found += more
    return found


async def test_what_takes_long_to_make_is_made_while_the_loop_goes_on() -> None:
    port, loop_ran = free_port(), threading.Event()

    def later(asked):
        assert loop_ran.wait(patience())
        return probe_answer(ok=True, text=f"{asked.host.partition(':')[0]} {asked.query}")

    with serving(ServerSettings(listen=f"127.0.0.1:{port}"), {"/": lambda: later}):
        slow = asyncio.create_task(get(port, "/?a=b"))
        await asyncio.sleep(0.05)
        loop_ran.set()
        assert await slow == (200, b"127.0.0.1 a=b\n")


async def test_a_fault_in_a_page_is_told_and_logged() -> None:
    port = free_port()
    with capture_logs() as logs, serving(ServerSettings(listen=f"127.0.0.1:{port}"), {"/": lambda: 1 / 0}):
        status, body = await get(port, "/")

    assert (status, body.startswith(b"a fault in the bridge (ZeroDivisionError)")) == (500, True)
    assert [line["kind"] for line in logs if line["event"] == "server.fault"] == ["ZeroDivisionError"]


async def test_peers_that_say_nothing_do_not_keep_the_probes_out(monkeypatch) -> None:
    """The oldest of them give way: whoever means well is gone within milliseconds."""
    monkeypatch.setattr(module, "_MOST_CONNECTIONS", 8)
    port, others = free_port(), threading.enumerate()
    with serving(ServerSettings(listen=f"127.0.0.1:{port}"), PAGES), ExitStack() as held:
        silent = [
            held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=patience()))
            for _ in range(40)
        ]
        assert (await get(port, "/livez"))[0] == 200
        assert await asyncio.to_thread(silent[0].recv, 1) == b""  # hung up on
        await eventually(lambda: _answering(others) <= 8)


def _answering(others: Collection[threading.Thread]) -> int:
    """Return how many threads have a connection, beside those that other tests' servers left."""
    return sum("process_request_thread" in one.name for one in set(threading.enumerate()).difference(others))


async def test_a_request_that_drips_in_is_cut_off(monkeypatch) -> None:
    """A timeout for each byte would let it stay for hours."""
    monkeypatch.setattr(module, "_REQUEST_S", 0.5)
    port = free_port()
    with (
        serving(ServerSettings(listen=f"127.0.0.1:{port}"), PAGES),
        socket.create_connection(("127.0.0.1", port), timeout=patience()) as peer,
    ):
        assert await asyncio.to_thread(_drips_until_cut_off, peer)


def _drips_until_cut_off(peer: socket.socket) -> bool:
    peer.settimeout(0.1)
    for _ in range(300):
        try:
            peer.send(b"G")
            return peer.recv(1) == b""
        except TimeoutError:
            pass
        except ConnectionError:  # it was cut off while we sent
            return True
    return False


async def test_a_peer_that_takes_no_answer_is_left(monkeypatch) -> None:
    monkeypatch.setattr(module, "_REQUEST_S", 2.0)
    port, others = free_port(), threading.enumerate()
    large = (HTTPStatus.OK, "text/plain", b"x" * 50_000_000)
    with (
        serving(ServerSettings(listen=f"127.0.0.1:{port}"), {"/": lambda: large}),
        socket.create_connection(("127.0.0.1", port), timeout=patience()) as peer,
    ):
        peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert await asyncio.to_thread(peer.recv, 1) == b"H"
        await eventually(lambda: _answering(others) == 0)


async def test_a_connection_brings_one_answer() -> None:
    port = free_port()
    with serving(ServerSettings(listen=f"127.0.0.1:{port}"), PAGES):
        answer = await asyncio.to_thread(_spoken, port, b"GET /livez HTTP/1.1\r\n\r\n" * 2)

    assert answer.count(b"HTTP/1.1 200") == 1
