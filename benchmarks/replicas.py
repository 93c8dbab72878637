"""How soon another bridge takes over, and what a large state in PostgreSQL costs.

    python benchmarks/replicas.py [--short]

Real daemons, a real `mlflow server`, a real PostgreSQL. A failover is the time from the fault to the arrival of a promotion that
was made right after it, with the default lease of 10 s.
"""

import argparse
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import outbox
from measure import table
from processes import memory_mb

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from mlflow import MlflowClient
from support.command import COMMAND, Bridge, http_sink
from support.done import done
from support.mlflow_server import MlflowServer
from support.postgresql import PostgreSql, postgresql
from support.receiver import Receiver
from support.replicas import Place, owner_of, places
from support.until import wait_until
from support.values import model

from bridge.config import routes_of
from bridge.delivery.event_routing import route
from bridge.events.event_synthesis import Identity
from bridge.store.poll_commit import PollCommit
from bridge.store.state_metadata import Head, PollRecord

LEASE_S = 10
_MODELS, _VERSIONS, _ENTRIES = 1_000, 100, 100_000
_AT_ONCE = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--short", action="store_true", help="fewer of everything, with a lease of 2 s")
    short = parser.parse_args().short
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name, postgresql() as cluster:
        cluster.create("states")
        server = MlflowServer(Path(name) / "mlflow").start()
        try:
            failovers(Path(name), server, cluster, short=short)
        finally:
            server.stop()
        large_state(Path(name) / "large", cluster, 10 if short else 1)


def failovers(folder: Path, server: MlflowServer, cluster: PostgreSql, *, short: bool) -> None:
    """Measure how long a promotion takes to arrive after the owner was killed, was stopped, and lost its database."""
    client, receiver = MlflowClient(server.url), Receiver()
    client.create_registered_model("promoted")
    client.create_model_version("promoted", "s3://b/x")
    lease_s = 2 if short else LEASE_S
    with places(folder, cluster, server.url, http_sink(receiver.url), count=3, lease_s=lease_s) as hosts:
        hosts[0].bridge.wait_for_log("baseline.taken")
        runs = _Runs(client, receiver, hosts)
        rows = [("failover", "p50", "p99")]
        for what, fault, times in (
            ("SIGKILL", lambda place: place.process.send_signal(signal.SIGKILL), 2 if short else 20),
            ("SIGSTOP", lambda place: place.process.send_signal(signal.SIGSTOP), 1 if short else 5),
            ("the database restarts", lambda _: cluster.restart(), 1 if short else 5),
        ):
            taken = [runs.once(fault) for _ in range(times)]
            rows.append(
                (f"{what}, {times} times", f"{statistics.median(taken):.1f} s", f"{max(taken):.1f} s")
            )
    receiver.stop()
    table(rows)


class _Runs:
    def __init__(self, client: MlflowClient, receiver: Receiver, hosts: Sequence[Place]) -> None:
        self._client, self._receiver, self._hosts = client, receiver, list(hosts)
        self._stages = 0

    def once(self, fault: Callable[[Place], None]) -> float:
        """Return the seconds from the fault to the arrival of a promotion that follows it."""
        place = owner_of(self._hosts)
        seen = len(self._receiver.got)
        began = time.monotonic()
        fault(place)
        self._stages += 1
        stage = ("Staging", "Production")[self._stages % 2]
        self._client.transition_model_version_stage("promoted", "1", stage)
        wait_until(lambda: len(self._receiver.got) > seen)
        took = time.monotonic() - began
        place.process.send_signal(signal.SIGCONT)
        if place.process.poll() is not None:
            place.restart()
        time.sleep(2)  # until all of them stand by again
        return took


def large_state(folder: Path, cluster: PostgreSql, divided_by: int) -> None:
    """Measure a state of 100,000 versions and 100,000 entries that wait: copied, taken over, and standing by."""
    bridge = Bridge(folder, outbox.REGISTRY)
    sink = http_sink("http://127.0.0.1:9")
    bridge.write(outbox.REGISTRY, sink)
    _fill(bridge, divided_by)
    there = cluster.state_url("states")
    bridge.write(outbox.REGISTRY, sink, state='schema = "large"')
    began = time.monotonic()
    copied = bridge.run("state", "copy", f"tinydb:{folder}/state", there, timeout=300)
    copy_s = time.monotonic() - began
    assert copied.returncode == 0, copied.stderr
    bridge.write(outbox.REGISTRY, sink, state=f'url = "{there}"\nschema = "large"\nlease = "2s"')
    first, second = _started(bridge), None
    try:
        bridge.wait_for_log("daemon.started")
        second = _started(bridge)
        bridge.wait_for_log("replica.stands_by")
        time.sleep(3)
        held = {"the owner": memory_mb(first.pid)["now"], "a standby": memory_mb(second.pid)["now"]}
        began = time.monotonic()
        first.send_signal(signal.SIGTERM)
        bridge.wait_for_log("replica.owns", 2)
        owns_s = time.monotonic() - began
        bridge.wait_for_log("daemon.started", 2)
        works_s = time.monotonic() - began
        began = time.monotonic()
        assert bridge.run("status").returncode == 0
        status_s = time.monotonic() - began
    finally:
        for process in (first, second):
            if process is not None:
                process.kill()
                process.wait()
    versions, entries = _MODELS * _VERSIONS // divided_by, _ENTRIES // divided_by
    table(
        [
            (f"{versions:,} versions, {entries:,} entries", "figure"),
            ("state copy, from a folder", f"{copy_s:.1f} s"),
            ("takeover: owns the state", f"{owns_s:.1f} s"),
            ("takeover: loaded, and at work", f"{works_s:.1f} s"),
            ("status", f"{status_s:.1f} s"),
            *((f"memory of {who}", f"{held[who]:.0f} MB") for who in held),
        ]
    )


def _started(bridge: Bridge) -> "subprocess.Popen[bytes]":
    """Start a daemon of its own: one that was forked would have the memory of its parent."""
    with (bridge.folder / "log").open("ab") as log:
        command = [*COMMAND, "--log-format", "json", "run", "--config", str(bridge.config)]
        return subprocess.Popen(command, stdout=log, stderr=log, env=bridge.environment, cwd=bridge.folder)


def _fill(bridge: Bridge, divided_by: int) -> None:
    now_ms = time.time_ns() // 1_000_000
    names = [f"model-{n}" for n in range(_MODELS // divided_by)]
    with outbox.opened(bridge.config) as (settings, state):
        models = {name: (model(name, versions=_VERSIONS), Identity(name, 0)) for name in names}
        head = Head(outbox.STATE_ID, now_ms, outbox.REGISTRY)
        done(
            state.commit_poll(PollCommit(head, PollRecord(now_ms, "ok", now_ms), (), models, (), (), now_ms))
        )
        for start in range(0, _ENTRIES // divided_by, _AT_ONCE):
            some = [names[n % len(names)] for n in range(start, start + _AT_ONCE)]
            observed = outbox.events(_AT_ONCE, some)
            record = PollRecord(now_ms, "ok", now_ms, events=len(observed))
            routed = route(observed, routes_of(settings))
            done(state.commit_poll(PollCommit(state.head, record, (), {}, observed, routed, now_ms)))


if __name__ == "__main__":
    main()
