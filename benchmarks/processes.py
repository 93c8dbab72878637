"""What processes cost, as Linux counts it in /proc."""

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU time of these processes and of all their descendants, ended ones included."""
    stats = _stats()
    children = defaultdict(list)
    for pid, fields in stats.items():
        children[int(fields[1])].append(pid)
    waiting, ticks = [pid for pid in pids if pid in stats], 0
    while waiting:
        pid = waiting.pop()
        ticks += sum(map(int, stats[pid][11:15]))  # utime, stime, cutime, cstime
        waiting += children[pid]
    return ticks / _TICKS


def _stats() -> dict[int, list[str]]:
    """Return each process's fields of /proc/PID/stat from the third on (proc(5))."""
    stats = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # The second field is a command in brackets, which may hold blanks and brackets.
            stats[int(folder.name)] = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
    return stats


def memory_mb(pid: int | str = "self") -> dict[str, float]:
    """Return what is resident (``now``) and the most that was (``peak``).

    Not ru_maxrss: a child begins with its parent's, which survives exec.
    """
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return {
        "now": int(fields["VmRSS"].split()[0]) / 1024,
        "peak": int(fields["VmHWM"].split()[0]) / 1024,
    }


def forget_peak() -> None:
    """Let this process' ``peak`` begin anew (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")
