"""What the daemon holds: in memory at rest and at the peak of a scan, and on the disk."""

import shutil
import signal
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from processes import memory_mb
from workers import PYTHON

_BASELINE_S = 600


@dataclass(frozen=True)
class Residence:
    """All in MB."""

    after_baseline: float
    at_rest: float
    peak: float
    disk: float


def configuration(folder: Path, url: str, interval: str) -> Path:
    """Write a configuration whose next full scan, after the baseline, is a day away."""
    folder.mkdir()
    path = folder / "config.toml"
    path.write_text(
        f"""
        [registry]
        tracking_uri = "{url}"
        [poll]
        interval = "{interval}"
        reconcile_interval = "24h"
        deadline = "{_BASELINE_S}s"
        [[sinks]]
        name = "ci"
        type = "http"
        url = "http://127.0.0.1:9/hook"
        """
    )
    return path


def copied(config: Path, folder: Path) -> Path:
    """Copy a configuration and the state beside it, so that a second baseline need not be taken."""
    shutil.copytree(config.parent, folder)
    return folder / config.name


def residence(config: Path, wait_s: float) -> Residence:
    """Run the daemon from a first start, through its baseline, and for ``wait_s`` more."""
    log = config.with_name("log")
    with log.open("wb") as stream:
        command = [PYTHON, "-m", "bridge", "--log-format", "json", "run", "--config", str(config)]
        process = subprocess.Popen(command, stderr=stream)
    try:
        _await_baseline(process, log)
        after_baseline = memory_mb(process.pid)["now"]
        at_rest = []
        end = time.monotonic() + wait_s
        while time.monotonic() < end:
            time.sleep(0.5)
            at_rest.append(memory_mb(process.pid)["now"])
        # The kernel notes the peak a little late: what was seen counts as well.
        peak = max(memory_mb(process.pid)["peak"], *at_rest)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    disk = sum(path.stat().st_size for path in (config.parent / "state").iterdir()) / 1e6
    return Residence(after_baseline, statistics.median(at_rest), peak, disk)


def _await_baseline(process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _BASELINE_S
    while "baseline.taken" not in log.read_text():
        if process.poll() is not None or time.monotonic() > end:
            raise SystemExit(f"the daemon took no baseline:\n{log.read_text()}")
        time.sleep(0.2)
