"""The order for a poll beyond the schedule, and its result, as values for a command or the daemon."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from bridge.control.socket_messages import error_from_document, error_to_document
from bridge.errors import BridgeError
from bridge.store.base import PollState


@dataclass(frozen=True, slots=True)
class PollOrder:
    """An order for a poll now.

    Attributes:
        accept_held: whether the hold that the state records is accepted.
        full: whether the whole registry is scanned.
        deadline_ms: the time limit, including the wait for a poll under way; None for that of each read, ``poll.deadline``.
    """

    accept_held: bool = False
    full: bool = False
    deadline_ms: int | None = None


@dataclass(frozen=True, slots=True)
class OnceResult:
    """The result of a run: the numbers of new, delivered and waiting entries, and the errors."""

    new: int
    delivered: int
    waiting: int
    errors: tuple[BridgeError, ...]

    def to_document(self) -> dict[str, Any]:
        """Return the result as plain JSON values, for the control socket."""
        counts = {"new": self.new, "delivered": self.delivered, "waiting": self.waiting}
        return {**counts, "errors": [error_to_document(error) for error in self.errors]}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Return the result that `to_document` encoded."""
        errors = tuple(error_from_document(error) for error in document["errors"])
        return cls(document["new"], document["delivered"], document["waiting"], errors)


async def accepted_hold(state: PollState) -> frozenset[str]:
    """Return the digests of the hold that ``state`` records, which an operator can accept."""
    last = (await state.load_basis()).last_poll
    return frozenset(last.held_digest.split("+")) if last and last.held_digest else frozenset()
