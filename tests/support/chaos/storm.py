"""A storm: lives of the daemon one after the other, and what they came to."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from signal import SIGKILL, SIGTERM
from threading import Thread

from support.chaos import schedule
from support.chaos.churn import Churn
from support.chaos.daemon import Daemon, log_lines
from support.chaos.hints import HintLoss
from support.chaos.hooks import KEY, TOKEN, HookChurn
from support.chaos.schedule import Life, Outage
from support.chaos.sinks import BY_PROXY, RECEIVERS, SECRET, Receivers
from support.chaos.wire import Wire
from support.command import Bridge
from support.forward_proxy import ForwardProxy, Refusal
from support.governed import TOKENS
from support.mlflow_server import MlflowServer
from support.promotions import GATE, PromotionChurn, is_settled
from support.receiver import lasting_port

_POLL = """
interval = "{interval}"
deadline = "15s"
reconcile_interval = "5s"
reconcile_share = 1.0
max_events = 1000000
max_vanished = 1.0
"""
_DELIVERY = '[delivery]\nfirst_retry = "50ms"\nlongest_retry = "1s"\ntimeout = "1s"\n'
_START_S, _POLL_S, _TICK_S = 60.0, 10.0, 0.02
"""How long a start and a first poll are waited for, at most; how long the clock's ticks are."""
_UNWRITABLE = 73
_PROMOTION_PAUSE_S = 1.2


@dataclass(frozen=True)
class Measure:
    """How much of a storm it is to be: it ends with so many kills and events, or when its time is over.

    ``restarts`` says that the registry's server may be ended, too.
    """

    kills: int
    events: int
    seconds: float
    restarts: bool = False


