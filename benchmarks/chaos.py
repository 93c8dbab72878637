"""A storm of kills, full disks, outages, proxies that come and go, misbehaving receivers: was anything lost?

    python benchmarks/chaos.py [--kills 300] [--events 20000] [--minutes 20] [--seed 1] [--plug-in | --replicas]
        [--keep FOLDER]

The real daemon, a real `mlflow server`, real receivers; exits 1 on any fault. The seed fixes how each
life of the daemon ends, what fails beside it, and how receivers answer; not how these meet.
"""

import argparse
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

from measure import table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.chaos.churn import Churn
from support.chaos.judge import repeats
from support.chaos.replica_storm import POINTS as REPLICA_POINTS
from support.chaos.replica_storm import replica_trial
from support.chaos.schedule import POINTS
from support.chaos.storm import Measure
from support.chaos.verdict import Verdict, trial
from support.mlflow_server import MlflowServer
from support.plugged_server import PluggedServer
from support.postgresql import postgresql

_MODELS, _MOST_TOLD = 12, 10


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--minutes", type=float, default=20, help="no life begins later than this")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=12, help="mutations a second, at most")
    parser.add_argument(
        "--keep", type=Path, help="a folder for the state, the logs and what the receivers got"
    )
    parser.add_argument(
        "--plug-in", action="store_true", help="MLflow's server sends hints, some of which get lost"
    )
    parser.add_argument(
        "--replicas", action="store_true", help="three bridges over one PostgreSQL; --kills counts faults"
    )
    given = parser.parse_args()
    # A server that is down for a while answers nothing: the next mutation comes soon enough.
    os.environ |= {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    }
    print(f"seed {given.seed}", flush=True)
    if given.replicas:
        return replicas(given)
    with tempfile.TemporaryDirectory() as name:
        plugged = PluggedServer(Path(name) / "mlflow") if given.plug_in else None
        server = (plugged.server if plugged else MlflowServer(Path(name) / "mlflow")).start()
        try:
            churn = Churn(server.url, given.seed, _MODELS, given.rate)
            measure = Measure(given.kills, given.events, given.minutes * 60, restarts=True)
            port = plugged.bridge_port if plugged else None
            verdict = trial(given.keep or Path(name) / "bridge", server, given.seed, churn, measure, port)
        finally:
            server.stop()
    report(verdict)
    return 1 if verdict.all_faults else 0


def replicas(given: argparse.Namespace) -> int:
    """Let a storm rage over three bridges that share a state."""
    with tempfile.TemporaryDirectory() as name, postgresql() as cluster:
        cluster.create("states")
        server = MlflowServer(Path(name) / "mlflow").start()
        try:
            churn = Churn(server.url, given.seed, _MODELS, given.rate)
            folder = given.keep or Path(name) / "bridges"
            verdict = replica_trial(
                folder, server, cluster, given.seed, churn, given.kills, given.minutes * 60
            )
        finally:
            server.stop()
    taken = sorted(verdict.takeovers)
    table(
        [
            ("chaos, three bridges", "figure"),
            ("faults", f"{sum(verdict.fates.values()):,} in {verdict.seconds:.0f} s"),
            *((f"  {fate}", f"{count:,}") for fate, count in sorted(verdict.fates.items())),
            ("commit points reached", f"{len(verdict.points)} of {len(REPLICA_POINTS)}"),
            *((f"  {how} {kind}", f"{count:,}") for (kind, how), count in sorted(verdict.points.items())),
            ("mutations that took effect", f"{verdict.mutations:,}"),
            ("events", f"{verdict.events:,}"),
            ("deliveries", f"{sum(one.taken for one in verdict.requests):,}"),
            ("  repeated, with the same id", f"{repeats(verdict.requests):,}"),
            ("  repeated late, after a stop", f"{verdict.late:,}"),
            ("takeover, median", f"{taken[len(taken) // 2]:.1f} s" if taken else "-"),
            ("takeover, slowest", f"{taken[-1]:.1f} s" if taken else "-"),
            *((kind, f"{len(faults):,}") for kind, faults in verdict.faults.items()),
        ]
    )
    for fault in verdict.all_faults[:_MOST_TOLD]:
        print(f"FAULT: {fault}")
    return 1 if verdict.all_faults else 0


def report(verdict: Verdict) -> None:
    storm, requests = verdict.storm, verdict.evidence.requests
    rows = [
        ("kills", f"{storm.kills:,} in {verdict.seconds:.0f} s"),
        *((f"  {name}", f"{count:,}") for name, count in sorted(storm.ends.items())),
        ("commit points reached", f"{sum(point in storm.points for point in POINTS)} of {len(POINTS)}"),
        *((f"  {how} {call}", f"{storm.points[call, how]:,}") for call, how in POINTS),
        ("  in the commit of a poll", f"{storm.polls_killed:,}"),
        ("  in that of a webhook", f"{storm.webhooks_killed:,}"),
        ("  in that of governance", f"{storm.governance_killed:,}"),
        ("webhooks created", f"{len(storm.hooks.told):,}"),
        ("  deleted", f"{sum(one.deleted is not None for one in storm.hooks.told.values()):,}"),
        ("  requests answered", f"{storm.hooks.client.answered:,}"),
        ("moves of governed versions", f"{storm.promotions.moves:,}"),
        *(
            (f"  requests {status}", f"{count:,}")
            for status, count in sorted(Counter(one.status.value for one in verdict.evidence.decided).items())
        ),
        *(
            (f"hints {fate}", f"{count:,}")
            for fate, count in (storm.hints.fates if storm.hints else {}).items()
        ),
        ("mutations that took effect", f"{verdict.mutations:,}"),
        ("events", f"{len(verdict.evidence.events):,}"),
        ("requests", f"{len(requests):,}"),
        *((f"  {name}", f"{count:,}") for name, count in sorted(verdict.answers.items())),
        ("  asked of the proxy, which comes and goes", f"{len(storm.proxy.asked):,}"),
        ("deliveries", f"{sum(one.taken for one in requests):,}"),
        ("  repeated, with the same id", f"{repeats(requests):,}"),
        ("slowest recovery: state open, outbox taken up", f"{max(storm.recoveries, default=0):.1f} s"),
        ("outbox empty after the storm", f"{verdict.last_recovery:.1f} s"),
        *((kind, f"{len(faults):,}") for kind, faults in verdict.faults.items()),
    ]
    table([("chaos", "figure"), *rows])
    for kind, faults in verdict.faults.items():
        for fault in faults[:_MOST_TOLD]:
            print(f"FAULT: {kind}: {fault}")


sys.exit(main())
