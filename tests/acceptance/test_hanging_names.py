"""A sink whose name cannot be looked up, and one whose secret is on a mount that hangs, hold up neither others nor the end."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.chaos import launcher
from support.command import Bridge, http_sink
from support.done import done
from support.patience import patience
from support.receiver import free_port
from support.until import wait_until
from support.values import commit, transition

from bridge.store.document_state import DocumentState
from bridge.store.tinydb_store import TinyDocuments

MODELS = 20
DEAD = "http://hooks.storm.test"
"""What the launcher of storms has hang."""


@pytest.fixture
def bridge(tmp_path, receiver):
    """A bridge with deliveries to make, to three sinks, the last of which is well; its registry is down."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    sinks = (
        http_sink(DEAD, "dead", 'first_retry = "1s"\nlongest_retry = "1s"'),
        http_sink(receiver.url, "mount", f'headers = {{ X-Key = {{ file = "{pipe}" }} }}'),
        http_sink(receiver.url, "well"),
    )
    registry = f"http://127.0.0.1:{free_port()}"
    bridge = Bridge(tmp_path, registry, *sinks)
    bridge.environment["FAULTS"] = json.dumps({"names": [0, 3_600]})
    documents = TinyDocuments.open(tmp_path / "state")
    events = [transition(number, f"m{number}") for number in range(1, MODELS + 1)]
    done(DocumentState(documents).commit_poll(commit(*events, sinks=("dead", "mount", "well"), uri=registry)))
    documents.close()
    return bridge


def start(bridge: Bridge, *arguments: str) -> subprocess.Popen:
    program = [sys.executable, "-P", Path(launcher.__file__), "--log-format", "json"]
    with (bridge.folder / "log").open("ab") as log:
        return subprocess.Popen(
            [*program, *arguments, "--config", bridge.config],
            stdout=log,
            stderr=log,
            env=bridge.environment,
            cwd=bridge.folder,
        )


def test_once_ends_at_its_deadline_and_delivers_what_can_be(bridge, receiver) -> None:
    for seconds in (6, 24, 96):  # a busy machine takes longer to begin
        began = time.monotonic()
        status = start(bridge, "once", "--deadline", f"{seconds}s").wait(seconds + patience())

        assert time.monotonic() - began < seconds + 240, "look-ups hang for an hour, and a mount for ever"
        assert status == 69, (bridge.folder / "log").read_text()
        if len({got.delivery_id for got in receiver.got}) == MODELS:
            return
    pytest.fail(f"{len(receiver.got)} of {MODELS} deliveries came")


def test_a_stop_is_followed_while_look_ups_hang(bridge, receiver) -> None:
    process = start(bridge, "run")
    try:
        wait_until(lambda: len({got.delivery_id for got in receiver.got}) == MODELS)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)

        assert process.wait(patience()) == 0
        assert time.monotonic() - began < 240
    finally:
        process.kill()
        process.wait()
