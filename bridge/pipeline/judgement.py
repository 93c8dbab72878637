"""What a poll makes of what it found: held or let through, and what is said of it."""

from dataclasses import replace

import structlog

from bridge.delivery.guard import Hold
from bridge.errors import PollHeld
from bridge.events.event import Event
from bridge.store.values import Head

log = structlog.get_logger(__name__)

_TOLD = ("from_stage", "to_stage", "alias", "previous_version", "previous_name")
"""What a log line tells of a change; tags and descriptions can be long, and private."""


def report_event(event: Event) -> None:
    """Log an event."""
    log.info(
        "event.observed",
        type=event.type.value,
        model=event.model_name,
        event_id=event.id,
        **({"version": event.model_version} if event.model_version else {}),
        **{key: event.changed[key] for key in _TOLD if event.changed.get(key)},
    )


def check(hold: Hold | None, accepted: frozenset[str], head: Head) -> Head:
    """Return ``head``, with the hold's digest in it where an operator accepted that.

    Raises:
        PollHeld: nobody did.
    """
    if hold is None:
        return replace(head, accepted=())
    if hold.digest in accepted:
        log.warning("hold.accepted", why=hold.message, digest=hold.digest)
        return replace(head, accepted=(hold.digest,))
    if hold.digest in head.accepted:
        return head
    raise PollHeld(hold.message, hold.digest)


def another_database(head: Head) -> str:
    """Return what to say where the registry has another database than the state knows."""
    return (
        f"the registry at {head.uri} is not the one that this state was taken from (its database has "
        "another fingerprint): bring the old one back, or choose a new folder in state.url"
    )
