"""What a poll amounts to, as a value: the pure middle between reading and committing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from bridge.delivery.routing import Route, Routed, route
from bridge.diff.compare import ModelDifference, compare
from bridge.diff.doubts import Answers, Listing, latest_timestamp, resolve
from bridge.diff.snapshot import RegisteredModel, Snapshot
from bridge.events.event import Event
from bridge.events.synthesis import Identities, Identity, synthesize
from bridge.store.values import Head

OVERLAP_MS = 120_000
"""How much later than its own timestamp a row may become visible (clock skew, late commits)."""


@dataclass(frozen=True, slots=True)
class Known:
    """What was known before the poll."""

    snapshot: Snapshot
    identities: Identities
    head: Head


@dataclass(frozen=True, slots=True)
class Plan:
    """What a poll found, and what is to be committed of it."""

    head: Head
    removed: tuple[str, ...]
    models: dict[str, tuple[RegisteredModel, Identity]]
    events: tuple[Event, ...]
    routed: tuple[Routed, ...]
    appeared: tuple[str, ...]
    counted: tuple[int, int]


def plan(known: Known, listing: Listing, answers: Answers, routes: Sequence[Route], now_ms: int) -> Plan:
    """Return what the poll amounts to, when every difference is announced."""
    after = resolve(known.snapshot, listing, answers)
    until = known.head.registry_clock - OVERLAP_MS if known.head.registry_clock else None
    differences = compare(known.snapshot, after, until)
    found = _plan(known, after, differences, routes, now_ms)
    return replace(found, head=_with_clock(found.head, after, listing, now_ms))


def plan_silently(known: Known, listing: Listing, answers: Answers, now_ms: int) -> Plan:
    """Return what it takes to record the registry as it is, and announce nothing."""
    after = resolve(known.snapshot, listing, answers, keep_unknown=False)
    found = _plan(known, after, compare(known.snapshot, after), (), now_ms)
    head = _with_clock(found.head, after, listing, now_ms)
    return replace(found, head=head, events=(), appeared=())


def _with_clock(head: Head, after: Snapshot, listing: Listing, now_ms: int) -> Head:
    """Move the instant before which nothing can have been created unseen.

    A scan in several pages can have skipped a model that was new then, so it vouches only for
    what the scan before it could see.
    """
    seen = listing.clock if listing.clock is not None else min(latest_timestamp(after), now_ms)
    return replace(head, registry_clock=seen if listing.atomic else head.scanned_clock, scanned_clock=seen)


def _plan(
    known: Known,
    after: Snapshot,
    differences: Sequence[ModelDifference],
    routes: Sequence[Route],
    now_ms: int,
) -> Plan:
    synthesis = synthesize(differences, known.identities, UUID(known.head.state_id), now_ms)
    changed = [one.after for one in differences if one.after is not None]
    head = replace(
        known.head,
        floor=synthesis.floor,
        past_lanes=dict(synthesis.past_lanes),
    )
    return Plan(
        head=head,
        removed=tuple(one.before.name for one in differences if one.before is not None),
        models={model.name: (model, synthesis.identities[model.name]) for model in changed},
        events=synthesis.events,
        routed=tuple(route(synthesis.events, routes)),
        appeared=tuple(one.after.name for one in differences if one.appeared and one.after),
        counted=(len(after), sum(len(model.versions) for model in after.values())),
    )
