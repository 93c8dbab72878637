"""A storm over bridges that share a state: the owner is killed, stopped, cut off, and the database with it."""

import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from bridge.config import StateSettings
from bridge.store.document_state import DocumentState
from bridge.store.postgresql.shared_state import StateDatabase
from support.chaos.churn import Churn
from support.chaos.daemon import LAUNCHER, instant_of
from support.chaos.judge import (
    Due,
    Noted,
    Request,
    altered,
    first_takes,
    forged,
    forgotten,
    lost,
    out_of_order,
)
from support.chaos.sinks import BY_PROXY, SECRET, SINKS, Receivers
from support.command import Bridge
from support.database_wire import DatabaseWire, Trap
from support.fidelity import Delivered, Models, replay
from support.forward_proxy import ForwardProxy
from support.history import History
from support.mlflow_server import MlflowServer
from support.patience import patience
from support.postgresql import PostgreSql
from support.receiver import lasting_port
from support.trial import read_registry

_POLL = 'interval = "300ms"\ndeadline = "15s"\nreconcile_interval = "5s"\nreconcile_share = 1.0\nmax_events = 1000000\nmax_vanished = 1.0'
_DELIVERY = '[delivery]\nfirst_retry = "50ms"\nlongest_retry = "1s"\ntimeout = "1s"\n'
LEASE_S = 2.0
_TICK_S = 0.02
_LATE_S = 3.0
"""For how long after a process that stood still goes on its repeats may be late, as the guarantees say."""

POINTS = [
    (kind, how)
    for kind in ("events", "models", "outbox", "meta", "scan", "sinks")
    for how in ("before", "after")
]
"""The commit points: the kind of documents that a commit writes, and before or after the database has it."""


@dataclass
class Host:
    """A bridge on a machine of its own, with its own way to the database."""

    bridge: Bridge
    wire: DatabaseWire
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    @property
    def is_owner(self) -> bool:
        told = [line["event"] for line in self.bridge.log if line["event"] in _CHANGES]
        return self.is_running and bool(told) and told[-1] == "replica.owns"

    def send(self, number: int) -> None:
        self.process.send_signal(number)


_CHANGES = {"replica.owns", "replica.lost", "replica.stands_by", "daemon.stopped", "chaos.started"}


@dataclass(frozen=True)
class ReplicaVerdict:
    """What the storm came to: figures, and what is wrong, under what it is a case of."""

    faults: Mapping[str, Sequence[str]]
    fates: Counter[str]
    points: Counter[tuple[str, str]]
    events: int
    requests: Sequence[Request]
    late: int
    takeovers: Sequence[float]
    seconds: float
    mutations: int

    @property
    def all_faults(self) -> list[str]:
        return [f"{kind}: {fault}" for kind, faults in self.faults.items() for fault in faults]


