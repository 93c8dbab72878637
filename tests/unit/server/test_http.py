"""The small server."""

import asyncio
import http.client
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.receiver import free_port

from bridge.config import ServerSettings
from bridge.errors import ConfigurationError
from bridge.server import http as module
from bridge.server.http import said, serving


def fetch(port: int, path: str, host: str = "127.0.0.1") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(host, port, timeout=20)
    connection.request("GET", path)
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


async def get(port: int, path: str, host: str = "127.0.0.1") -> tuple[int, bytes]:
    return await asyncio.to_thread(fetch, port, path, host)


PAGES = {"/livez": lambda: said(ok=True, text="alive"), "/readyz": lambda: said(ok=False, text="not ready")}


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
