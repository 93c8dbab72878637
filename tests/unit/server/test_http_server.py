"""The small server."""

import asyncio
import errno
import http.client
import socket
import threading
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
from bridge.server import asgi_server
from bridge.server import http_application as module
from bridge.server.http_application import probe_answer, serving


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
    async with serving(ServerSettings(listen=f"127.0.0.1:{port}"), PAGES):
        assert await get(port, "/livez?verbose") == (200, b"alive\n")
        assert await get(port, "/readyz") == (503, b"not ready\n")
        assert (await get(port, "/etc/passwd"))[0] == 404


async def test_without_an_address_nothing_is_served() -> None:
    async with serving(None, PAGES):
        pass


async def test_a_loop_that_hangs_fails_the_probe(monkeypatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE_S", 0.1)
    port = free_port()
    async with serving(ServerSettings(listen=f"127.0.0.1:{port}"), PAGES):
        outside = ThreadPoolExecutor(1)
        probing = outside.submit(fetch, port, "/livez")
        status, body = probing.result(30)  # holds up the loop, which is the point

    assert (status, body) == (503, b"the event loop does not answer\n")


async def test_an_address_in_use_is_a_configuration_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConfigurationError, match=r"server\.listen: .*Address already in use"):
            async with serving(ServerSettings(listen=listen), PAGES):
                pass


async def test_a_peer_that_hangs_up_is_nothing(capfd) -> None:
    port = free_port()
    async with serving(ServerSettings(listen=f"127.0.0.1:{port}"), PAGES):
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
    async with serving(ServerSettings(listen=f"[::1]:{port}"), PAGES):
        assert (await get(port, "/livez", "::1"))[0] == 200


async def test_only_looking_is_allowed() -> None:
    port = free_port()
    async with serving(ServerSettings(listen=f"127.0.0.1:{port}"), PAGES):
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
            status, body, headers = await asyncio.to_thread(request, port, method, "/livez", b"x" * 1_000)
            assert (status, headers["Allow"]) == (405, "GET, HEAD"), method
            assert body == b"only GET and HEAD: what is here is for looking at\n"


async def test_a_head_is_a_get_without_its_body() -> None:
    port = free_port()
    async with serving(ServerSettings(listen=f"127.0.0.1:{port}"), PAGES):
        status, body, headers = await asyncio.to_thread(request, port, "HEAD", "/livez")

    assert (status, body, headers["Content-Length"]) == (200, b"", "6")


async def test_every_answer_keeps_browsers_from_making_more_of_it() -> None:
    port = free_port()
    async with serving(ServerSettings(listen=f"127.0.0.1:{port}"), PAGES):
        answers = [
            await asyncio.to_thread(request, port, method, path)
            for method, path in (("GET", "/livez"), ("GET", "/<script>"), ("POST", "/"), ("GET", "/%00"))
        ]

    for status, body, headers in answers:
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")
        for rule in ("base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'"):
            assert rule in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        kept = {
            name: headers[name] for name in ("X-Content-Type-Options", "Referrer-Policy", "Cache-Control")
        }
        assert list(kept.values()) == ["nosniff", "same-origin", "no-store"], status
        assert (headers["Content-Type"], b"<" in body) == ("text/plain; charset=utf-8", False)
        assert headers["Server"].strip() == "mlflow-bridge"


@pytest.mark.parametrize(
    "line", [b"GET", b"GET / HTTP/9.9", b"\0\1\2", b"GET /<b> HTTP/x", b"GET /" + b"x" * 70_000]
)
async def test_what_is_no_request_is_refused_without_giving_it_back(line) -> None:
    port = free_port()
    async with serving(ServerSettings(listen=f"127.0.0.1:{port}"), PAGES):
        answer = await asyncio.to_thread(_spoken, port, line + b"\r\n\r\n")

    assert b"<" not in answer
    assert b"Traceback" not in answer


def _spoken(port: int, said_: bytes, *, ends: bool = False) -> bytes:
    found = b""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=patience()) as peer,
        suppress(ConnectionResetError),
    ):
        peer.sendall(said_)
        if ends:
            peer.shutdown(socket.SHUT_WR)
        while more := peer.recv(65_536):
            found += more
    return found


async def test_what_takes_long_to_make_is_made_while_the_loop_goes_on() -> None:
    port, loop_ran = free_port(), threading.Event()

    def later(asked):
        assert loop_ran.wait(patience())
        return probe_answer(ok=True, text=f"{asked.host.partition(':')[0]} {asked.query}")

    async with serving(ServerSettings(listen=f"127.0.0.1:{port}"), {"/": lambda: later}):
        slow = asyncio.create_task(get(port, "/?a=b"))
        await asyncio.sleep(0.05)
        loop_ran.set()
        assert await slow == (200, b"127.0.0.1 a=b\n")


async def test_a_fault_and_what_is_no_request_have_the_headers_of_every_answer() -> None:
    port = free_port()
    async with serving(ServerSettings(listen=f"127.0.0.1:{port}"), {"/": lambda: 1 / 0}):
        with capture_logs():
            fault = await asyncio.to_thread(_spoken, port, b"GET / HTTP/1.1\r\nHost: [\r\n\r\n")
        odd = await asyncio.to_thread(_spoken, port, b"GET / HTTP/1.1\r\nno header\r\n\r\n")

    for answer, status in ((fault, b" 500 "), (odd, b" 400 ")):
        head = answer.partition(b"\r\n\r\n")[0].lower()
        assert status in head
        for name in (
            b"content-security-policy: default-src 'none'",
            b"cache-control: no-store",
            b"connection: close",
        ):
            assert name in head


