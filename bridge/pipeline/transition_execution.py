"""Makes movements in the registry: looks where the version stands, and acts, each within a time limit."""

from collections.abc import Callable
from typing import TypeVar

from bridge.diff.absence_verification import Absence
from bridge.errors import TransitionRefused
from bridge.governance.movement import Movement, Standing
from bridge.pipeline.worker_threads import SharedCall, ThreadedCall
from bridge.registry.base import Deadline, Transitions

T = TypeVar("T")

_PATIENCE_MS = 10_000
"""How long the registry may take for each call."""

_GRACE_S = 1.0
_NOT_READABLE = "the registry does not let the bridge read this model any more"


class MovementMaking:
    """Makes movements, each call in a thread of its own."""

    def __init__(self, transitions: Transitions) -> None:
        """Act through ``transitions``."""
        self._transitions = transitions
        self._prepared = SharedCall(transitions.prepare)  # never cut off: half an import stays broken

    async def look(self, movement: Movement) -> Standing | None:
        """Return where the version stands now; None if it is gone.

        Raises:
            TransitionRefused: it may not be read.
            RegistryError, SecretUnavailable, TimeoutError: there was no usable answer.
        """
        found = await self._asked(lambda deadline: self._transitions.standing(movement, deadline))
        if found is Absence.UNKNOWN:
            raise TransitionRefused(_NOT_READABLE)
        return found if isinstance(found, Standing) else None

    async def make(self, movement: Movement, *, archives: bool = False) -> int:
        """Make a movement; return `Application.made`.

        Raises:
            TransitionRefused: the registry will never take this.
            RegistryError, SecretUnavailable, TimeoutError: there was no usable answer: it may have been made, or not.
        """
        return await self._asked(
            lambda deadline: self._transitions.make(movement, deadline, archives=archives)
        )

    async def write_fault(self, model: str) -> str:
        """Return why the bridge may not change a model, or nothing if it may; raises as `look` does."""
        return await self._asked(lambda deadline: self._transitions.write_fault(model, deadline))

    async def tag(self, movement: Movement, key: str, value: str) -> None:
        """Set a tag of the version; raises as `make` does."""
        await self._asked(lambda deadline: self._transitions.tag(movement, key, value, deadline))

    async def _asked(self, call: Callable[[Deadline], T]) -> T:
        await self._prepared.within(_PATIENCE_MS / 1000)
        deadline = Deadline.after(_PATIENCE_MS)
        return await ThreadedCall(lambda: call(deadline)).within(deadline.remaining() + _GRACE_S)
