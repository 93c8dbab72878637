"""The processes that play a role, asked one after the other, and what each answer cost."""

import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from processes import cpu_seconds

PYTHON = os.environ.get("BRIDGE_PYTHON", sys.executable)
"""Whose MLflow the roles import: `make bench` names one with mlflow-skinny, as people install it."""

SKINNY = sys.executable != PYTHON


class Worker:
    """A process of ``script``, run by ``python``; ``registry`` are the server's processes."""

    def __init__(
        self, role: str, place: str, registry: Sequence[int], script: str = "roles.py", python: str = PYTHON
    ) -> None:
        self._role = role
        self._registry = registry
        command = [python, str(Path(__file__).with_name(script)), role, place]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, word: str = "run") -> dict[str, Any]:
        """Have it do its work once; return what that cost."""
        before = cpu_seconds(self._registry)
        answer = self.say(word)
        return {**answer, "server_cpu": cpu_seconds(self._registry) - before}

    def memory(self) -> dict[str, float]:
        return self.say("memory")

    def say(self, word: str) -> dict[str, Any]:
        """Send it a line; return what it answers."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"the {self._role} gave no answer to {word!r}: what it said is above")
        result: dict[str, Any] = json.loads(answer)
        return result

    def stop(self) -> None:
        """End it: its work is over where its input is, unless it hangs."""
        try:
            self._process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def worker(
    role: str, place: str, registry: Sequence[int], script: str = "roles.py", python: str = PYTHON
) -> Iterator[Worker]:
    playing = Worker(role, place, registry, script, python)
    try:
        yield playing
    finally:
        playing.stop()


@dataclass
class Samples:
    """What was measured of each (role, size), and the figures drawn from it."""

    taken: dict[tuple[str, int], list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, role: str, size: int, sample: dict[str, Any], expected: int) -> None:
        if sample["result"] != expected:
            raise SystemExit(f"{role} at {size:,} versions came to {sample['result']}, not to {expected}")
        self.taken[role, size].append(sample)

    def median(self, role: str, size: int, what: str = "seconds") -> float:
        return statistics.median(sample[what] for sample in self.taken[role, size])

    def mean(self, role: str, size: int, what: str) -> float:
        """For the server's CPU time: the kernel counts it in steps of 10 ms, which medians would show."""
        return statistics.fmean(sample[what] for sample in self.taken[role, size])
