"""A transition request: somebody asks for a stage, or an alias, for a version of a model.

The activities of Databricks' *Transition requests* are its life: requested, approved, rejected, cancelled, applied.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum, unique
from typing import Any, Self

from bridge.governance.gate import Verdict
from bridge.governance.movement import Application, Movement
from bridge.governance.transition_target import Target

ANONYMOUS = "anonymous"
"""The name of whoever asks MLflow's server if that does not authenticate: it may be a different person each time."""


@unique
class RequestStatus(StrEnum):
    """Where a request is in its life."""

    PENDING = "pending"
    """Nobody has decided yet."""
    APPROVED = "approved"
    """The transition is still to be made."""
    APPLIED = "applied"
    """The transition was made."""
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    """It was taken back, or what it asked for cannot be any more."""
    EXPIRED = "expired"
    """Nobody decided in time."""
    FAILED = "failed"
    """It was approved, and MLflow refused to make the transition."""

    @property
    def is_open(self) -> bool:
        """Whether something is still to be done about it."""
        return self in {RequestStatus.PENDING, RequestStatus.APPROVED}


@dataclass(frozen=True, slots=True)
class Approval:
    """Somebody's approval; ``at`` is ms since the epoch."""

    by: str
    at: int
    comment: str = ""


@dataclass(frozen=True, slots=True)
class TransitionRequest:
    """A request as the state holds it. All times are ms since the epoch.

    Attributes:
        id: ``tr_`` and 32 hex digits.
        model_name, version: the version that it is about.
        lane: the lane of the model, which tells it from another of the same name.
        version_created: when the version was created, by the registry: tells it from another of the same number.
        target: the stage or the alias that is asked for.
        before: the stage that the version had when it was asked for, or the version that had the alias (None: none).
        creator: who asked.
        comment: why.
        archives: whether versions that are in the stage are to be archived.
        status: where it is in its life.
        approvals: who approved so far.
        verdicts: what the gates that guard the target found last.
        decided_by, decided_at, decision_comment: who decided, when, and why.
        system_comment: what the bridge has to say about its end.
        application: the attempts to make the transition.
        event_id: the event of the transition that used the approval up; empty before it was observed.
        is_lapsed: the transition was undone before a poll saw it; no other may use the approval up.
        digest: of what was asked for, to recognise the repetition of a request.
    """

    id: str
    model_name: str
    version: str
    lane: str
    version_created: int
    target: Target
    before: str | None
    creator: str
    comment: str
    archives: bool
    created_at: int
    updated_at: int
    expires_at: int
    status: RequestStatus = RequestStatus.PENDING
    approvals: tuple[Approval, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    decided_by: str = ""
    decided_at: int | None = None
    decision_comment: str = ""
    system_comment: str = ""
    application: Application = field(default_factory=Application)
    event_id: str = ""
    is_lapsed: bool = False
    digest: str = ""

    @property
    def is_grant(self) -> bool:
        """Whether a transition may still use its approval up."""
        is_approved = self.status in {RequestStatus.APPROVED, RequestStatus.APPLIED}
        return is_approved and self.application.attempts > 0 and not self.event_id and not self.is_lapsed

    @property
    def movement(self) -> Movement:
        """What it asks the registry for."""
        return Movement(
            self.model_name, self.version, self.version_created, self.target, self.before, self.application
        )

    def to_document(self) -> dict[str, Any]:
        """Return the request as plain JSON values, for the store."""
        return {
            **asdict(self),
            "status": self.status.value,
            "approvals": [asdict(one) for one in self.approvals],
            "verdicts": [one.to_document() for one in self.verdicts],
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Return the request that `to_document` wrote; members of later versions are ignored."""
        values = {one.name: document[one.name] for one in fields(cls) if one.name in document}
        values |= {
            "target": Target(**document["target"]),
            "status": RequestStatus(document["status"]),
            "approvals": tuple(Approval(**one) for one in document["approvals"]),
            "verdicts": tuple(map(Verdict.from_document, document["verdicts"])),
            "application": Application(**document["application"]),
        }
        return cls(**values)
