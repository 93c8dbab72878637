"""The types of events: the changes of a registry, and what is asked for and decided about it."""

from enum import StrEnum, unique

from bridge.diff.registry_changes import ChangeKind


@unique
class GovernanceKind(StrEnum):
    """What happens to transition requests and at gates; the values are the event names of the contract.

    The first is Databricks' (*Workspace Model Registry webhooks*); it has none for decisions.
    """

    REQUEST_CREATED = "TRANSITION_REQUEST_CREATED"
    REQUEST_APPROVED = "TRANSITION_REQUEST_APPROVED"
    REQUEST_REJECTED = "TRANSITION_REQUEST_REJECTED"
    REQUEST_CANCELLED = "TRANSITION_REQUEST_CANCELLED"
    REQUEST_EXPIRED = "TRANSITION_REQUEST_EXPIRED"
    GATE_FAILED = "GATE_FAILED"
    TRANSITION_REVERTED = "TRANSITION_REVERTED"


EventType = ChangeKind | GovernanceKind

EVENT_TYPES: tuple[EventType, ...] = (*ChangeKind, *GovernanceKind)
"""Every type of event, in the order of the documentation."""

_BY_NAME: dict[str, EventType] = {one.value: one for one in EVENT_TYPES}


def event_type(name: str) -> EventType:
    """Return the type of this name.

    Raises:
        KeyError: there is none.
    """
    return _BY_NAME[name]
