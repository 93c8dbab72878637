"""Thousands of random mutations while the bridge polls: is what it delivers what happened?

    python benchmarks/fidelity.py [--mutations 3000] [--threads 4] [--seed 1] [--postgresql | --mariadb] [--plug-in]
        [--shared] [--large] [--keep FOLDER]

Before a real `mlflow server`, with the real daemon and a real receiver; exits 1 on any difference.
The seed fixes what each thread wishes to do, not how the threads meet.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from measure import table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.mariadb import mariadb
from support.mlflow_server import MlflowServer
from support.plugged_server import PluggedServer
from support.postgresql import postgresql
from support.trial import Verdict, trial
from support.workload import Workload

from bridge.config import StateSettings

_MOST_TOLD = 50
_NAMES = {None: "SQLite", postgresql: "PostgreSQL", mariadb: "MariaDB"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--mutations", type=int, default=3_000)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    backend = parser.add_mutually_exclusive_group()
    backend.add_argument("--postgresql", dest="cluster", action="store_const", const=postgresql)
    backend.add_argument("--mariadb", dest="cluster", action="store_const", const=mariadb)
    parser.add_argument("--plug-in", action="store_true", help="MLflow's server sends hints, and refuses")
    parser.add_argument("--shared", action="store_true", help="the state is in PostgreSQL, too")
    parser.add_argument("--large", action="store_true", help="full scans are rare: model scans find the rest")
    parser.add_argument("--keep", type=Path, help="a folder for the state, the log and all evidence")
    given = parser.parse_args()
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    # MariaDB refuses some of several writers, and MLflow's client would repeat that for minutes.
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "1"
    with (
        tempfile.TemporaryDirectory() as name,
        served(Path(name), given.cluster, has_plug_in=given.plug_in) as (url, port),
    ):
        workload = Workload(url, given.seed, given.mutations, given.threads)
        with shared_state(is_wanted=given.shared) as shared:
            share = 0.05 if given.large else 1.0
            verdict = trial(given.keep or Path(name) / "bridge", url, workload, port, shared, share)
    beside = " with the plug-in" if given.plug_in else ""
    beside += ", the state in PostgreSQL" if given.shared else ""
    beside += ", as a large registry" if given.large else ""
    print(f"{_NAMES[given.cluster]}{beside}, seed {given.seed}, {given.threads} threads")
    report(verdict)
    return 1 if verdict.faults else 0


@contextmanager
def served(folder: Path, cluster: Callable | None, *, has_plug_in: bool) -> Iterator[tuple[str, int | None]]:
    """Serve an empty registry for as long as the context lasts; yield its URL, and where it expects the bridge."""
    with ExitStack() as stack:
        arguments: list[str] = []
        if cluster is not None:
            databases = stack.enter_context(cluster())
            databases.create("registry")
            arguments = ["--backend-store-uri", databases.uri("registry")]
        if has_plug_in:
            plugged = stack.enter_context(PluggedServer(folder / "mlflow", *arguments).running())
            yield plugged.url, plugged.bridge_port
            return
        server = MlflowServer(folder / "mlflow", *arguments).start()
        stack.callback(server.stop)
        yield server.url, None


@contextmanager
def shared_state(*, is_wanted: bool) -> Iterator[StateSettings | None]:
    """Yield where the state is in a PostgreSQL of its own, for as long as the context lasts; or None."""
    if not is_wanted:
        yield None
        return
    with postgresql() as cluster:
        cluster.create("states")
        yield StateSettings(url=cluster.state_url("states"))


def report(verdict: Verdict) -> None:
    rows = [
        ("mutations that took effect", f"{verdict.mutations:,} in {verdict.seconds:.0f} s"),
        *((f"  {name}", f"{count:,}") for name, count in sorted(verdict.outcomes.items())),
        ("events", f"{sum(verdict.events.values()):,}"),
        *((f"  {name}", f"{count:,}") for name, count in sorted(verdict.events.items())),
        ("repeated deliveries", f"{verdict.repeats:,}"),
        *((f"{name} reads", f"{count:,}") for name, count in sorted(verdict.polls.items())),
        ("polls that failed", f"{verdict.failed_polls:,}"),
        ("differences", f"{len(verdict.faults):,}"),
    ]
    table([("fidelity", "figure"), *rows])
    for failure in verdict.unsure[:5]:
        print(f"unsure: {failure}")
    for fault in verdict.faults[:_MOST_TOLD]:
        print(f"DIFFERENT: {fault}")


sys.exit(main())
