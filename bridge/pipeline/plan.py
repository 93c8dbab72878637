"""What a poll amounts to, as a value: the pure middle between reading and committing."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from bridge.delivery.routing import Route, Routed, route
from bridge.diff.changes import ChangeKind
from bridge.diff.collect import PackedModels
from bridge.diff.compare import ModelDifference, compare
from bridge.diff.doubts import Absence, Answers, Listing, resolve
from bridge.diff.horizon import Horizon
from bridge.diff.known import KnownModels
from bridge.diff.restrain import restrain
from bridge.diff.snapshot import RegisteredModel, Snapshot
from bridge.events.event import Event
from bridge.events.synthesis import Identities, Identity, synthesize
from bridge.store.values import Head, Note

OVERLAP_MS = 120_000
"""How much later than its own timestamp a row may become visible (clock skew, late commits)."""


@dataclass(frozen=True, slots=True)
class Known:
    """What was known before the poll; ``counted`` are models and versions, ``aside`` as `Horizon` has it."""

    models: KnownModels
    identities: Identities
    head: Head
    counted: tuple[int, int] = (0, 0)
    aside: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read: the listing, the answers to its doubts, and our own time when it began, ms."""

    listing: Listing
    answers: Answers
    began_ms: int

    def read_at(self, head: Head) -> int:
        """Return when versions began to be read, by the registry's clock as far as that is known."""
        return self.began_ms + min(0, head.skew if self.skew is None else self.skew)

    @property
    def skew(self) -> int | None:
        """How far the registry's clock is ahead of ours, ms, where it tells.

        It tells by a header that a proxy may have set: nothing relies on it to be ahead.
        """
        return None if self.listing.clock is None else min(0, self.listing.clock - self.began_ms)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a poll found, and what is to be committed of it (see `PollCommit`)."""

    head: Head
    removed: tuple[str, ...]
    models: Mapping[str, tuple[RegisteredModel, Identity]]
    events: tuple[Event, ...]
    routed: tuple[Routed, ...]
    counted: tuple[int, int]
    unsettled: frozenset[str] = frozenset()
    settled: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()


def plan(
    known: Known,
    reading: Reading,
    routes: Sequence[Route],
    now_ms: int,
    held: Collection[ChangeKind] = (),
) -> Plan:
    """Return what the poll amounts to, when every difference is announced but those that are ``held``."""
    before, after = resolve(known.models, reading.listing, reading.answers)
    horizon = _horizon(known.head, known.aside)
    if held:
        after = restrain(before, after, held, horizon)
    return _plan(known, reading, compare(before, after, horizon), routes, now_ms)


def _horizon(head: Head, aside: Mapping[str, int]) -> Horizon:
    """Return before when nothing can have been created unseen.

    Of models, that moves on with every scan; of versions, it stays with the baseline: later
    scans find what is missing by what is known, and a creation that one of them skips is news.
    """
    if not head.registry_clock:
        return Horizon()
    models = head.registry_clock - OVERLAP_MS
    versions = min(head.baseline_clock - OVERLAP_MS, models) if head.baseline_clock else None
    return Horizon(models, versions, aside)


def plan_silently(known: Known, reading: Reading, now_ms: int) -> Plan:
    """Return what it takes to record the registry as it is, and announce nothing."""
    before, after = resolve(known.models, reading.listing, reading.answers, keep_unknown=False)
    found = _plan(known, reading, compare(before, after), (), now_ms)
    note = Note(now_ms, "rebaselined")
    return replace(found, head=_with_baseline(found.head, reading), events=(), notes=(note,))


def plan_baseline(known: Known, reading: Reading) -> Plan:
    """Return what it takes to record a registry of which nothing is known yet."""
    listing, read_at = reading.listing, reading.read_at(known.head)
    head = _with_clock(known.head, reading)
    late = {name: model for name, model in reading.answers.items() if isinstance(model, RegisteredModel)}
    gone = {name for name, answer in reading.answers.items() if answer is Absence.GONE}
    models = _Baseline(listing.models, late, gone)
    return Plan(
        head=_with_baseline(replace(head, registry_clock=head.scanned_clock), reading),
        removed=(),
        models=models,
        events=(),
        routed=(),
        # A page that shifts shows versions twice, so they are counted as they are kept.
        counted=(len(models), sum(len(model.versions) for model, _ in models.values())),
        unsettled=frozenset(
            name
            for rows in (_rows(listing.models), late)
            for name, row in rows.items()
            if name not in gone and not _is_settled(row, read_at)
        ),
    )


def _rows(models: Snapshot) -> Mapping[str, RegisteredModel]:
    return models.rows if isinstance(models, PackedModels) else models


class _Baseline(Mapping[str, tuple[RegisteredModel, Identity]]):
    """Models with their first identities, made one by one: there may be 100,000 versions."""

    def __init__(self, listed: Snapshot, late: Snapshot, gone: Collection[str]) -> None:
        self._parts = (late, listed)
        self._gone = gone

    def __getitem__(self, name: str) -> tuple[RegisteredModel, Identity]:
        model = next(part[name] for part in self._parts if name in part)
        return model, Identity(name, 0)

    def __iter__(self) -> Iterator[str]:
        late, listed = self._parts
        yield from (name for name in listed if name not in self._gone)
        yield from (name for name in late if name not in listed)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _is_settled(model: RegisteredModel, read_at: int) -> bool:
    """Whether nothing of the same timestamp can have become visible since its versions were read."""
    return read_at > model.updated + OVERLAP_MS


def _with_clock(head: Head, reading: Reading) -> Head:
    """Move the instant before which nothing can have been created unseen.

    A scan in several pages can have skipped a model that was new then, so it vouches only for
    what the scan before it could see.
    """
    listing = reading.listing
    if not listing.is_complete:
        return head
    seen = reading.began_ms + reading.skew if reading.skew is not None else listing.latest
    seen = min(seen, reading.began_ms)
    return replace(
        head,
        registry_clock=seen if listing.atomic else head.scanned_clock,
        scanned_clock=seen,
        skew=reading.skew or 0,
    )


def _with_baseline(head: Head, reading: Reading) -> Head:
    """Note when versions began to be read that may have been skipped, and will be no news then."""
    return replace(head, baseline_clock=head.scanned_clock if reading.listing.pages_versions else 0)


def _plan(
    known: Known,
    reading: Reading,
    differences: Sequence[ModelDifference],
    routes: Sequence[Route],
    now_ms: int,
) -> Plan:
    synthesis = synthesize(differences, known.identities, UUID(known.head.state_id), now_ms)
    changed = [one.after for one in differences if one.after is not None]
    read_at = reading.read_at(known.head)
    head = replace(known.head, floor=synthesis.floor, past_lanes=dict(synthesis.past_lanes))
    routed = tuple(route(synthesis.events, routes))
    return Plan(
        head=_with_clock(head, reading),
        removed=tuple(one.before.name for one in differences if one.before is not None),
        models={model.name: (model, synthesis.identities[model.name]) for model in changed},
        events=synthesis.events,
        routed=routed,
        counted=_counted(known, differences),
        unsettled=frozenset(model.name for model in changed if not _is_settled(model, read_at)),
        settled=tuple(_settled(known, reading.listing, differences, read_at)),
        notes=(*_notes(differences, now_ms), *_doubts(routed, now_ms)),
    )


def _counted(known: Known, differences: Sequence[ModelDifference]) -> tuple[int, int]:
    models, versions = known.counted
    for one in differences:
        models += (one.after is not None) - (one.before is not None)
        versions += len(one.after.versions if one.after else ()) - len(
            one.before.versions if one.before else ()
        )
    return models, versions


def _settled(
    known: Known, listing: Listing, differences: Sequence[ModelDifference], read_at: int
) -> Iterator[str]:
    """Yield the models that were read again, late enough, and read as before."""
    changed = {one.before.name for one in differences if one.before is not None}
    for name in known.models.unsettled:
        row = known.models.row(name)
        was_read = name in listing.same or name in listing.models
        if row is not None and was_read and name not in changed and _is_settled(row, read_at):
            yield name


def _notes(differences: Sequence[ModelDifference], now_ms: int) -> Iterator[Note]:
    for one in differences:
        if one.after is not None and one.appeared:
            yield Note(now_ms, "appeared", one.after.name)
        if one.after is not None:
            yield from (Note(now_ms, "surfaced", one.after.name, version) for version in one.surfaced)
            yield from (Note(now_ms, "missed", one.after.name, version) for version in one.missed)


def _doubts(routed: Sequence[Routed], now_ms: int) -> Iterator[Note]:
    """Yield a note for each sink of which a filter could not be decided: what fails once often fails always."""
    first = {one.sink: one for one in reversed(routed) if one.doubt}
    for sink, one in first.items():
        yield Note(
            now_ms,
            "undecided",
            one.event.model_name,
            one.event.model_version or "",
            f"{sink}: when: {one.doubt}",
        )
