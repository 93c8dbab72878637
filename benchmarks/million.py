"""A registry of a million versions: the daemon takes its baseline with default settings, although it is stopped in the middle.

    python benchmarks/million.py [--short]

A registry of a tenth of the size stands beside it. Told are how long the baseline takes, what the daemon holds in memory
and on the disk, and the idle polls of both registries, which take turns. Some fifteen minutes on two cores.
"""

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from processes import memory_mb
from registries import Sqlite, served
from workers import PYTHON, worker

SHORT = "--short" in sys.argv
VERSIONS = 2_000 if SHORT else 1_000_000
VERSIONS_A_MODEL = 20
STOPPED_AFTER_S = 3 if SHORT else 100
POLLS = 3 if SHORT else 40
_REST_S = 2 if SHORT else 30
_PATIENCE_S = 3_600


class Daemon:
    """The daemon with default settings, in a folder of its own."""

    def __init__(self, folder: Path, url: str) -> None:
        folder.mkdir()
        self.config, self._log = folder / "config.toml", folder / "log"
        sink = '[[sinks]]\nname = "ci"\ntype = "http"\nurl = "http://127.0.0.1:9/hook"\n'
        self.config.write_text(f'[registry]\ntracking_uri = "{url}"\n{sink}')
        self.held = {"now": 0.0, "peak": 0.0}

    def start(self) -> None:
        with self._log.open("ab") as stream:
            command = [PYTHON, "-m", "bridge", "--log-format", "json", "run", "--config", str(self.config)]
            self._process = subprocess.Popen(command, stderr=stream)

    def stop(self) -> float:
        """Return how long it took to end, s."""
        began = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(120)
        return time.monotonic() - began

    def watch(self, seconds: float, until: str = "") -> None:
        """Note what it holds, for so many seconds, or until it has logged this."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if until and until in self._log.read_text():
                return
            if self._process.poll() is not None:
                raise SystemExit(f"the daemon has ended:\n{self._log.read_text()}")
            time.sleep(0.5)
            found = memory_mb(self._process.pid)
            self.held = {"now": found["now"], "peak": max(found["peak"], self.held["peak"])}
        if until:
            raise SystemExit(f"no {until} in {seconds} s:\n{self._log.read_text()}")

    @property
    def disk_mb(self) -> float:
        return sum(path.stat().st_size for path in (self.config.parent / "state").iterdir()) / 1e6


def idle_polls(configs: list[Path]) -> list[float]:
    """Return the median seconds of an idle poll of each; they take turns."""
    taken: list[list[float]] = [[] for _ in configs]
    with worker("bridge", str(configs[0]), ()) as first, worker("bridge", str(configs[1]), ()) as second:
        for number in range(POLLS + 1):
            for one, times in zip((first, second), taken, strict=True):
                seconds = one.ask()["seconds"]
                if number:  # the first one opens the connection
                    times.append(seconds)
    return [statistics.median(times) for times in taken]


def taken_up(folder: Path, url: str) -> Daemon:
    """Have the daemon take a baseline, undisturbed, and stop it."""
    daemon = Daemon(folder, url)
    daemon.start()
    try:
        daemon.watch(_PATIENCE_S, "baseline.taken")
    finally:
        daemon.stop()
    return daemon


def disturbed(daemon: Daemon) -> list[tuple[str, str, str]]:
    """Have the daemon take a baseline, with a stop in the middle; return what that took."""
    began = time.monotonic()
    daemon.start()
    try:
        daemon.watch(STOPPED_AFTER_S)
        stopped = daemon.stop()
        daemon.start()
        daemon.watch(_PATIENCE_S, "baseline.taken")
        seconds = time.monotonic() - began
        daemon.watch(_REST_S)
    finally:
        daemon.stop()
    return [
        ("stopping in the middle of the baseline", f"{stopped:.1f} s", ""),
        ("baseline, with the stop", f"{seconds:.0f} s", ""),
        ("the daemon, at rest", f"{daemon.held['now']:.0f} MB", "" if SHORT else "<= 600 MB"),
        ("the daemon, peak", f"{daemon.held['peak']:.0f} MB", ""),
        ("on disk", f"{daemon.disk_mb:.0f} MB", ""),
    ]


def main() -> None:
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    sizes = [VERSIONS // 10, VERSIONS]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with served(Sqlite(folder), sizes, folder, VERSIONS_A_MODEL) as registries:
            small = taken_up(folder / "small", registries[sizes[0]].url)
            large = Daemon(folder / "large", registries[sizes[1]].url)
            rows = disturbed(large)
            polls = idle_polls([small.config, large.config])
        for size, seconds in zip(sizes, polls, strict=True):
            rows.append((f"idle poll, {size:,} versions", f"{seconds * 1e3:.1f} ms", ""))
        ratio = polls[1] / polls[0]
        rows.append(("idle poll, ratio", f"{ratio:.2f}", "<= 1.50"))
    print()
    table([(f"{VERSIONS:,} versions", "figure", "to reach"), *rows])


main()
