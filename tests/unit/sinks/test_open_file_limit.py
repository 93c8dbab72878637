"""Few files may be open (``ulimit -n 256``): connections look at the limit, everything arrives, probes answer."""

import errno
import json
import os
import resource
import subprocess
import sys
import threading

import pytest
from support.patience import patience
from support.receiver import Receiver

from bridge.sinks.transport import open_file_limit as limits
from bridge.sinks.transport.connection_pool import most_open
from bridge.sinks.transport.host_connection import _why
from bridge.sinks.transport.open_file_limit import is_exhausted, open_file_limit

PLACES = 400
SCRIPT = """
import asyncio, json, os, resource, sys, urllib.request
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
from bridge.config import ServerSettings
from bridge.server.http_application import probe_answer, serving
from bridge.sinks.base import Request
from bridge.sinks.transport.client_cache import LazyTransport
from bridge.testing.receiver import free_port

port, places = int(sys.argv[1]), int(sys.argv[2])

def probed(server):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server}/livez", timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as busy:  # on a busy machine the event loop may take its second
        return busy.code

async def probing(server, until):
    probes = []
    while not until.is_set() or not probes:
        probes.append(await asyncio.to_thread(probed, server))
        await asyncio.sleep(0.05)
    return set(probes)

async def main():
    server, over = free_port(), asyncio.Event()
    async with serving(ServerSettings(listen=f"127.0.0.1:{server}"), {"/livez": lambda: probe_answer(True, "alive")}):
        probes = asyncio.create_task(probing(server, over))
        async with LazyTransport() as way:
            for _ in range(2):
                requests = [
                    Request(f"http://127.0.{number // 250}.{number % 250 + 1}:{port}/", {}, b"{}", 60_000)
                    for number in range(places)
                ]
                answers = await asyncio.gather(*map(way.post, requests))
                statuses = [getattr(one, "status", None) or one.detail for one in answers]
                files = len(os.listdir("/proc/self/fd"))
                print(json.dumps([sorted(set(statuses)), files]))
            over.set()
            print(json.dumps(sorted(await probes)))

asyncio.run(main())
"""


class EverywhereReceiver(Receiver):
    """Listens on all addresses of loopback."""

    def start(self) -> None:
        server_class = self._server_class()
        self._stopping.clear()
        self._server = server_class(("0.0.0.0", self.port), self._handler())  # noqa: S104 - all of 127.0.0.0/8
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def everywhere():
    receiver = EverywhereReceiver()
    yield receiver
    receiver.stop()


def test_many_places_get_what_is_theirs_with_few_files(everywhere) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(everywhere.port), str(PLACES)],
        capture_output=True,
        text=True,
        timeout=patience(),
        check=True,
    )

    first, second, probes = map(json.loads, done.stdout.splitlines()[-3:])
    assert (first[0], second[0]) == ([204], [204])
    assert 200 in probes
    assert set(probes) <= {200, 503}
    assert max(first[1], second[1]) < 256 * 3 // 4  # what is kept leaves room for everything else
    assert everywhere.came == 2 * PLACES
    lines = [line for line in (done.stdout + done.stderr).splitlines() if "connections.limited" in line]
    assert len(lines) == 1
    assert "LimitNOFILE" in lines[0]


@pytest.mark.parametrize(
    ("soft", "connections"),
    [(256, 128), (1_024, 512), (10, 8), (resource.RLIM_INFINITY, 32_768), (10**6, 32_768)],
)
def test_half_of_the_limit_is_for_connections(soft, connections, monkeypatch) -> None:
    monkeypatch.setattr(limits.resource, "getrlimit", lambda _: (soft, soft))

    assert most_open() == connections


def test_what_is_exhausted_says_how_to_mend_it() -> None:
    error = OSError(errno.EMFILE, "socket.accept() out of system resource")

    assert is_exhausted(error)
    assert not is_exhausted(OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED)))
    assert _why(error).startswith("Too many open files (raise the limit of open files: LimitNOFILE= in the")
    assert open_file_limit() > 0