class Storm:
    """The daemon, its registry behind a wire, and its receivers, under the faults of a seed."""

    def __init__(
        self,
        folder: Path,
        server: MlflowServer,
        seed: int,
        churn: Churn,
        *,
        restarts: bool,
        plug_in_port: int | None = None,
    ) -> None:
        """Prepare a storm; with the plug-in, the server expects the bridge at ``plug_in_port``, and polls are few."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._server = server
        self._churn = churn
        self._wire = Wire(server.port)
        self.receivers = Receivers(folder, seed)
        self.bridge = Bridge(folder, self._wire.url)
        self.hooks = HookChurn(seed, self.receivers.url_of_webhooks())
        self.promotions = PromotionChurn(server.url, seed, self.hooks.port, TOKEN, _PROMOTION_PAUSE_S)
        more = f"{_DELIVERY}{self.hooks.section()}{GATE}"
        poll = _POLL.format(interval="300ms" if plug_in_port is None else "3s")
        self.bridge.write(self._wire.url, *self.receivers.sections(), poll=poll, more=more)
        self.bridge.environment |= {
            "STORM_SECRET": SECRET,
            "STORM_TOKEN": TOKEN,
            "STORM_KEY": KEY,
            "STORM_PLUGIN_TOKEN": TOKENS["mlflow"],
        }
        self.hints = None if plug_in_port is None else HintLoss(plug_in_port, self.hooks.port, seed)
        self.proxy = ForwardProxy(port=lasting_port())
        direct = [place for name, place in self.receivers.places().items() if name != BY_PROXY]
        exempt = ",".join([f"127.0.0.1:{self._wire.port}", *direct])
        self.bridge.environment |= {"http_proxy": self.proxy.url, "no_proxy": exempt}
        self._lives = schedule.lives(seed, [sink.name for sink in RECEIVERS], restarts=restarts)
        self._orders = count()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._restart: Thread | None = None
        self.ends: Counter[str] = Counter()
        self.points: Counter[tuple[str, str]] = Counter()
        self.polls_killed = 0
        self.webhooks_killed = 0
        self.governance_killed = 0
        self.faults: list[str] = []
        self.recoveries: list[float] = []
        self.events = 0
        self.logs: list[Path] = []

    @property
    def kills(self) -> int:
        return sum(self.ends[kind] for kind in (schedule.RANDOM, schedule.COMMIT, schedule.DISK))

    def begin(self) -> None:
        """Take the baseline, in peace."""
        self.promotions.prepare()
        taken = self.bridge.run("once", timeout=120)
        assert taken.returncode == 0, taken.stderr

    def rage(self, measure: Measure) -> None:
        """Let lives begin and end for as long as ``measure`` says, or until one went wrong."""
        end = time.monotonic() + measure.seconds
        self._churn.start()
        self.hooks.start()
        self.promotions.start()
        while time.monotonic() < end and not self.faults:
            if self.kills >= measure.kills and self.events >= measure.events:
                break
            self._live(next(self._lives))
        self._churn.stop()
        self.hooks.stop()
        self.promotions.stop()
        self.faults += [*self.hooks.client.unexpected, *self.promotions.client.unexpected]

    def calm(self, seconds: float = 300) -> float:
        """Cure everything, and let a last life deliver what is left; return how long that took."""
        while self._due:
            heappop(self._due)
        if self._restart is not None:
            self._restart.join()
        self._wire.mend()
        self._mend_proxy()
        self.receivers.cure()
        began = time.monotonic()
        daemon = self._launch(Life(0, schedule.STOP, 0.0))
        try:
            self._pass(seconds, lambda: daemon.has_polled.is_set() or daemon.has_ended)
            for _ in range(
                2
            ):  # what is decided after the first scan is made, or undone, and told after the second
                self._scan(seconds)
                self._pass(seconds, self._is_empty)
            took = time.monotonic() - began
            self._check_stop(daemon)
        finally:
            daemon.end()
        return took

    def _scan(self, seconds: float) -> None:
        scanned = self.bridge.run("once", "--full", timeout=seconds)
        if scanned.returncode not in {0, 74}:  # 74: something still waits to be delivered
            self.faults.append(f"the last scan exited {scanned.returncode}: {scanned.stderr[-500:]}")

    def stop(self) -> None:
        self._churn.stop()
        self.hooks.stop()
        self.promotions.stop()
        if self._restart is not None:
            self._restart.join()
        self.receivers.stop()
        if self.hints is not None:
            self.hints.stop()
        self.proxy.stop()
        self._wire.stop()

    def _is_empty(self) -> bool:
        found = self.bridge.status()
        return is_settled(found) and not any(sink["pending"] for sink in found["sinks"])

    def _launch(self, life: Life) -> Daemon:
        self.logs.append(self.folder / f"life-{len(self.logs):04}.log")
        return Daemon(self.bridge, self.logs[-1], life.faults)

    def _live(self, life: Life) -> None:
        daemon = self._launch(life)
        for outage in life.outages:
            self._plan(outage)
        if life.is_up:
            self._pass(_POLL_S, lambda: daemon.has_polled.is_set() or daemon.has_ended)
        self._pass(life.lasts, lambda: daemon.has_ended)
        if life.kind == schedule.STOP:  # before that, a SIGTERM just ends it
            self._pass(_START_S, lambda: daemon.started_after is not None or daemon.has_ended)
        if daemon.has_ended:
            self._judge_end(life, daemon.wait())
        elif life.kind == schedule.STOP:
            self._check_stop(daemon)
        else:
            daemon.end(SIGKILL)
            # A commit point that was not reached is a kill like any other.
            self.ends[schedule.RANDOM if life.kind == schedule.COMMIT else life.kind] += 1
        if daemon.started_after is not None:
            self.recoveries.append(daemon.started_after)
        self.events += sum(line["event"] == "event.observed" for line in log_lines(self.logs[-1]))

    def _judge_end(self, life: Life, status: int) -> None:
        """Judge a life that ended by itself: at its commit point, or because it could not write."""
        last = log_lines(self.logs[-1])[-3:]
        if last and last[-1]["event"] == "chaos.killed":
            self.ends[schedule.COMMIT] += 1
            self.points[last[-1]["call"], last[-1]["how"]] += 1
            self.polls_killed += last[-1]["holding"] == schedule.POLL
            self.webhooks_killed += last[-1]["holding"] == schedule.WEBHOOKS
            self.governance_killed += last[-1]["holding"] in {schedule.REQUESTS, schedule.DIRECT}
        elif status == _UNWRITABLE and life.faults.keys() & {"full", "no_space", "flush_fails"}:
            self.ends["gave up on a full disk"] += 1
        else:
            self.faults.append(
                f"{self.logs[-1].name} ({life.kind}, {life.faults}) ended with {status}: {last}"
            )

    def _check_stop(self, daemon: Daemon) -> None:
        status = daemon.end(SIGTERM)
        self.ends[schedule.STOP] += 1
        if status != 0:
            self.faults.append(f"{self.logs[-1].name} was told to stop, and exited {status}")

    def _plan(self, outage: Outage) -> None:
        now = time.monotonic()
        begins, ends = self._outage(outage)
        heappush(self._due, (now + outage.after, next(self._orders), begins))
        heappush(self._due, (now + outage.after + outage.lasts, next(self._orders), ends))

    def _outage(self, outage: Outage) -> tuple[Callable[[], None], Callable[[], None]]:
        if outage.what == schedule.REGISTRY:
            return lambda: self._wire.fail(outage.way), self._wire.mend
        if outage.what == schedule.SERVER:
            return self._restart_server, lambda: None
        if outage.what == schedule.PROXY:
            return lambda: self._fail_proxy(outage.way), self._mend_proxy
        return (
            lambda: self.receivers.crash(outage.what),
            lambda: self.receivers.start(outage.what),
        )

    def _fail_proxy(self, way: str) -> None:
        self._mend_proxy()
        if way == "down":
            self.proxy.stop()
        elif way == "forbids":
            self.proxy.refusal = Refusal("400 Bad Request", {"X-Squid-Error": "ERR_ACCESS_DENIED 0"})
        else:
            self.proxy.login = "user:password"

    def _mend_proxy(self) -> None:
        """Have the proxy let everything through; those that fail at the same time are mended by the first."""
        self.proxy.stop()
        self.proxy.refusal, self.proxy.login = None, ""
        self.proxy.start()

    def _restart_server(self) -> None:
        """End the registry's server and start it again, which takes a while."""
        if self._restart is None or not self._restart.is_alive():
            self._restart = Thread(target=lambda: (self._server.stop(), self._server.start()), daemon=True)
            self._restart.start()

    def _pass(self, seconds: float, is_over: Callable[[], bool]) -> None:
        """Let time pass, and outages begin and end in it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not is_over():
            while self._due and self._due[0][0] <= time.monotonic():
                heappop(self._due)[2]()
            time.sleep(_TICK_S)