class ReplicaStorm:
    """Three bridges, their database, their registry and their receivers, under the faults of a seed."""

    def __init__(
        self, folder: Path, server: MlflowServer, cluster: PostgreSql, seed: int, hosts: int = 3
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._cluster = cluster
        self._chance = random.Random(f"replicas {seed}")  # noqa: S311
        self.receivers = Receivers(folder, seed)
        self.proxy = ForwardProxy(port=lasting_port())
        schema = f"s{uuid.uuid4().hex[:12]}"
        self.state = StateSettings.model_validate({"url": cluster.state_url("states"), "schema": schema})
        self.hosts = [self._host(folder / f"host-{n}", server.url, schema) for n in range(hosts)]
        self.fates: Counter[str] = Counter()
        self.points: Counter[tuple[str, str]] = Counter()
        self.faults: list[str] = []
        self.takeovers: list[float] = []
        self.resumed: list[float] = []
        self._point = cycle(POINTS)
        self._ways: Iterator[Callable[[Host], None]] = cycle(
            (
                self._kill,
                self._kill_at_commit,
                self._stop,
                self._kill_at_commit,
                self._cut_off,
                self._break_off,
                self._lose_answer,
                self._restart_database,
                self._kill_at_commit,
                self._crash_database,
            )
        )

    def _host(self, folder: Path, registry: str, schema: str) -> Host:
        wire = DatabaseWire(self._cluster.folder)
        bridge = Bridge(folder, registry)
        url = self._cluster.state_url("states", str(wire.folder))
        state = f'url = "{url}"\nschema = "{schema}"\nlease = "{LEASE_S:g}s"'
        bridge.write(registry, *self.receivers.sections(), poll=_POLL, more=_DELIVERY, state=state)
        direct = [place for name, place in self.receivers.places().items() if name != BY_PROXY]
        exempt = ",".join([registry.partition("//")[2], *direct])
        bridge.environment |= {"STORM_SECRET": SECRET, "http_proxy": self.proxy.url, "no_proxy": exempt}
        return Host(bridge, wire)

    def begin(self) -> None:
        """Take the baseline, in peace; then start all bridges."""
        taken = self.hosts[0].bridge.run("once", timeout=patience())
        assert taken.returncode == 0, taken.stderr
        for host in self.hosts:
            self._start(host)

    def rage(self, faults: int, seconds: float) -> None:
        """Let so many faults happen, one after the other, or until the time is over."""
        end = time.monotonic() + seconds
        while sum(self.fates.values()) < faults and time.monotonic() < end and not self.faults:
            owner = self._owner()
            if owner is None:
                return
            time.sleep(self._chance.uniform(0.2, 1.5))
            next(self._ways)(owner)
            for host in self.hosts:
                if not host.is_running:
                    self._start(host)

    def calm(self) -> None:
        """Cure everything, and have the owner deliver what is left."""
        for host in self.hosts:
            host.wire.mend()
        self.receivers.cure()
        if self._owner() is None:
            return
        scanned = self.hosts[0].bridge.run("once", "--full", timeout=patience())
        if scanned.returncode not in {0, 74}:
            self.faults.append(f"the last scan exited {scanned.returncode}: {scanned.stderr[-500:]}")
        self._wait(
            lambda: not any(one["pending"] for one in self.hosts[1].bridge.status()["sinks"]),
            "the outbox is not empty",
        )
        for host in self.hosts:
            host.send(signal.SIGTERM)
            status = host.process.wait(patience())
            if status != 0:
                self.faults.append(f"{host.bridge.folder.name} was told to stop, and exited {status}")

    def stop(self) -> None:
        for host in self.hosts:
            if host.process is not None and host.is_running:
                host.send(signal.SIGCONT)
                host.process.kill()
                host.process.wait()
            host.wire.stop()
        self.receivers.stop()
        self.proxy.stop()

    def _start(self, host: Host) -> None:
        with (host.bridge.folder / "log").open("a") as log:
            log.write('\n{"event": "chaos.started"}\n')
        with (host.bridge.folder / "log").open("ab") as log:
            host.process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    LAUNCHER,
                    "--log-format",
                    "json",
                    "run",
                    "--config",
                    host.bridge.config,
                ],
                stdout=subprocess.DEVNULL,
                stderr=log,
                env={**host.bridge.environment, "FAULTS": "{}"},
                cwd=host.bridge.folder,
            )

    def _owner(self) -> Host | None:
        """Wait for an owner that polls; return it, or None where nobody works."""
        began = time.time()

        def at_work() -> Host | None:
            for host in self.hosts:
                if host.is_owner and any(
                    line["event"] in {"poll.committed", "delivery.delivered"} and instant_of(line) > began
                    for line in host.bridge.log[-200:]
                    if "timestamp" in line
                ):
                    return host
            return None

        found: list[Host] = []
        self._wait(lambda: found.append(one) or True if (one := at_work()) else False, "nobody works")
        return found[0] if found else None

    def _wait(self, holds: Callable[[], bool], otherwise: str) -> None:
        end = time.monotonic() + patience()
        while not holds():
            if time.monotonic() > end:
                self.faults.append(otherwise)
                return
            time.sleep(0.1)

    def _gone(self, host: Host) -> None:
        """Wait for another owner, and note how long that took."""
        began = time.monotonic()
        self._wait(lambda: any(one.is_owner for one in self.hosts if one is not host), "nobody took over")
        self.takeovers.append(time.monotonic() - began)

    def _kill(self, owner: Host) -> None:
        owner.send(signal.SIGKILL)
        owner.process.wait()
        self.fates["killed"] += 1
        self._gone(owner)

    def _kill_at_commit(self, owner: Host) -> None:
        kind, how = next(self._point)
        trap = Trap(kind, how, lambda: owner.send(signal.SIGKILL))
        owner.wire.set_trap(trap)
        end = time.monotonic() + 4 * LEASE_S
        while not trap.is_sprung and time.monotonic() < end:
            time.sleep(_TICK_S)
        owner.wire.set_trap(None)
        if trap.is_sprung:
            self.points[kind, how] += 1
        else:  # a commit point that was not reached is a kill like any other
            owner.send(signal.SIGKILL)
        owner.process.wait()
        self.fates["killed at a commit" if trap.is_sprung else "killed"] += 1
        self._gone(owner)

    def _stop(self, owner: Host) -> None:
        owner.send(signal.SIGSTOP)
        self._gone(owner)
        time.sleep(self._chance.uniform(0, 2 * LEASE_S))
        owner.send(signal.SIGCONT)
        self.resumed.append(time.time())
        self.fates["stopped beyond the lease"] += 1
        self._wait(lambda: not owner.is_owner, "one that was stopped believes to own the state")

    def _cut_off(self, owner: Host) -> None:
        owner.wire.hang()
        self._gone(owner)
        time.sleep(self._chance.uniform(0, LEASE_S))
        owner.wire.mend()
        self.fates["cut off from the database"] += 1
        self._wait(lambda: not owner.is_owner, "one that was cut off believes to own the state")

    def _break_off(self, owner: Host) -> None:
        owner.wire.cut()
        self.fates["connections broken"] += 1

    def _lose_answer(self, owner: Host) -> None:
        owner.wire.lose_answer_to("swap AS")
        self._wait(owner.wire.has_lost.is_set, "no commit was made")
        self.fates["an answer lost after a commit"] += 1

    def _restart_database(self, _owner: Host) -> None:
        self._cluster.restart(down_s=self._chance.uniform(0, 2 * LEASE_S))
        self.fates["database restarted"] += 1

    def _crash_database(self, _owner: Host) -> None:
        self._cluster.restart(crash=True, down_s=self._chance.uniform(0, 2 * LEASE_S))
        self.fates["database crashed"] += 1


