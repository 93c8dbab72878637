"""One reader of a registry, in a process of its own: a word in, the work once, a line of JSON out.

    python benchmarks/roles.py ROLE URL-OR-CONFIGURATION

Started by `workers.py`. Each role imports what it needs and nothing else: its memory is measured.
"""

import json
import socket
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from processes import memory_mb

Work = Callable[[str], int]
"""Do it once; the word says how, the number what came of it."""

received = 0


def count_received() -> None:
    """Count every byte that arrives at any socket, before anything decompresses it."""
    receive, receive_into = socket.socket.recv, socket.socket.recv_into

    def recv(self: socket.socket, *arguments: Any) -> bytes:
        global received  # noqa: PLW0603
        data = receive(self, *arguments)
        received += len(data)
        return data

    def recv_into(self: socket.socket, *arguments: Any) -> int:
        global received  # noqa: PLW0603
        size = receive_into(self, *arguments)
        received += size
        return size

    socket.socket.recv, socket.socket.recv_into = recv, recv_into  # type: ignore[method-assign,assignment]


@contextmanager
def naive(url: str, page: dict[str, int]) -> Iterator[Work]:
    """What people write today: every version into a dict, compared with the dict of before."""
    client = _client(url)
    known: dict[tuple[str, str], str] = {}

    def work(_: str) -> int:
        nonlocal known
        seen, token = {}, None
        while True:
            found = client.search_model_versions(page_token=token, **page)
            seen.update({(one.name, one.version): one.current_stage for one in found})
            token = found.token
            if not token:
                break
        _changed = [key for key, stage in seen.items() if known.get(key) != stage]
        known = seen
        return len(seen)

    yield work


@contextmanager
def bare(url: str) -> Iterator[Work]:
    """The one request without which there is no telling whether anything changed."""
    client = _client(url)
    newest = ["last_updated_timestamp DESC"]
    yield lambda _: len(client.search_registered_models(order_by=newest, max_results=20))


@contextmanager
def writer(url: str) -> Iterator[Work]:
    """Move the first version of one model into Archived and back, by turns."""
    client = _client(url)
    (model,) = client.search_registered_models(max_results=1)

    def work(_: str) -> int:
        stage = client.get_model_version(model.name, "1").current_stage
        to = "None" if stage == "Archived" else "Archived"
        client.transition_model_version_stage(model.name, "1", to)
        return 1

    yield work


@contextmanager
def bridge(config: str) -> Iterator[Work]:
    """The bridge's poll, from request to commit; returns the number of new outbox entries."""
    from pathlib import Path  # noqa: PLC0415

    from bridge.cli.log_setup import configure  # noqa: PLC0415
    from bridge.operations.verified_configuration import load_settings  # noqa: PLC0415

    configure("warning", "console")
    with bridge_poll(load_settings(Path(config))) as poll:
        yield poll


@contextmanager
def bridge_poll(settings: Any) -> Iterator[Work]:
    """Own the state that the settings name; yield what polls once: with a ``full`` scan, with one of ``models``, or fast."""
    import asyncio  # noqa: PLC0415

    from bridge.app import wire_poll  # noqa: PLC0415
    from bridge.pipeline import model_scan  # noqa: PLC0415
    from bridge.pipeline.clocks import SystemClock  # noqa: PLC0415
    from bridge.pipeline.incremental_read import Read  # noqa: PLC0415
    from bridge.registry.base import RowPosition  # noqa: PLC0415
    from bridge.store.state_opening import owned_state  # noqa: PLC0415

    with asyncio.Runner() as runner, ExitStack() as stack:
        owned = owned_state(settings)
        state = runner.run(owned.__aenter__())
        stack.callback(lambda: runner.run(owned.__aexit__(None, None, None)))
        poll = wire_poll(settings, state, SystemClock())
        model_scan.PART_S = model_scan.PART_OF_DEADLINE = float("inf")  # a scan in one piece

        def scan_of_models(basis: Any) -> Any:
            return model_scan.ModelScan(time.time_ns() // 1_000_000, frozenset(basis.known), RowPosition())

        def work(word: str) -> int:
            poll.model_scans.next_part = scan_of_models if word == "models" else lambda _basis: None
            polled = runner.run(poll.run(Read.FULL if word == "full" else Read.FAST))
            assert word != "models" or state.last_poll.models_listed_at
            return len(polled.entries)

        yield work


def _client(url: str) -> Any:
    from mlflow import MlflowClient  # noqa: PLC0415

    client = MlflowClient(url)
    client.search_registered_models(max_results=1)  # connected, with everything imported
    return client


ROLES: dict[str, Callable[[str], Any]] = {
    "naive": partial(naive, page={}),
    "naive-max": partial(naive, page={"max_results": 200_000}),
    "bare": bare,
    "writer": writer,
    "bridge": bridge,
}


def measured(work: Work, word: str) -> dict[str, float]:
    before, began, busy = received, time.perf_counter(), time.process_time()
    result = work(word)
    return {
        "seconds": time.perf_counter() - began,
        "client_cpu": time.process_time() - busy,
        "received": received - before,
        "result": result,
    }


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr  # answers are all that may go there
    warnings.simplefilter("ignore")
    count_received()
    role, place = sys.argv[1:]
    with ROLES[role](place) as work:
        for line in sys.stdin:
            word = line.strip()
            answer = memory_mb() if word == "memory" else measured(work, word)
            print(json.dumps(answer), file=answers, flush=True)


main()
