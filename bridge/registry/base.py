"""The interface through which the bridge reads a registry."""

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
from bridge.governance.movement import Movement, Standing
from bridge.registry.scan_position import ScanProgress


@dataclass(frozen=True, slots=True)
class Deadline:
    """The time by which reading has to end, on the monotonic clock (seconds)."""

    at: float
    seconds: float

    @classmethod
    def after(cls, milliseconds: int) -> "Deadline":
        """Return the deadline this number of milliseconds from now."""
        return cls(time.monotonic() + milliseconds / 1000, milliseconds / 1000)

    def rest(self) -> "Deadline":
        """Return the same deadline with the time left as its whole time; `is_near` then means a third of that."""
        return Deadline(self.at, self.remaining())

    def is_near(self) -> bool:
        """Whether less than a third of the time is left: point reads can then wait for the next poll."""
        return self.remaining() < self.seconds / 3

    def remaining(self) -> float:
        """Return the seconds that are left, or 0."""
        return max(0.0, self.at - time.monotonic())

    def check(self) -> None:
        """Raise an error if no time is left.

        Raises:
            RegistryUnreachable: the deadline has passed.
        """
        if self.remaining() == 0:
            msg = "the registry did not answer everything in time: it is slow, or poll.deadline (or --deadline) too short"
            raise RegistryUnreachable(msg)


@dataclass(frozen=True, slots=True)
class RowPosition:
    """Where a page of `Registry.all_rows` begins: in which of its lists, and at which token of the registry's."""

    step: int = 0
    token: str | None = None


class Registry(Protocol):
    """Read access to a registry. Every call blocks, and belongs in a worker thread.

    Each call raises `RegistryUnreachable` or `RegistryRefused` where it gets no usable answer. A row is a
    model without its versions.
    """

    def prepare(self) -> None:
        """Prepare the client, which takes time: the first call imports MLflow."""
        ...

    def expect(self, abilities: Abilities) -> None:
        """Assume these abilities, which an earlier run detected, until a scan finds another server."""
        ...

    def fingerprint(self, deadline: Deadline) -> str | None:
        """Return an identifier of the registry's database, or None where it can't be read."""
        ...

    def scan(
        self,
        known: KnownModels,
        deadline: Deadline,
        *,
        with_facts: bool,
        progress: ScanProgress | None = None,
    ) -> Listing:
        """List all models and all versions, page by page, and compare them with what is ``known``.

        ``with_facts`` keeps the fields that only the creation event of a version carries. ``progress`` holds
        what an earlier scan read, so that this one continues it; it also records the progress of this scan.
        """
        ...

    def latest(self, deadline: Deadline) -> Iterator[Iterator[Sequence[RegisteredModel]]]:
        """Yield the most recently updated rows page by page, for models and, if they are wanted, for prompts.

        A row can come twice.
        """
        ...

    def all_rows(
        self, position: RowPosition, deadline: Deadline
    ) -> Iterator[tuple[Sequence[RegisteredModel], RowPosition | None]]:
        """Yield the rows of all models page by page from ``position`` on, each page with where the next one begins.

        After the last page, that is None. Rows can be skipped, or come twice, when others come or go meanwhile.
        """
        ...

    def rows(self, names: Collection[str], deadline: Deadline) -> Sequence[RegisteredModel]:
        """Return the rows of those of these models that exist and can be read."""
        ...

    def with_versions(
        self, rows: Sequence[RegisteredModel], deadline: Deadline
    ) -> Mapping[str, RegisteredModel]:
        """Return these models with their versions, which are read now."""
        ...

    def ask(self, doubts: Sequence[Doubt], deadline: Deadline) -> Answers:
        """Read each of these models by name."""
        ...

    def odd_rows(self) -> Sequence[OddRow]:
        """Return the malformed rows that were skipped since the last call: nothing is known of them."""
        ...


class Transitions(Protocol):
    """Makes transitions: the only writing that the bridge does. Every call blocks, and belongs in a worker thread.

    Each call raises `RegistryError` or `SecretUnavailable` where it gets no usable answer.
    """

    def prepare(self) -> None:
        """Prepare the client, which takes time: the first call imports MLflow."""
        ...

    def standing(self, movement: Movement, deadline: Deadline) -> Standing | Absence:
        """Return where the version, and the alias in question, stand now."""
        ...

    def make(self, movement: Movement, deadline: Deadline, *, archives: bool) -> int:
        """Give the version the stage or the alias, or remove the alias; return `Application.made`.

        Raises:
            TransitionRefused: the registry will never take this; in its own words.
        """
        ...

    def write_fault(self, name: str, deadline: Deadline) -> str:
        """Return why the bridge may not change a model, or nothing if it may; nothing is changed."""
        ...

    def tag(self, movement: Movement, key: str, value: str, deadline: Deadline) -> None:
        """Set a tag of the version; raises as `make` does."""
        ...


class Facts(Protocol):
    """Reads the details of versions and runs. Every call blocks, and belongs in a worker thread.

    Each call raises `RegistryError` or `SecretUnavailable` where it gets no usable answer.
    """

    def prepare(self) -> None:
        """Prepare the client, which takes time: the first call imports MLflow."""
        ...

    def version(self, name: str, version: str, deadline: Deadline) -> Mapping[str, Any] | Absence:
        """Return the record of a version, including ``run_id`` (empty where it has none)."""
        ...

    def files(self, name: str, version: str, deadline: Deadline) -> Mapping[str, Any]:
        """Return where a version's files are, and the model's signature, as far as the registry gives them."""
        ...

    def run(self, run_id: str, deadline: Deadline) -> Mapping[str, Any] | Absence:
        """Return the record of a run."""
        ...