def replica_trial(
    folder: Path,
    server: MlflowServer,
    cluster: PostgreSql,
    seed: int,
    churn: Churn,
    faults: int,
    seconds: float,
) -> ReplicaVerdict:
    """Let a storm rage over bridges that share a state, while ``churn`` changes the registry; then judge."""
    churn.prepare()
    storm = ReplicaStorm(folder, server, cluster, seed)
    began = time.monotonic()
    try:
        storm.begin()
        baseline = read_registry(server.url)
        churn.start()
        storm.rage(faults, seconds)
        churn.stop()
        storm.calm()
    finally:
        churn.stop()
        storm.stop()
    return _judged(storm, churn, baseline, read_registry(server.url), time.monotonic() - began)


def _judged(
    storm: ReplicaStorm, churn: Churn, baseline: Models, final: Models, seconds: float
) -> ReplicaVerdict:
    state = DocumentState(StateDatabase(storm.state).documents())
    events = {event.id: event for event in state.events()}
    due = [Due(entry.sink, entry.event_id, entry.lane, entry.id) for entry in state.entries()]
    requests = storm.receivers.requests()
    noted = [
        Noted(line["sink"], line["event_id"], instant_of(line))
        for host in storm.hosts
        for line in host.bridge.log
        if line["event"] == "delivery.delivered"
    ]
    wanted = [(sink.name, key) for key, event in events.items() for sink in SINKS if sink.wants(event)]
    late = late_repeats(requests, due)
    excused = [one for one in late if any(0 <= one.at - at < _LATE_S for at in storm.resumed)]
    faults = {
        "the storm": storm.faults,
        "lost": lost(requests, due, wanted),
        "out of order": out_of_order(requests, due),
        "altered": altered(requests, due),
        "forged": forged(requests, SECRET),
        "forgotten": forgotten(requests, noted),
        "late": [f"{one.sink}: {one.id} came again late" for one in late if one not in excused],
        "unlike the registry": _replayed(storm, events, requests, baseline, final, History(churn.effects)),
    }
    return ReplicaVerdict(
        faults,
        storm.fates,
        storm.points,
        len(events),
        requests,
        len(late),
        storm.takeovers,
        seconds,
        churn.mutations,
    )


def late_repeats(requests: Sequence[Request], due: Sequence[Due]) -> list[Request]:
    """Return the requests that came again after a later one of their lane was taken."""
    places = {(one.sink, one.id): one for one in due}
    newest: dict[tuple[str, str], int] = {}
    taken: set[tuple[str, str]] = set()
    found = []
    for request in requests:
        key = request.sink, request.id
        place = places.get(key)
        if place is None:
            continue
        lane = place.sink, place.lane
        if key in taken and place.number < newest.get(lane, 0):
            found.append(request)
        if request.taken:
            taken.add(key)
            newest[lane] = max(newest.get(lane, 0), place.number)
    return found


def _replayed(
    storm: ReplicaStorm,
    events: Mapping,
    requests: Sequence[Request],
    baseline: Models,
    final: Models,
    history: History,
) -> list[str]:
    copied = [
        Delivered(one.id, events[one.id].lane, one.body, one.at)
        for one in first_takes(requests, SINKS[0].name)
        if one.id in events
    ]
    return list(replay(baseline, copied, final, history.left_behind))
