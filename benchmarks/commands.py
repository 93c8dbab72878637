"""How long commands take and how much memory the daemon holds, against a real MLflow server.

    python benchmarks/commands.py [--short]

`once` is compared with a bare Python process that imports MlflowClient and makes one search.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import interleaved, table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.done import done
from support.mlflow_server import MlflowServer
from support.values import commit, model, transition

from bridge.store.document_state import DocumentState
from bridge.store.tinydb_store import TinyDocuments

SHORT = "--short" in sys.argv
RUNS = 2 if SHORT else 9
WAITING = 1_000 if SHORT else 100_000
PYTHON = os.environ.get("BRIDGE_PYTHON", sys.executable)
"""Whose MLflow is measured: `make bench` names one with mlflow-skinny, as people install it."""

SKINNY = sys.executable != PYTHON
KIND, TARGET_MB = ("mlflow-skinny", "<= 110 MB") if SKINNY else ("full MLflow, for the tests", "")

BRIDGE = [PYTHON, "-m", "bridge"]
BARE = "from mlflow import MlflowClient; MlflowClient({url!r}).search_registered_models()"


def configuration(folder: Path, url: str) -> str:
    folder.mkdir(exist_ok=True)
    path = folder / "config.toml"
    sink = '[[sinks]]\nname = "ci"\ntype = "http"\nurl = "http://127.0.0.1:9/hook"\n'
    path.write_text(f'[registry]\ntracking_uri = "{url}"\n[poll]\ninterval = "1s"\n{sink}')
    return str(path)


def snapshot(folder: Path, url: str, models: int, waiting: int = 0) -> str:
    """Write a state with ten versions a model, as a scan would have left it, and so many waiting entries."""
    path = configuration(folder, url)
    state = DocumentState(TinyDocuments.open(folder / "state"))
    events = [transition(n, f"model-{n % models}") for n in range(1_000)]
    known = [model(f"model-{n}", versions=10) for n in range(models)]
    now_ms = time.time_ns() // 1_000_000
    done(state.commit_poll(commit(*events, models=known, sinks=(), uri=url, at=now_ms)))
    for start in range(0, waiting, 500):
        more = [transition(1_000 + n, f"model-{n % models}") for n in range(start, start + 500)]
        revision = state.head.revision if state.head else 0
        done(state.commit_poll(commit(*more, uri=url, at=now_ms, revision=revision)))
    state.close()
    return path


def resident_mb(config: str) -> float:
    """Return the daemon's resident memory after some polls, in MB."""
    process = subprocess.Popen([*BRIDGE, "run", "--config", config], stderr=subprocess.DEVNULL)
    time.sleep(8 if SHORT else 20)
    status = Path(f"/proc/{process.pid}/status").read_text()
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        server = MlflowServer(Path(folder) / "mlflow").start()
        try:
            measure(Path(folder), server.url)
        finally:
            server.stop()


def measure(folder: Path, url: str) -> None:
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a first run compiles, as an installation does
    small = configuration(folder / "small", url)
    states = {count: snapshot(folder / str(count), url, count // 10) for count in (1_000, 100_000)}
    waiting = snapshot(folder / "waiting", url, 10_000, waiting=WAITING)
    commands = {
        "once": [*BRIDGE, "once", "--config", small],
        "bare": [PYTHON, "-c", BARE.format(url=url)],
        "version": [*BRIDGE, "--version"],
        "check": [*BRIDGE, "check", "--config", small],
        "status": [*BRIDGE, "status", "--config", states[1_000]],
        "events": [*BRIDGE, "events", "list", "--config", states[1_000]],
        "then": [*BRIDGE, "events", "list", "--model", "model-7", "--at", "1h", "--config", states[1_000]],
        "sinks": [*BRIDGE, "sinks", "list", "--config", states[1_000]],
        "status-large": [*BRIDGE, "status", "--config", states[100_000]],
        **{
            f"{name} list": [*BRIDGE, name, "list", "--config", waiting]
            for name in ("events", "outbox", "sinks")
        },
        "status-waiting": [*BRIDGE, "status", "--config", waiting],
    }
    took = interleaved(commands, RUNS)
    table(
        [
            ("commands", "figure", "to reach"),
            ("mlflow-bridge --version", f"{took['version']:.2f} s", "<= 0.3 s"),
            ("check", f"{took['check']:.2f} s", "<= 0.3 s"),
            ("status at 1,000 versions", f"{took['status']:.2f} s", "<= 0.3 s"),
            ("events list, 1,000 events", f"{took['events']:.2f} s", "<= 0.3 s"),
            ("events list --at, 1,000 versions", f"{took['then']:.2f} s", "<= 0.3 s"),
            ("sinks list", f"{took['sinks']:.2f} s", "<= 0.3 s"),
            ("status at 100,000 versions", f"{took['status-large']:.2f} s", "<= 1.5 s"),
            (f"status, and {WAITING:,} waiting entries", f"{took['status-waiting']:.2f} s", "<= 0.5 s"),
            *(
                (f"{name} list, then", f"{took[f'{name} list']:.2f} s", "<= 0.5 s")
                for name in ("events", "outbox", "sinks")
            ),
            ("bare MlflowClient, one search", f"{took['bare']:.2f} s", ""),
            ("once, nothing to do", f"{took['once']:.2f} s", ""),
            ("ratio", f"{took['once'] / took['bare']:.2f}", "<= 1.25"),
            (f"daemon, resident ({KIND})", f"{resident_mb(small):.0f} MB", TARGET_MB),
        ]
    )


main()
