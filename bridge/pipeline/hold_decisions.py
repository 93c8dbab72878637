"""Decides which holds of a poll stand, and logs its events, notes and holds."""

import logging
from collections.abc import Collection

import structlog

from bridge.delivery.storm_guard import Hold
from bridge.events.event import Event
from bridge.pipeline.registry_identity import Likeness
from bridge.store.state_metadata import Head, Note

log = structlog.get_logger(__name__)

_TOLD = ("from_stage", "to_stage", "alias", "previous_version", "previous_name")
"""The members of a change that a log line shows; tags and descriptions can be long, and private."""

_NOTES = {
    "appeared": (logging.WARNING, "model.appeared"),
    "surfaced": (logging.INFO, "version.appeared"),
    "missed": (logging.INFO, "change.missed"),
    "left_aside": (logging.WARNING, "row.left_aside"),
    "readable": (logging.INFO, "row.readable"),
    "doubted": (logging.WARNING, "model.doubted"),
    "undecided": (logging.WARNING, "route.undecided"),
    "held": (logging.ERROR, "poll.held"),
    "accepted": (logging.WARNING, "hold.accepted"),
    "lifted": (logging.INFO, "hold.lifted"),
    "redriven": (logging.WARNING, "outbox.redriven"),
    "dropped": (logging.WARNING, "outbox.dropped"),
    "replayed": (logging.WARNING, "outbox.replayed"),
    "paused": (logging.WARNING, "sink.paused"),
    "resumed": (logging.WARNING, "sink.resumed"),
    "rebaselined": (logging.INFO, "state.rebaselined"),
    "restored": (logging.WARNING, "state.restored"),
    "webhook_created": (logging.WARNING, "webhook.created"),
    "webhook_updated": (logging.WARNING, "webhook.updated"),
    "webhook_deleted": (logging.WARNING, "webhook.deleted"),
    "webhooks_rekeyed": (logging.WARNING, "webhooks.rekeyed"),
    "request_created": (logging.INFO, "request.created"),
    "request_refused": (logging.WARNING, "request.refused"),
    "request_seconded": (logging.INFO, "request.seconded"),
    "request_approved": (logging.INFO, "request.approved"),
    "request_rejected": (logging.INFO, "request.rejected"),
    "request_cancelled": (logging.INFO, "request.cancelled"),
    "request_expired": (logging.INFO, "request.expired"),
    "request_applied": (logging.INFO, "request.applied"),
    "request_failed": (logging.ERROR, "request.failed"),
    "transition_refused": (logging.WARNING, "transition.refused"),
    "transition_reverted": (logging.WARNING, "transition.reverted"),
    "transition_overtaken": (logging.WARNING, "transition.overtaken"),
    "transition_kept": (logging.ERROR, "transition.kept"),
}


class HoldDecisions:
    """Decides which holds stand, and which ones an operator has accepted."""

    def __init__(self, accepted: Collection[str], *, is_strict: bool) -> None:
        """Accept the holds with these digests, or all holds unless ``is_strict``."""
        self._accepted = accepted
        self._is_strict = is_strict
        self.held: list[Hold] = []
        self.passed: list[Hold] = []

    def is_held(self, hold: Hold | None) -> bool:
        """Whether ``hold`` stands; record the decision."""
        if hold is None:
            return False
        stands = self._is_strict and hold.digest not in self._accepted
        (self.held if stands else self.passed).append(hold)
        return stands

    @property
    def let_through(self) -> tuple[str, ...]:
        """The digests of accepted holds, so that the same difference is not held again."""
        return tuple(hold.digest for hold in self.passed)


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


def report_note(note: Note) -> None:
    """Log a note of the audit trail."""
    known = {"model": note.model, "version": note.version, "detail": note.detail, "by": note.by}
    level, name = _NOTES[note.kind]
    log.log(level, name, **{key: value for key, value in known.items() if value})


def another_database(head: Head, likeness: Likeness | None) -> str:
    """Return the message for a registry whose database differs from the one that the state knows.

    ``likeness`` tells how many of its models are the known ones, where that could be read.
    """
    told = f"; {likeness.models_told()}" if likeness else ""
    doubt = f"its database has another fingerprint: that of the Default experiment{told}"
    if likeness is not None and likeness.is_nothing_alike:
        return (
            f"the registry at {head.uri} is not the one that this state was taken from ({doubt}): "
            "bring the old one back, or choose a new folder in state.url"
        )
    return (
        f"the registry at {head.uri} may not be the one that this state was taken from ({doubt}): if it is the same "
        "registry, 'mlflow-bridge state rebind --accept' binds the state to it; if it is another one, bring the "
        "old one back, or choose a new folder in state.url"
    )
