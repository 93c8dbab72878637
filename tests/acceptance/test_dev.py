"""`make dev` starts a server, a receiver and the daemon, shows what is delivered, and leaves nothing behind."""

import os
import re
import shutil
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

import pytest
from support.terminal import Terminal
from support.until import wait_until

ROOT = Path(__file__).parents[2]
PLACES = re.compile(r"^ +(MLflow|receiver|status page|configuration) +(\S+)$", re.MULTILINE)

pytestmark = [
    pytest.mark.extra,
    pytest.mark.skipif(not (shutil.which("make") and Path("/proc").exists()), reason="needs make, and /proc"),
]


@pytest.fixture
def mark() -> str:
    """A variable in the environment of everything that is started, by which it is found."""
    return token_hex(16)


@pytest.fixture
def terminal(mark) -> Iterator[Terminal]:
    """`make dev`, without what sets up its environment: the tests run in it."""
    command = ["make", "--old-file=.venv/.test", "dev"]
    terminal = Terminal(command, ROOT, columns=200, environment={"STARTED_BY": mark})
    yield terminal
    if left := started(mark):  # the test failed
        for process in left:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        terminal.close()


def started(mark: str) -> list[int]:
    """Return the processes that have ``mark`` in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"STARTED_BY={mark}".encode() in (process / "environ").read_bytes():
                found.append(int(process.name))
    return found


def status_of(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.filterwarnings("ignore")
def test_deliveries_are_printed_enter_restarts_the_daemon_and_ctrl_c_ends_everything(terminal, mark) -> None:
    from mlflow import MlflowClient

    terminal.wait_for("press Ctrl-C")
    places = dict(PLACES.findall(terminal.text))
    assert [status_of(places[name]) for name in ("MLflow", "status page")] == [200, 200]
    assert status_of(places["receiver"]) == 501  # it takes POST only

    client = MlflowClient(places["MLflow"], registry_uri=places["MLflow"])
    client.create_registered_model("made-by-hand")
    client.create_model_version("made-by-hand", "s3://models/1")
    client.transition_model_version_stage("made-by-hand", "1", "Production")
    terminal.wait_for('"to_stage": "Production"')
    assert "signature verified" in terminal.text
    assert "SIGNATURE WRONG" not in terminal.text

    terminal.type("\n")
    terminal.wait_for("daemon.stopped")
    client.transition_model_version_stage("made-by-hand", "1", "Archived")
    terminal.wait_for('"to_stage": "Archived"')  # by the daemon that was started again

    assert len(started(mark)) >= 4  # make, dev, the server, the daemon
    terminal.interrupt("has ended")
    wait_until(lambda: not started(mark))
    assert not Path(places["configuration"]).parent.exists()
