"""What the relay delivers, beside a bare httpx loop and MLflow's own webhooks.

    python benchmarks/relay.py [--short]

Each way to deliver is a process of its own, before one receiver, and all take turns: the ratios
are of one run. The relay works over a state on the disk that `TMPDIR` is on, with every flush; the
loop keeps nothing. `--short` shows that all of it works. In full, some five minutes.
"""

import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import backlog
from measure import table
from outbox import HOSTS, configuration
from workers import SKINNY, Worker, worker

SHORT = "--short" in sys.argv
ROUNDS, EVENTS = (1, 100) if SHORT else (5, 1_000)
TRIALS = 20 if SHORT else 400
BURSTS = 1 if SHORT else 9
DRAINED = (100, 2) if SHORT else (1_000, 10)
BACKLOGS = (1_000,) if SHORT else (0, 100_000)
SENDERS = {"relay": "relay", "bare": "bare httpx", "mlflow": "MLflow's webhooks"}
THROUGHPUTS = {1: "one sink, 16 at a time", 4: "four sinks, 64 at a time"}
Row = tuple[str, str, str]


class Field:
    """The receiver and the senders."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._receiver = stack.enter_context(worker("receiver", str(HOSTS), (), "receiver.py"))
        place = f"{folder}:{self._receiver.say('port')['port']}"
        self._senders: dict[str, Worker] = {
            role: stack.enter_context(worker(role, place, (), "senders.py", _python(role)))
            for role in SENDERS
        }

    def send(self, role: str, work: str, sinks: int, number: int, came: int) -> dict[str, Any]:
        """Have ``role`` do it, and see that as many requests came as there should."""
        sample = self._senders[role].say(f"{work} {sinks} {number}")
        expected = came + sample.get("warm", 0)
        arrivals = self._receiver.say(f"take {expected}")["arrivals"]
        if len(arrivals) != expected:
            raise SystemExit(f"{SENDERS[role]}: {len(arrivals)} of {expected} requests came")
        return {**sample, "arrivals": arrivals}


def _python(role: str) -> str:
    """MLflow's webhooks need all of MLflow; the others run as they are installed."""
    return sys.executable if role == "mlflow" else backlog.PYTHON


@dataclass
class Measured:
    """Seconds, by sender and kind of work."""

    per_second: dict[tuple[str, int], list[float]] = field(default_factory=lambda: defaultdict(list))
    singles: dict[str, list[float]] = field(default_factory=dict)
    bursts: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


def throughput(ground: Field, measured: Measured) -> None:
    """Until the sender knows; but nothing tells MLflow's caller, so there the last arrival counts."""
    for done in range(ROUNDS):
        print(f"throughput, round {done + 1} of {ROUNDS}", file=sys.stderr)
        for sinks in THROUGHPUTS:
            for role in SENDERS:
                if role == "mlflow" and sinks > 1:
                    continue
                sample = ground.send(role, "throughput", sinks, EVENTS, EVENTS)
                took = sample.get("seconds", sample["arrivals"][-1] - sample["began"])
                measured.per_second[role, sinks].append(EVENTS / took)


def latency(ground: Field, measured: Measured) -> None:
    """From before the commit (or the call) to the arrival at the receiver."""
    for role in SENDERS:
        sample = ground.send(role, "single", HOSTS, TRIALS, TRIALS)
        pairs = zip(sample["began"], sample["arrivals"], strict=True)
        measured.singles[role] = sorted(arrived - began for began, arrived in pairs)
    for _ in range(BURSTS + 1):
        for role in ("relay", "bare"):
            sample = ground.send(role, "burst", HOSTS, 1, HOSTS)
            measured.bursts[role].append(sample["arrivals"][-1] - sample["began"])


def at_least(what: str, figure: float, limit: float) -> Row:
    return what, f"{figure:.2f}", f">= {limit:.2f}{_missed(figure < limit)}"


def at_most(what: str, figure: float, limit: float, form: str = "{:.2f}") -> Row:
    return what, form.format(figure), f"<= {form.format(limit)}{_missed(figure > limit)}"


def _missed(is_missed: bool) -> str:  # noqa: FBT001 - one bool is all there is
    return "   missed" if is_missed and not SHORT else ""


