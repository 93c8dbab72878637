"""What the bridge asks of a registry."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bridge.diff.doubts import Answers, Doubt, Listing
from bridge.errors import RegistryUnreachable


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

    Each raises `RegistryUnreachable` or `RegistryRefused` where it gets no usable answer.
    """

    def fingerprint(self, deadline: Deadline) -> str | None:
        """Return what identifies the registry's database, or None where that can't be read."""
        ...

    def scan(self, deadline: Deadline) -> Listing:
        """List all models and all versions, page by page."""
        ...

    def ask(self, doubts: Sequence[Doubt], deadline: Deadline) -> Answers:
        """Read each of these models by its name."""
        ...
