"""Ways to measure on a noisy machine: medians, interleaved, as ratios within one run."""

import statistics
import subprocess
import time
from collections.abc import Callable, Sequence


def median_seconds(action: Callable[[], object], runs: int) -> float:
    """Return the median time of ``action``."""
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        action()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def interleaved(commands: dict[str, Sequence[str]], runs: int) -> dict[str, float]:
    """Return the median wall time of each command, one after the other in turn."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs + 1):
        for name, command in commands.items():
            began = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            times[name].append(time.perf_counter() - began)
    return {name: statistics.median(taken[1:]) for name, taken in times.items()}


def table(rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows of equal length: the first is a heading, (what, figure, to reach) say."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