async def test_a_fault_in_a_page_is_told_and_logged() -> None:
    port = free_port()
    with capture_logs() as logs:
        async with serving(ServerSettings(listen=f"127.0.0.1:{port}"), {"/": lambda: 1 / 0}):
            status, body = await get(port, "/")

    assert (status, body.startswith(b"a fault in the bridge (ZeroDivisionError)")) == (500, True)
    assert [line["kind"] for line in logs if line["event"] == "server.fault"] == ["ZeroDivisionError"]


async def test_peers_that_say_nothing_do_not_keep_the_probes_out(monkeypatch) -> None:
    """The oldest of them give way: whoever means well is gone within milliseconds."""
    monkeypatch.setattr(asgi_server, "MOST_CONNECTIONS", 8)
    port = free_port()
    async with serving(ServerSettings(listen=f"127.0.0.1:{port}"), PAGES):
        with ExitStack() as held:
            silent = [
                held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=patience()))
                for _ in range(40)
            ]
            assert (await get(port, "/livez"))[0] == 200
            assert await asyncio.to_thread(_is_cut_off, silent[0])
            assert sum(await asyncio.gather(*(asyncio.to_thread(_is_open, one) for one in silent))) <= 8


def _is_cut_off(peer: socket.socket) -> bool:
    with suppress(ConnectionResetError):
        return peer.recv(1) == b""
    return True


def _is_open(peer: socket.socket) -> bool:
    peer.settimeout(0.2)
    try:
        return not _is_cut_off(peer)
    except TimeoutError:
        return True


async def test_a_request_that_drips_in_is_cut_off(monkeypatch) -> None:
    """A timeout for each byte would let it stay for hours."""
    monkeypatch.setattr(asgi_server, "REQUEST_S", 0.5)
    port = free_port()
    async with serving(ServerSettings(listen=f"127.0.0.1:{port}"), PAGES):
        with socket.create_connection(("127.0.0.1", port), timeout=patience()) as peer:
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
    monkeypatch.setattr(asgi_server, "REQUEST_S", 0.5)
    port = free_port()
    large = (HTTPStatus.OK, "text/plain", b"x" * 50_000_000)
    async with serving(ServerSettings(listen=f"127.0.0.1:{port}"), {"/": lambda: large}):
        with socket.create_connection(("127.0.0.1", port), timeout=patience()) as peer:
            peer.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            assert await asyncio.to_thread(peer.recv, 1) == b"H"
            await asyncio.sleep(2.0)
            taken = await asyncio.to_thread(_all_of, peer)
    assert taken < 40_000_000


def _all_of(peer: socket.socket) -> int:
    """Return how many bytes come until the end."""
    found = 0
    with suppress(ConnectionResetError):
        while more := peer.recv(1 << 20):
            found += len(more)
    return found


async def test_a_client_that_says_no_more_after_its_request_gets_its_answer() -> None:
    port = free_port()
    async with serving(ServerSettings(listen=f"127.0.0.1:{port}"), PAGES):
        answer = await asyncio.to_thread(_spoken, port, b"GET /livez HTTP/1.0\r\n\r\n", ends=True)

    assert answer.endswith(b"alive\n")


@pytest.mark.parametrize(
    "header", [b"a: " + b"b" * 20_000 + b"\r\n", b"a:\r\n" * 10_000], ids=["long", "many"]
)
async def test_a_head_that_is_too_long_is_refused(header) -> None:
    port = free_port()
    async with serving(ServerSettings(listen=f"127.0.0.1:{port}"), PAGES):
        said = b"GET /livez HTTP/1.1\r\nHost: h\r\n" + header + b"\r\n"
        answer = await asyncio.to_thread(_spoken, port, said)
        assert (await get(port, "/livez"))[0] == 200

    assert answer == b"" or answer.startswith(b"HTTP/1.1 400")


async def test_where_no_more_files_may_be_opened_few_lines_are_logged(caplog, monkeypatch) -> None:
    """No real way to run out of files would leave the test any."""
    accept, exhausted = socket.socket.accept, [True]

    def accepting(listener):
        if exhausted[0]:
            raise OSError(errno.EMFILE, "Too many open files")
        return accept(listener)

    port = free_port()
    async with serving(ServerSettings(listen=f"127.0.0.1:{port}"), PAGES):
        with monkeypatch.context() as patched:
            patched.setattr(socket.socket, "accept", accepting)
            waiting = asyncio.create_task(get(port, "/livez"))
            await eventually(lambda: caplog.records)
            await asyncio.sleep(1.0)
            assert len(caplog.records) < 20
            exhausted[0] = False
            assert await waiting == (200, b"alive\n")


async def test_a_server_that_cannot_start_is_an_error(monkeypatch) -> None:
    monkeypatch.setattr(asgi_server.Server, "run", lambda _server, sockets=None: None)
    with pytest.raises(OSError, match="ended while it started"):
        async with serving(ServerSettings(listen=f"127.0.0.1:{free_port()}"), PAGES):
            pass


async def test_a_connection_brings_one_answer() -> None:
    port = free_port()
    async with serving(ServerSettings(listen=f"127.0.0.1:{port}"), PAGES):
        answer = await asyncio.to_thread(_spoken, port, b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n" * 2)

    assert answer.count(b"HTTP/1.1 200") == 1