def throughput_rows(measured: Measured) -> list[Row]:
    rows: list[Row] = []
    medians = {key: statistics.median(taken) for key, taken in measured.per_second.items()}
    for sinks, how in THROUGHPUTS.items():
        rows += [
            (f"{SENDERS[role]}, {how}", f"{per_second:,.0f} /s", "")
            for (role, count), per_second in medians.items()
            if count == sinks
        ]
        # Turns of one round stand side by side: what slows one slows the other.
        both = zip(measured.per_second["relay", sinks], measured.per_second["bare", sinks], strict=True)
        ratio = statistics.median(relay / bare for relay, bare in both)
        rows.append(at_least(f"relay / bare httpx, {how}", ratio, 0.7))
    rows.append(("relay / MLflow's webhooks", f"{medians['relay', 1] / medians['mlflow', 1]:.2f}", ""))
    return rows


def latency_rows(measured: Measured) -> list[Row]:
    rows: list[Row] = []
    for role, name in SENDERS.items():
        taken = measured.singles[role]
        middle, high = (taken[int(len(taken) * share)] * 1e3 for share in (0.5, 0.99))
        what = f"{name}: one event, one of {HOSTS} sinks" if role != "mlflow" else f"{name}: one event"
        rows.append((f"{what}, median", f"{middle:.1f} ms", ""))
        rows.append(
            at_most(f"{what}, p99", high, 100, "{:.1f} ms")
            if role == "relay"
            else (f"{what}, p99", f"{high:.1f} ms", "")
        )
    relay, bare = (measured.bursts[role][1:] for role in ("relay", "bare"))
    ratio = statistics.median(one / other for one, other in zip(relay, bare, strict=True))
    rows += [
        (f"relay: all of {HOSTS} sinks, cold", f"{statistics.median(relay) * 1e3:.0f} ms", ""),
        (f"bare httpx: {HOSTS} requests, cold", f"{statistics.median(bare) * 1e3:.0f} ms", ""),
        at_most("relay / bare httpx, cold burst", ratio, 1.5),
    ]
    return rows


def drain_rows(ground: Field) -> list[Row]:
    """The process has delivered before: what it holds then is what it holds at rest."""
    sinks, each = DRAINED
    sample = ground.send("relay", "drain", sinks, each, sinks * each)
    what = f"{sinks:,} sinks, {each} events each"
    return [
        (f"{what}: drained in", f"{sample['seconds']:.1f} s", ""),
        (f"{what}: resident before", f"{sample['before']:.0f} MB", ""),
        (f"{what}: resident after", f"{sample['now']:.0f} MB", ""),
        at_most(f"{what}: peak / before", sample["peak"] / sample["before"], 1.15),
    ]


def backlog_rows(folder: Path) -> list[Row]:
    """Beside a daemon without a backlog, and a commit without one."""
    rows: list[Row] = []
    for number in BACKLOGS:
        print(f"a backlog of {number:,}", file=sys.stderr)
        config = configuration(folder / f"backlog-{number}", [backlog.DEAD])
        filled = backlog.asked("fill", config, number)
        held = backlog.daemon(config, 1 if SHORT else 20)
        times = backlog.asked("reopen", config, number)
        what = f"{number:,} waiting"
        form: list[tuple[str, float, Callable[[float], str]]] = [
            ("on disk", filled["disk"], "{:.1f} MB".format),
            ("daemon, resident", held["now"], "{:.0f} MB".format),
            ("daemon, peak", held["peak"], "{:.0f} MB".format),
            ("daemon, share of a core", held["share"] * 100, "{:.1f} %".format),
            ("daemon, from start to ready to deliver", held["started"], "{:.2f} s".format),
            ("opening the state", times["open"], "{:.3f} s".format),
            ("taking up the outbox", times["load"], "{:.3f} s".format),
            ("a commit, median", times["commit"] * 1e3, "{:.2f} ms".format),
            ("a commit, slowest of 50", times["slowest"] * 1e3, "{:.2f} ms".format),
            ("the first summary", times["summary"] * 1e3, "{:.0f} ms".format),
            ("a compaction", times["compaction"] * 1e3, "{:.0f} ms".format),
            ("a compaction, longest stall of the event loop", times["stall"] * 1e3, "{:.0f} ms".format),
        ]
        rows += [(f"{what}: {name}", show(figure), "") for name, figure, show in form]
    return rows


def report(title: str, rows: Sequence[Row]) -> None:
    print()
    table([(title, "figure", "to reach"), *rows])


def main() -> None:
    print(f"the bridge's processes use {'mlflow-skinny' if SKINNY else 'full MLflow, for the tests'}")
    measured = Measured()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        ground = Field(folder, stack)
        throughput(ground, measured)
        latency(ground, measured)
        report("throughput", throughput_rows(measured))
        report("latency", latency_rows(measured))
        report("drain", drain_rows(ground))
        report("a dead receiver", backlog_rows(folder))


main()
