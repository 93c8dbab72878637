"""What a poll costs beside what people do today, and what the daemon holds, at growing registries.

    python benchmarks/poll.py [--short] [--sizes 1000,10000,100000] [--repeat 30] [--postgresql]

Every reader is a process of its own, before a real server, and all take turns: the ratios are of
one run. `--short` shows that all of it works, on the smallest registry. At 100,000 versions, some
ten minutes; `--sizes 1000,100000` leaves out what no target speaks of.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path

from measure import table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from clusters import cluster
from registries import VERSIONS_A_MODEL, Backend, Served, Sqlite, served
from residence import Residence, configuration, copied, residence
from workers import SKINNY, Samples, Worker, worker

LARGEST = 100_000
"""The size whose targets are absolute; smaller registries only have to keep the ratios."""

SLOW_S = 1.0
"""A poll that takes longer is no fast read: it is repeated as often as a full scan."""


@dataclass(frozen=True)
class Options:
    sizes: Sequence[int]
    repeat: int
    scans: int
    short: bool
    postgresql: bool

    @classmethod
    def parsed(cls) -> "Options":
        parser = argparse.ArgumentParser(allow_abbrev=False)
        parser.add_argument("--short", action="store_true")
        parser.add_argument("--sizes", default="")
        parser.add_argument("--repeat", type=int, default=0)
        parser.add_argument("--postgresql", action="store_true")
        given = parser.parse_args()
        sizes = given.sizes or ("1000" if given.short else "1000,10000,100000")
        repeat = given.repeat or (3 if given.short else 30)
        ordered = sorted(int(size) for size in sizes.split(","))
        return cls(ordered, repeat, 1 if given.short else 3, given.short, given.postgresql)


class Readers:
    """The readers of one registry, each with what it knew before."""

    def __init__(self, registry: Served, folder: Path, stack: ExitStack) -> None:
        self.size = registry.versions
        self._registry = registry
        self._stack = stack
        config = configuration(folder / f"scan-{self.size}", registry.url, "10s")
        self.scan = self._start("bridge", str(config))
        self.baseline = self.scan.ask("full")
        # From here on, the idle poll's process has opened a state, and never made a full scan.
        self.poll = self._start("bridge", str(copied(config, folder / f"poll-{self.size}")))
        self.bare, self.naive, self.naive_max, self.writer = (
            self._start(role, registry.url) for role in ("bare", "naive", "naive-max", "writer")
        )
        self.first_poll = self.poll.ask()

    @property
    def by_role(self) -> dict[str, Worker]:
        """Which process stands behind which of `NAMES`."""
        return {
            "naive": self.naive,
            "naive-max": self.naive_max,
            "bare": self.bare,
            **dict.fromkeys(("idle", "transition", "after"), self.poll),
            **dict.fromkeys(("models", "scan"), self.scan),
        }

    def _start(self, role: str, place: str) -> Worker:
        return self._stack.enter_context(worker(role, place, self._registry.pids))


def measure(readers: Sequence[Readers], options: Options) -> Samples:
    """Take turns: light reads many times, then heavy ones once, and again; transitions at last."""
    samples = Samples()
    rounds = options.scans
    for done in range(rounds):
        print(f"round {done + 1} of {rounds}", file=sys.stderr)
        for number in range(max(1, options.repeat // rounds)):
            for one in readers:
                take_light(one, samples, is_first=number == 0)
        for one in readers:
            take_heavy(one, samples)
    print("transitions", file=sys.stderr)
    for number in range(options.repeat):
        for one in readers:
            if number < (options.scans if one.first_poll["seconds"] > SLOW_S else options.repeat):
                take_transition(one, samples)
    return samples


def take_light(one: Readers, samples: Samples, *, is_first: bool) -> None:
    models = one.size // VERSIONS_A_MODEL
    samples.add("bare", one.size, one.bare.ask(), min(20, models))
    if is_first or one.first_poll["seconds"] <= SLOW_S:
        samples.add("idle", one.size, one.poll.ask(), 0)


def take_heavy(one: Readers, samples: Samples) -> None:
    samples.add("naive", one.size, one.naive.ask(), one.size)
    samples.add("naive-max", one.size, one.naive_max.ask(), one.size)
    samples.add("models", one.size, one.scan.ask("models"), 0)
    samples.add("scan", one.size, one.scan.ask("full"), 0)


def take_transition(one: Readers, samples: Samples) -> None:
    """One transition is seen and committed; the poll after it finds no more, but looks again."""
    one.writer.ask()
    samples.add("transition", one.size, one.poll.ask(), 1)
    samples.add("after", one.size, one.poll.ask(), 0)


def report(readers: Sequence[Readers], samples: Samples) -> None:
    """Print what each reader cost, size by size."""
    for one in readers:
        held = {role: reader.memory() for role, reader in one.by_role.items()}
        rows: list[tuple[str, ...]] = [("wall", "server CPU", "client CPU", "received", "resident", "peak")]
        print(f"\n{one.size:,} versions (baseline {one.baseline['seconds']:.2f} s)")
        for role in NAMES:
            figures = [samples.median(role, one.size), samples.mean(role, one.size, "server_cpu")]
            figures.append(samples.median(role, one.size, "client_cpu"))
            times = [f"{figure * 1e3:,.0f} ms" for figure in figures]
            received = f"{samples.median(role, one.size, 'received') / 1e3:,.0f} kB"
            rows.append((*times, received, f"{held[role]['now']:.0f} MB", f"{held[role]['peak']:.0f} MB"))
        table([(head, *row) for head, row in zip(["reader", *NAMES.values()], rows, strict=True)])


NAMES = {
    "naive": "naive loop",
    "naive-max": "naive loop, one page",
    "bare": "bare request",
    "idle": "idle poll",
    "transition": "poll, one transition",
    "after": "poll right after it",
    "models": "model scan",
    "scan": "full scan",
}


@dataclass(frozen=True)
class Targets:
    """What is to be reached; a short run, or one with full MLflow, says it and judges nothing."""

    judges: bool

    def at_most(self, what: str, figure: float, limit: float, form: str = "{:.2f}") -> tuple[str, str, str]:
        missed = "   missed" if self.judges and figure > limit else ""
        return what, form.format(figure), f"<= {form.format(limit)}{missed}"

    def ratios(self, size: int, samples: Samples) -> list[tuple[str, str, str]]:
        bare, idle, transition, naive = (
            samples.median(role, size) for role in ("bare", "idle", "transition", "naive")
        )
        return [
            self.at_most(f"idle / bare, {size:,}", idle / bare, 1.25),
            self.at_most(f"transition / idle, {size:,}", transition / idle, 3),
            # Only there is what the naive loop reads large enough for it.
            self.at_most(f"idle / naive, {size:,}", idle / naive, 1 / 200, "{:.4f}")
            if size == LARGEST
            else (f"idle / naive, {size:,}", f"{idle / naive:.4f}", ""),
            *self.scans(size, samples),
        ]

    def scans(self, size: int, samples: Samples) -> list[tuple[str, str, str]]:
        """The scan that comes most often in a large registry, and the one that reads everything."""
        naive, naive_cpu = samples.median("naive", size), samples.mean("naive", size, "server_cpu")
        rows = []
        for role, limit in (("models", 0.6), ("scan", 1.0)):
            ratio = samples.median(role, size) / naive
            rows.append(self.at_most(f"{NAMES[role]} / naive, {size:,}", ratio, limit))
            cpu = samples.mean(role, size, "server_cpu") / naive_cpu
            rows.append(self.at_most(f"{NAMES[role]} / naive, server CPU, {size:,}", cpu, limit))
        return rows

    def growth(self, sizes: Sequence[int], samples: Samples) -> list[tuple[str, str, str]]:
        if len(sizes) == 1:
            return []
        first, last = (samples.median("idle", size) for size in (sizes[0], sizes[-1]))
        return [self.at_most(f"idle, {sizes[-1]:,} / {sizes[0]:,}", last / first, 1.5)]

    def holdings(self, size: int, held: Residence, scan: Worker) -> list[tuple[str, str, str]]:
        """Of a scan beside a known snapshot, the reader that scans tells; of the rest, the daemon."""
        figures = [
            ("daemon, after the baseline", held.after_baseline, 160),
            ("daemon, at rest", held.at_rest, 160),
            ("daemon, peak", held.peak, 200),
            ("daemon, on disk", held.disk, 30),
            ("repeated scan, peak", scan.memory()["peak"], 200),
        ]
        return [
            self.at_most(f"{what}, {size:,}", figure, limit, "{:.0f} MB") for what, figure, limit in figures
        ]


def run(options: Options, backend: Backend, folder: Path) -> None:
    with served(backend, options.sizes, folder) as registries, ExitStack() as stack:
        readers = [Readers(registry, folder, stack) for registry in registries.values()]
        samples = measure(readers, options)
        report(readers, samples)
        largest = registries[options.sizes[-1]]
        config = configuration(folder / "daemon", largest.url, "1s" if options.short else "10s")
        held = residence(config, wait_s=3 if options.short else 30)
        targets = Targets(judges=SKINNY and not options.short)
        rows = [row for size in options.sizes for row in targets.ratios(size, samples)]
        rows += targets.growth(options.sizes, samples)
        rows += targets.holdings(largest.versions, held, readers[-1].scan)
        print()
        table([("poll", "figure", "to reach"), *rows])


def main() -> None:
    options = Options.parsed()
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a first run compiles, as an installation does
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        backend: AbstractContextManager[Backend] = (
            cluster() if options.postgresql else nullcontext(Sqlite(folder))
        )
        with backend as opened:
            kind = "mlflow-skinny" if SKINNY else "full MLflow, for the tests"
            print(f"{'PostgreSQL' if options.postgresql else 'SQLite'}; the readers use {kind}")
            run(options, opened, folder)


main()
