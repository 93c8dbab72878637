"""What the bridge asks of a registry."""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bridge.diff.absence_verification import Absence, Answers, Doubt, Listing
from bridge.diff.known_snapshot import KnownModels
from bridge.diff.malformed_rows import OddRow
from bridge.diff.registry_abilities import Abilities
from bridge.diff.snapshot import RegisteredModel
from bridge.errors import RegistryUnreachable
from bridge.registry.scan_position import ScanProgress


@dataclass(frozen=True, slots=True)
class Deadline:
    """An instant by which reading has to end, on the monotonic clock (seconds)."""

    at: float
    seconds: float

    @classmethod
    def after(cls, milliseconds: int) -> "Deadline":
        """Return the deadline that many milliseconds from now."""
        return cls(time.monotonic() + milliseconds / 1000, milliseconds / 1000)

    def rest(self) -> "Deadline":
        """Return the same deadline as seen from now: its thirds are those of the time left."""
        return Deadline(self.at, self.remaining())

    def is_near(self) -> bool:
        """Whether less than a third of the time is left: then questions can wait for the next poll."""
        return self.remaining() < self.seconds / 3

    def remaining(self) -> float:
        """Return the seconds that are left, or 0."""
        return max(0.0, self.at - time.monotonic())

    def check(self) -> None:
        """Go on while there is time.

        Raises:
            RegistryUnreachable: the deadline has passed.
        """
        if self.remaining() == 0:
            msg = "the registry did not answer everything in time: it is slow, or poll.deadline (or --deadline) too short"
            raise RegistryUnreachable(msg)


class Registry(Protocol):
    """Read access to a registry. Every call blocks, and belongs in a worker thread.

    Each raises `RegistryUnreachable` or `RegistryRefused` where it gets no usable answer. A row
    is a model without its versions.
    """

    def prepare(self) -> None:
        """Get ready to ask, which takes time of our own: the first time, MLflow is imported."""
        ...

    def expect(self, abilities: Abilities) -> None:
        """Take what was found out earlier for granted, until a scan meets another server."""
        ...

    def fingerprint(self, deadline: Deadline) -> str | None:
        """Return what identifies the registry's database, or None where that can't be read."""
        ...

    def scan(
        self,
        known: KnownModels,
        deadline: Deadline,
        *,
        with_facts: bool,
        progress: ScanProgress | None = None,
    ) -> Listing:
        """List all models and all versions, page by page, against what is ``known``.

        ``with_facts`` keeps what only the event of a version's creation tells. ``progress`` has what an
        earlier scan read, from where this one goes on; and it is told how far this one comes.
        """
        ...

    def latest(self, deadline: Deadline) -> Iterator[Iterator[Sequence[RegisteredModel]]]:
        """Yield, for models and for prompts if those are wanted, the rows updated last, page by page.

        A row can come twice.
        """
        ...

    def rows(self, names: Collection[str], deadline: Deadline) -> Sequence[RegisteredModel]:
        """Return the rows of those of these models that there are to see."""
        ...

    def with_versions(
        self, rows: Sequence[RegisteredModel], deadline: Deadline
    ) -> Mapping[str, RegisteredModel]:
        """Return these models with their versions, which are read now."""
        ...

    def ask(self, doubts: Sequence[Doubt], deadline: Deadline) -> Answers:
        """Read each of these models by its name."""
        ...

    def odd_rows(self) -> Sequence[OddRow]:
        """Return the rows that had to be left aside since this was asked last: nothing is known of them."""
        ...


class Facts(Protocol):
    """What a registry tells of one version and its run. Every call blocks, and belongs in a worker thread.

    Each raises `RegistryError` or `SecretUnavailable` where it gets no usable answer.
    """

    def prepare(self) -> None:
        """Get ready to ask, which takes time of our own: the first time, MLflow is imported."""
        ...

    def version(self, name: str, version: str, deadline: Deadline) -> Mapping[str, Any] | Absence:
        """Return what is recorded of a version, ``run_id`` among it (empty where it has none)."""
        ...

    def files(self, name: str, version: str, deadline: Deadline) -> Mapping[str, Any]:
        """Return where a version's files are, and the model's signature, as far as the registry tells."""
        ...

    def run(self, run_id: str, deadline: Deadline) -> Mapping[str, Any] | Absence:
        """Return what is recorded of a run."""
        ...
