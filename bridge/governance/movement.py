"""A movement: what the bridge makes in the registry, a version into a stage, or an alias to a version. Pure.

A movement is never made twice: before each attempt, it is looked where the version stands.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any, Self

from bridge.diff.registry_changes import ChangeKind
from bridge.events.event import Event
from bridge.governance.transition_target import Target


@dataclass(frozen=True, slots=True)
class Application:
    """The attempts to make a movement.

    Attributes:
        attempts: how many have begun.
        failures: how many came to no answer, also of those that only looked.
        last_at: when the last one began, or failed, ms since the epoch; None before the first.
        wait_ms: how long to wait after it before the next.
        updated: ``last_updated_timestamp`` of the version when it was decided on, or before the first attempt; None for
            an alias. If an answer is lost, it tells whether something has happened since.
        made: ``last_updated_timestamp`` of the version after the movement; 0 for an alias; None before.
        error: what MLflow, or the way to it, said last.
    """

    attempts: int = 0
    last_at: int | None = None
    wait_ms: int = 0
    updated: int | None = None
    made: int | None = None
    error: str = ""
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Movement:
    """What is to be made.

    Attributes:
        model_name: the model.
        version: the version that gets the stage or the alias; empty: the alias is removed.
        created: when the version was created, by the registry; 0: that does not matter.
        target: the stage or the alias.
        before: what is to be there now: the version's stage, or the version that has the alias (None: none).
        application: the attempts.
    """

    model_name: str
    version: str
    created: int
    target: Target
    before: str | None
    application: Application = field(default_factory=Application)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Return the movement from plain JSON values."""
        parts = {
            "target": Target(**document["target"]),
            "application": Application(**document["application"]),
        }
        return cls(**{**document, **parts})

    @property
    def is_made(self) -> bool:
        """Whether it was made."""
        return self.application.made is not None

    def was_made_by(self, event: Event) -> bool:
        """Whether ``event``, of the same lane, shows this movement.

        MLflow's time of the change tells it from an earlier one. While it is not known whether an attempt was made, any
        such change since its beginning is taken for it.
        """
        application = self.application
        if not application.attempts or (self.version and event.model_version != self.version):
            return False
        if self.target.alias is not None:
            kind = ChangeKind.ALIAS_SET if self.version else ChangeKind.ALIAS_DELETED
            return event.type is kind and event.changed.get("alias") == self.target.alias
        if event.type is not ChangeKind.TRANSITIONED or event.changed.get("to_stage") != self.target.stage:
            return False
        if application.made is not None:  # later, if the version was changed otherwise before the poll
            return event.timestamp >= application.made
        return application.updated is not None and event.timestamp > application.updated


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a version stands now, by the registry.

    Attributes:
        created, updated: its timestamps, ms by the registry's clock.
        stage: its stage.
        holder: the version that has the alias in question; None if none has it, or if none is in question.
    """

    created: int
    updated: int
    stage: str
    holder: str | None = None


class Move(Enum):
    """What an attempt comes to, once it was looked where the version stands."""

    MAKE = auto()
    DONE = auto()
    """It was made already: by an attempt of which the answer was lost, or by somebody else."""
    REFUSE = auto()


def next_move(movement: Movement, found: Standing | None) -> tuple[Move, str]:
    """Return what to do about a movement, and why if it cannot be made; ``found`` is None if the version is gone.

    If an answer was lost, and the version changed since, nobody can tell whether the movement was made and undone, or
    never made: then it is not made.
    """
    if found is None:
        return Move.REFUSE, f"{movement.model_name!r} has no version {movement.version} any more"
    if movement.created not in {0, found.created}:
        return Move.REFUSE, f"version {movement.version} is another one now"
    if _is_there(movement, found):
        return Move.DONE, ""
    why = _moved_meanwhile(movement, found)
    return (Move.REFUSE, why) if why else (Move.MAKE, "")


def _is_there(movement: Movement, found: Standing) -> bool:
    target = movement.target
    if target.alias is not None:
        return found.holder == (movement.version or None)
    return found.stage == target.stage


def _moved_meanwhile(movement: Movement, found: Standing) -> str:
    """Return why what was decided on is not what there is now; empty if it is."""
    target, application = movement.target, movement.application
    if target.alias is not None:
        is_same = found.holder == movement.before
        return "" if is_same else f"the alias @{target.alias} was moved to version {found.holder} meanwhile"
    if found.stage != movement.before:
        return f"version {movement.version} is in {found.stage} now, and was in {movement.before}"
    if application.updated in {None, found.updated}:
        return ""
    return _LOST if application.attempts else f"version {movement.version} was changed meanwhile"


_LOST = (
    "the answer to an attempt was lost, and the version was changed since: whether the transition was made cannot be "
    "told; ask again"
)


def begun(application: Application, found: Standing, target: Target, now_ms: int) -> Application:
    """Return the attempts with one that begins now."""
    updated = None if target.alias is not None else found.updated
    return Application(application.attempts + 1, now_ms, 0, updated, failures=application.failures)


def postponed(application: Application, why: str, wait_ms: int, now_ms: int) -> Application:
    """Return the attempts with one that got no answer: it is made again after ``wait_ms``."""
    failures = application.failures + 1
    return replace(application, last_at=now_ms, wait_ms=wait_ms, error=why, failures=failures)
