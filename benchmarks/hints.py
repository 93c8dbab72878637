"""How soon a change in MLflow arrives at a receiver, with the plug-in in MLflow's server.

    python benchmarks/hints.py [--short] [--versions 100000] [--changes 200]

A real `mlflow server` with the plug-in, the real daemon, a receiver. Changes of random models come one after the other, not
more often than hints may have the registry read. The latency is from MLflow's answer to the receiver's socket. Beside it:
what a transition costs MLflow itself with and without the plug-in (a bridge polls either server), and the loop that people
write, which lists every version.
"""

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from measure import table
from workers import Worker, worker

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from mlflow import MlflowClient
from registries import Rows, Sqlite
from support.command import Bridge
from support.governed import Governed
from support.mlflow_server import MlflowServer
from support.plugged_server import PluggedServer

INTERVAL_S = 5.0
SPACING_S = INTERVAL_S / 10
NAIVE_CHANGES = 1
HOSTS = 1
SINK = """[[sinks]]
name = "ci"
type = "http"
url = "{url}"
signature = "none"
events = ["MODEL_VERSION_TRANSITIONED_STAGE", "MODEL_VERSION_ALIAS_SET", "MODEL_VERSION_TAG_SET"]
models = ["*-*"]
"""
TO_REACH = {"median": 0.150, "p99": 1.0, "cost": 1.05}


class Changes:
    """Changes of random models."""

    def __init__(self, url: str, names: list[str]) -> None:
        self._client = MlflowClient(url)
        self._names = names
        self._chance = random.Random(1)
        self._count = 0
        self._stages: dict[str, str] = {}

    def transition(self) -> None:
        """Move a version that is in no stage at first; one that is moved again goes on to another stage."""
        name = self._chance.choice(self._names)
        stage = self._stages[name] = "Staging" if self._stages.get(name) == "Archived" else "Archived"
        self._client.transition_model_version_stage(name, "1", stage)

    def alias(self) -> None:
        self._count += 1
        self._client.set_registered_model_alias(self._chance.choice(self._names), f"a{self._count}", "3")

    def tag(self) -> None:
        self._count += 1
        self._client.set_model_version_tag(self._chance.choice(self._names), "4", f"k{self._count}", "v")


def latencies(change: Callable[[], None], receiver: Worker, count: int) -> list[float]:
    """Return the seconds from each answer of MLflow to the arrival."""
    found = []
    for _ in range(count):
        began = time.monotonic()
        change()
        answered = time.monotonic()
        (came,) = receiver.say("take 1")["arrivals"]
        found.append(came - answered)
        time.sleep(max(0.0, SPACING_S - (time.monotonic() - began)))
    return found


def naive_latencies(client: MlflowClient, changes: Changes, count: int) -> list[float]:
    """Return the same for a loop that lists every version, which begins right after the change at best."""
    found = []
    for _ in range(count):
        changes.transition()
        answered, token = time.monotonic(), None
        while True:
            page = client.search_model_versions(max_results=1_000, page_token=token)
            token = page.token
            if not token:
                break
        found.append(time.monotonic() - answered)
    return found


def costs(plugged: Changes, plain: Changes, count: int) -> tuple[float, float]:
    """Return the median seconds of a transition with the plug-in and without, which take turns."""
    taken: dict[Changes, list[float]] = {plugged: [], plain: []}
    for _ in range(count):
        for changes in random.sample([plugged, plain], 2):  # who comes second finds the machine awake
            began = time.perf_counter()
            changes.transition()
            taken[changes].append(time.perf_counter() - began)
            time.sleep(0.3)  # the bridge has read by then: what is measured is MLflow's answer alone
    return statistics.median(taken[plugged]), statistics.median(taken[plain])


def baseline_taken(bridge: Bridge) -> None:
    """Wait for a bridge's first scan."""
    print("the baseline is taken ...", file=sys.stderr, flush=True)
    while not any(line["event"] == "baseline.taken" for line in bridge.log):
        time.sleep(0.5)


def measured(options: argparse.Namespace, folder: Path, stack: ExitStack) -> list[tuple[str, str, str]]:
    backend = Sqlite(folder)
    MlflowServer(folder / "schema", "--backend-store-uri", backend.uri("schema")).start().stop()
    rows = Rows(options.versions)
    for name in ("plugged", "plain"):
        backend.fill(name, rows)
    names = [str(row[0]) for row in rows.tables["registered_models"]]
    plugged = stack.enter_context(
        PluggedServer(folder / "a", "--backend-store-uri", backend.uri("plugged")).running()
    )
    plain = MlflowServer(folder / "b", "--backend-store-uri", backend.uri("plain")).start()
    stack.callback(plain.stop)
    receiver = stack.enter_context(worker("receiver", str(HOSTS), (), "receiver.py"))
    sink = SINK.format(url=f"http://127.0.0.1:{receiver.say('port')['port']}/hook")
    governed = plugged.governed(folder / "bridge", sink, poll=f"{INTERVAL_S:g}s", more="")
    changes = Changes(plugged.url, names)
    found: list[tuple[str, str, str]] = []
    with governed.bridge.running():
        baseline_taken(governed.bridge)
        time.sleep(0 if options.short else 2 * INTERVAL_S)
        for kind in ("transition", "alias", "tag"):
            print(f"{options.changes} changes: {kind}", file=sys.stderr, flush=True)
            taken = latencies(getattr(changes, kind), receiver, options.changes)
            middle, high = statistics.median(taken), statistics.quantiles(taken, n=100)[98]
            found += [
                (
                    f"{kind}: MLflow's answer to the receiver, median",
                    f"{middle * 1e3:.0f} ms",
                    missed(middle, "median"),
                ),
                (f"{kind}: p99", f"{high * 1e3:.0f} ms", missed(high, "p99")),
            ]
        beside = Governed(folder / "beside", plain.url, sink, poll=f"{INTERVAL_S:g}s", more="")
        with beside.bridge.running():
            baseline_taken(beside.bridge)
            own, without = costs(changes, Changes(plain.url, names), options.changes)
    naive = naive_latencies(MlflowClient(plain.url), Changes(plain.url, names), NAIVE_CHANGES)
    ratio = own / without
    return [
        *found,
        ("a transition in MLflow without the plug-in, median", f"{without * 1e3:.1f} ms", ""),
        ("with the plug-in / without", f"{ratio:.2f}", missed(ratio, "cost")),
        ("a loop that lists every version, best case", f"{statistics.median(naive):.2f} s", ""),
    ]


def missed(value: float, what: str) -> str:
    limit = TO_REACH[what]
    told = f"<= {limit:.2f}" if what == "cost" else f"<= {limit * 1e3:.0f} ms"
    return told if value <= limit or "--short" in sys.argv else f"{told}   missed"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--versions", type=int, default=0)
    parser.add_argument("--changes", type=int, default=0)
    options = parser.parse_args()
    options.versions = options.versions or (1_000 if options.short else 100_000)
    options.changes = options.changes or (5 if options.short else 200)
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        figures = measured(options, Path(name), stack)
    table([(f"hints, {options.versions:,} versions", "figure", "to reach"), *figures])


main()
