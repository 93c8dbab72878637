"""A daemon that runs for long under a steady workload: what it takes, and whether that stays as it is."""

import random
import statistics
import time
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from support.receiver import Answer, Got

STAGES = ("Staging", "Production", "Archived", "None")
FLAKY = "flaky"
_PLANTED = {"delivery.retry", "sink.circuit_opened"}
_LOUD = {"warning", "error", "critical"}
_WARM = 0.25
"""The share of the time that the process is given to settle; as much then sets what is usual."""


@dataclass(frozen=True)
class Sample:
    """What the process takes at a moment (proc(5)); ``memory`` in MB."""

    memory: float
    descriptors: int
    threads: int


def sample(pid: int) -> Sample:
    """Return what a process takes now."""
    process = Path(f"/proc/{pid}")
    lines = (process / "status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    descriptors = len(list((process / "fd").iterdir()))
    return Sample(int(fields["VmRSS"].split()[0]) / 1024, descriptors, int(fields["Threads"]))


@dataclass(frozen=True)
class Course:
    """What was usual after the warm-up, and in the end: medians."""

    first: Sample
    last: Sample


def course(samples: Sequence[Sample]) -> Course:
    """Return how it went: the second quarter beside the last."""
    quarter = max(1, int(len(samples) * _WARM))
    return Course(_usual(samples[quarter : 2 * quarter]), _usual(samples[-quarter:]))


def _usual(samples: Sequence[Sample]) -> Sample:
    return Sample(
        statistics.median(one.memory for one in samples),
        round(statistics.median(one.descriptors for one in samples)),
        round(statistics.median(one.threads for one in samples)),
    )


def growth_faults(seen: Course, share: float, spare: int = 2) -> list[str]:
    """Return what did not stay as it was: memory within a share, descriptors and threads but for a few."""
    first, last = seen.first, seen.last
    found = []
    if abs(last.memory / first.memory - 1) > share:
        found.append(f"memory went from {first.memory:.1f} to {last.memory:.1f} MB")
    if abs(last.descriptors - first.descriptors) > spare:
        found.append(f"open files went from {first.descriptors} to {last.descriptors}")
    if abs(last.threads - first.threads) > spare:
        found.append(f"threads went from {first.threads} to {last.threads}")
    return found


def log_faults(lines: Iterable[dict]) -> list[str]:
    """Return the warnings that nobody planted."""
    return [
        f"{line['level']}: {line}"
        for line in lines
        if line["level"] in _LOUD and not (line["event"] in _PLANTED and line.get("sink") == FLAKY)
    ]


class Flaky:
    """An answer that fails for a while now and then."""

    def __init__(self, every_s: float, for_s: float) -> None:
        self._every_s, self._for_s = every_s, for_s
        self._began = time.monotonic()
        self.failed = 0
        self.heals = False

    def __call__(self, _got: Got) -> Answer:
        """Answer 503 in the last seconds of each period."""
        into = (time.monotonic() - self._began) % self._every_s
        if self.heals or into < self._every_s - self._for_s:
            return Answer(204)
        self.failed += 1
        return Answer(503)


class Steady:
    """Mutations of every usual kind, after which the registry is as large as before."""

    def __init__(self, url: str, models: int = 5, versions: int = 4) -> None:
        """Make the registry."""
        warnings.filterwarnings("ignore")  # MLflow warns that stages are deprecated
        from mlflow import MlflowClient

        self._client = MlflowClient(url)
        self._chance = random.Random(1)  # noqa: S311
        self._living: dict[str, list[str]] = {}
        for number in range(models):
            name = f"soak-{number}"
            self._client.create_registered_model(name)
            self._living[name] = [self._created(name) for _ in range(versions)]
        self._turns = cycle([self._transition, self._tag, self._transition, self._alias, self._renew])
        self.made = 0

    def mutate(self) -> None:
        """Change something."""
        next(self._turns)(self._chance.choice(list(self._living)))
        self.made += 1

    def _created(self, name: str) -> str:
        return str(self._client.create_model_version(name, "s3://b/x", await_creation_for=0).version)

    def _any(self, name: str) -> str:
        return self._chance.choice(self._living[name])

    def _transition(self, name: str) -> None:
        self._client.transition_model_version_stage(name, self._any(name), self._chance.choice(STAGES))

    def _tag(self, name: str) -> None:
        self._client.set_model_version_tag(name, self._any(name), "sha", str(self._chance.random()))

    def _alias(self, name: str) -> None:
        self._client.set_registered_model_alias(name, "champion", self._any(name))

    def _renew(self, name: str) -> None:
        self._living[name].append(self._created(name))
        self._client.delete_model_version(name, self._living[name].pop(0))
