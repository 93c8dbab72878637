"""The plan of a poll: what to commit, computed from what was read. Pure."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from bridge.delivery.event_routing import Route, Routed, route
from bridge.diff.absence_verification import Absence, resolve
from bridge.diff.full_scan_comparison import PackedModels
from bridge.diff.held_changes import withhold_changes
from bridge.diff.known_snapshot import KnownModels
from bridge.diff.recently_replaced_values import RecentlyReplacedValues, Superseded, superseded_by
from bridge.diff.registry_changes import ChangeKind
from bridge.diff.snapshot import RegisteredModel, Snapshot
from bridge.diff.snapshot_comparison import ModelDifference, compare
from bridge.diff.stale_read_filtering import FilteredRead, filter_stale_reads
from bridge.diff.timestamp_regressions import Caution, TimestampRegression
from bridge.events.change_hints import Hint, with_users
from bridge.events.display_text import instant
from bridge.events.event import Event
from bridge.events.event_synthesis import Identities, Identity, synthesize
from bridge.pipeline.registry_clock import Reading, horizon_of, is_past, is_settled, skew, with_clock
from bridge.store.state_metadata import Head, Note

_AGE = (
    "it says that it was created at {}, before the last full scan, which did not show it: so it was hidden then, and is "
    "not announced; had it been made since, the clocks of the registry's servers would differ by minutes"
)

WARY_MS = 86_400_000
"""How long a registry that gave a stale read is expected to give another, ms."""


@dataclass(frozen=True, slots=True)
class Known:
    """What was known before the poll.

    ``counted`` are the numbers of models and versions, ``memory`` holds recently replaced values, ``aside``
    is as in `Horizon`, ``since`` is from when on changes are read (ms by the registry's clock),
    ``is_first`` says that there is no baseline yet, and ``hints`` returns what MLflow's server said since the poll before.
    """

    models: KnownModels
    identities: Identities
    head: Head
    counted: tuple[int, int] = (0, 0)
    memory: RecentlyReplacedValues = field(default_factory=RecentlyReplacedValues)
    aside: Mapping[str, int] = field(default_factory=dict)
    since: int = 0
    is_first: bool = False
    hints: Callable[[], Sequence[Hint]] = tuple

    def caution(self, now_ms: int) -> Caution:
        """Return how far values without a timestamp are accepted."""
        seen = self.head.stale_at
        return Caution.WARY if seen and 0 <= now_ms - seen < WARY_MS else Caution.TRUSTING


@dataclass(frozen=True, slots=True)
class Plan:
    """The result of a poll, and what of it is to be committed (see `PollCommit`)."""

    head: Head
    removed: tuple[str, ...]
    models: Mapping[str, tuple[RegisteredModel, Identity]]
    events: tuple[Event, ...]
    routed: tuple[Routed, ...]
    counted: tuple[int, int]
    unsettled: frozenset[str] = frozenset()
    settled: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()
    superseded: Sequence[Superseded] = ()
    forgotten: int = 0
    review: FilteredRead = field(default_factory=lambda: FilteredRead({}))
    contradicted: tuple[TimestampRegression, ...] = ()


def plan(
    known: Known,
    reading: Reading,
    routes: Sequence[Route],
    now_ms: int,
    held: Collection[ChangeKind] = (),
) -> Plan:
    """Return the plan of a poll that announces every difference except the ``held`` kinds."""
    before, after = resolve(known.models, reading.listing, reading.answers)
    horizon = horizon_of(known.head, reading, known.aside)
    reviewed = _reviewed(known, reading, before, after, now_ms)
    told = withhold_changes(before, reviewed.after, held, horizon) if held else reviewed.after
    found = _plan(known, reading, compare(before, told, horizon), routes, now_ms)
    is_stale = bool(reading.contradicted or reviewed.certain)
    head = replace(found.head, stale_at=now_ms) if is_stale else found.head
    return replace(found, head=head, review=reviewed, contradicted=reading.contradicted)


def _reviewed(known: Known, reading: Reading, before: Snapshot, after: Snapshot, now_ms: int) -> FilteredRead:
    if reading.as_it_is:
        return FilteredRead(after)
    caution = Caution.SUSPECTING if reading.contradicted else known.caution(now_ms)
    return filter_stale_reads(
        before, after, known.memory, now_ms, caution, horizon_of(known.head, reading, known.aside)
    )


def plan_silently(known: Known, reading: Reading, now_ms: int) -> Plan:
    """Return the plan that records the registry as it is, without announcing anything."""
    before, after = resolve(known.models, reading.listing, reading.answers, keep_unknown=False)
    found = _plan(known, reading, compare(before, after), (), now_ms)
    note = Note(now_ms, "rebaselined")
    return replace(found, head=_with_baseline(found.head, reading), events=(), notes=(note,))


def plan_baseline(known: Known, reading: Reading) -> Plan:
    """Return the plan that records a registry for the first time."""
    listing = reading.listing
    head = replace(with_clock(known.head, reading), skew=min(0, listing.latest - reading.began_ms))
    late = {name: model for name, model in reading.answers.items() if isinstance(model, RegisteredModel)}
    gone = {name for name, answer in reading.answers.items() if answer is Absence.GONE}
    models = _Baseline(listing.models, late, gone)
    return Plan(
        head=_with_baseline(replace(head, registry_clock=head.scanned_clock, vouched=head.scanned), reading),
        removed=(),
        models=models,
        events=(),
        routed=(),
        # If pages shift, a scan lists versions twice. So versions are counted as they are stored.
        counted=(len(models), sum(len(model.versions) for model, _ in models.values())),
        unsettled=frozenset(
            name
            for rows in (_rows(listing.models), late)
            for name, row in rows.items()
            if name not in gone and not is_past(row, head, reading)
        ),
    )


def _rows(models: Snapshot) -> Mapping[str, RegisteredModel]:
    return models.rows if isinstance(models, PackedModels) else models


class _Baseline(Mapping[str, tuple[RegisteredModel, Identity]]):
    """Models with their first identities, made one at a time: there may be 100,000 versions."""

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


def _with_baseline(head: Head, reading: Reading) -> Head:
    """Record the start of a baseline that may have skipped versions; these are not announced later."""
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
    ahead = skew(known.head, differences, reading)
    head = replace(known.head, floor=synthesis.floor, past_lanes=dict(synthesis.past_lanes), skew=ahead)
    events = with_users(synthesis.events, known.hints()) if synthesis.events else ()
    routed = tuple(route(events, routes))
    superseded = superseded_by(differences, now_ms)
    return Plan(
        head=with_clock(head, reading),
        removed=tuple(one.before.name for one in differences if one.before is not None),
        models={model.name: (model, synthesis.identities[model.name]) for model in changed},
        events=events,
        routed=routed,
        counted=_counted(known, differences),
        unsettled=frozenset(model.name for model in changed if not is_past(model, head, reading)),
        settled=tuple(_settled(known, reading, differences)),
        notes=(*_notes(differences, now_ms), *_doubts(routed, now_ms)),
        superseded=superseded,
        forgotten=known.memory.expired(now_ms, len(superseded)) if superseded else 0,
    )


def _counted(known: Known, differences: Sequence[ModelDifference]) -> tuple[int, int]:
    models, versions = known.counted
    for one in differences:
        models += (one.after is not None) - (one.before is not None)
        versions += len(one.after.versions if one.after else ()) - len(
            one.before.versions if one.before else ()
        )
    return models, versions


def _settled(known: Known, reading: Reading, differences: Sequence[ModelDifference]) -> Iterator[str]:
    """Yield the unsettled models that were read again late enough, and are unchanged."""
    changed = {one.before.name for one in differences if one.before is not None}
    listing = reading.listing
    for name, since in known.models.unsettled.items():
        row = known.models.row(name)
        was_read = name in listing.same or name in listing.models
        if (
            row is not None
            and was_read
            and name not in changed
            and is_settled(row, since, known.head, reading)
        ):
            yield name


def _notes(differences: Sequence[ModelDifference], now_ms: int) -> Iterator[Note]:
    for one in differences:
        if one.after is not None and one.appeared:
            yield Note(now_ms, "appeared", one.after.name, detail=_AGE.format(instant(one.after.created)))
        if one.after is not None:
            yield from (Note(now_ms, "surfaced", one.after.name, version) for version in one.surfaced)
            yield from (Note(now_ms, "missed", one.after.name, version) for version in one.missed)


def _doubts(routed: Sequence[Routed], now_ms: int) -> Iterator[Note]:
    """Yield one note for each sink with a filter that could not be evaluated, since such errors repeat."""
    first = {one.sink: one for one in reversed(routed) if one.doubt}
    for sink, one in first.items():
        yield Note(
            now_ms,
            "undecided",
            one.event.model_name,
            one.event.model_version or "",
            f"{sink}: when: {one.doubt}",
        )
