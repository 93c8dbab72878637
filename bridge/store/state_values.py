"""What the state says of itself, as values."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, NamedTuple, Self

from bridge.diff.malformed_rows import OddRow


class _Documented:
    """To and from a JSON document, member by member."""

    __slots__ = ()

    def to_document(self) -> dict[str, Any]:
        """Return the value as plain JSON: as it is read again, so that the two can be compared."""
        members = asdict(self)  # type: ignore[call-overload]
        return {name: list(one) if isinstance(one, tuple) else one for name, one in members.items()}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Return the value; members that a later version added are ignored."""
        known = {item.name for item in fields(cls)}  # type: ignore[arg-type]
        return cls(**{key: value for key, value in document.items() if key in known})


@dataclass(frozen=True, slots=True)
class Binding(_Documented):
    """Which registry a state belongs to.

    ``fingerprint`` identifies the registry's database where it can be read; a registry that
    moved to another URL is recognised by it.
    """

    uri: str
    workspace: str | None = None
    fingerprint: str | None = None


class Stamp(NamedTuple):
    """An instant of ours: wall clock (ms since the epoch), and monotonic clock (ms) since that start of the machine."""

    wall_ms: int
    monotonic_ms: int
    boot_id: str

    def until(self, later: "Stamp") -> int:
        """Return how much time went by until ``later``, ms, at least.

        One clock stands still while the machine sleeps, the other is set back now and then.
        """
        steady = later.monotonic_ms - self.monotonic_ms if later.boot_id == self.boot_id else 0
        return max(0, steady, later.wall_ms - self.wall_ms)


@dataclass(frozen=True, slots=True)
class Head(_Documented):
    """The state's own facts, which change together with a poll's commit, or when the registry has moved.

    Attributes:
        state_id: a random UUID, made with the baseline; every event id derives from it.
        baseline_at: when the baseline was taken, ms since the epoch.
        uri, workspace, fingerprint: the registry that the state is bound to.
        sequence: the highest entry id given so far.
        floor: above every generation of a model that is gone.
        past_lanes: lanes of deleted models that had been renamed, by their last name.
        baseline_clock: by the registry's own clock, ms, when a baseline was taken whose versions
            came in several pages: it can have skipped older ones. 0: they came in one.
        registry_clock: by the registry's own clock, ms: whatever was created well before this
            was there to be seen, so that it can't be new.
        scanned_clock: the same clock when the last scan began, as far as its rows told.
        vouched, scanned: our own time then: of ``registry_clock``, of ``scanned_clock``.
        skew: how far the registry's clock was ahead of ours, ms, by the last change that its rows told the
            time of, when that was seen; never more than 0.
        stale_at: when, by our clock (ms), the registry last gave a picture older than what was known; 0: never.
        noted: how many notes the audit trail was given so far.
        accepted: digests of holds that an operator accepted; the same is not held again.
        revision: rises whenever these facts, the snapshot or the outbox change by a poll. What was made
            from another revision than the present one is not committed.

    The store gives ``sequence``, ``noted`` and ``revision`` at the commit, whatever a commit says of them:
    between a look and its commit, an operator may have been given the next numbers.
    """

    state_id: str
    baseline_at: int
    uri: str
    workspace: str | None = None
    fingerprint: str | None = None
    sequence: int = 0
    floor: int = 0
    past_lanes: Mapping[str, str] = field(default_factory=dict)
    baseline_clock: int = 0
    registry_clock: int = 0
    scanned_clock: int = 0
    vouched: Stamp | None = None
    scanned: Stamp | None = None
    skew: int = 0
    stale_at: int = 0
    noted: int = 0
    accepted: tuple[str, ...] = ()
    revision: int = 0

    def __post_init__(self) -> None:
        """Take the lists that JSON makes of tuples."""
        object.__setattr__(self, "accepted", tuple(self.accepted))
        for name in ("vouched", "scanned"):
            value = getattr(self, name)
            object.__setattr__(self, name, Stamp(*value) if value else None)

    @property
    def binding(self) -> Binding:
        """The registry that the state is bound to."""
        return Binding(self.uri, self.workspace, self.fingerprint)


@dataclass(frozen=True, slots=True)
class ClockRecord(_Documented):
    """How the wall clock stood to the monotonic one.

    ``distance_ms`` between them, ``distrusted_until`` in seconds of the monotonic clock; both
    mean something only during the start of the machine that ``boot_id`` names.
    """

    boot_id: str
    distance_ms: int
    distrusted_until: float


@dataclass(frozen=True, slots=True)
class PollRecord(_Documented):
    """The last poll, for `status`. Times are ms since the epoch, durations ms.

    ``outcome`` is one of ``ok``, ``failed`` and ``held``; ``error`` says why it failed. ``held``
    says what waits for an operator, and ``held_digest`` names it, whatever came of the poll;
    ``held_kinds`` are the kinds of events that wait, and ``held_vanished`` says that models
    vanished, so that new ones wait, too. ``kind`` is how the registry was read (``fast`` or
    ``full``), ``read_from`` when that began, by the registry's clock, where it went well. ``doubted`` are
    models that read as older than they are known, so that what was read of them is not told yet.
    ``odd_rows`` are those that are left aside.
    """

    attempted_at: int
    outcome: str
    succeeded_at: int | None = None
    duration_ms: int = 0
    models: int = 0
    versions: int = 0
    events: int = 0
    error: str = ""
    held: str = ""
    held_digest: str = ""
    held_kinds: tuple[str, ...] = ()
    held_vanished: bool = False
    doubted: tuple[str, ...] = ()
    kind: str = ""
    read_from: int = 0
    odd_rows: tuple[OddRow, ...] = ()

    def __post_init__(self) -> None:
        """Take the lists that JSON makes of tuples, and the objects that it makes of rows."""
        object.__setattr__(self, "held_kinds", tuple(self.held_kinds))
        object.__setattr__(self, "doubted", tuple(self.doubted))
        rows: tuple[Any, ...] = tuple(self.odd_rows)
        object.__setattr__(
            self, "odd_rows", tuple(OddRow(**row) if isinstance(row, dict) else row for row in rows)
        )


@dataclass(frozen=True, slots=True)
class ReconcileRecord(_Documented):
    """The last full scan: when it began (ms since the epoch), what it took, and whether it went well.

    One that is ``unfinished`` goes on with the next poll; what it took are then, and in the end, all its parts.
    """

    at: int
    duration_ms: int
    went_well: bool
    unfinished: bool = False


@dataclass(frozen=True, slots=True)
class Note(_Documented):
    """What the audit trail says beside the events. ``at`` is ms since the epoch.

    ``kind`` is ``appeared`` (a model came into view late and was taken into the baseline),
    ``surfaced`` (so did a version that the pages of the baseline had skipped),
    ``missed`` (something happened to a version between two looks that left no other trace),
    ``left_aside`` (a row of the registry cannot be taken for what it should be; ``detail`` says why),
    ``readable`` (it can again),
    ``doubted`` (a model reads as older than it is known, so what was read of it waits),
    ``undecided`` (a sink's ``when`` had no value, so it got the event),
    ``held`` (changes wait for an operator), ``accepted`` or ``lifted`` (what was held is no more),
    ``rebaselined`` (the registry was recorded as it is, and what had changed was not told);
    or what an operator did to the outbox: ``redriven``, ``dropped``, ``replayed``, ``paused``, ``resumed``.
    """

    at: int
    kind: str
    model: str = ""
    version: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class AttemptRecord(_Documented):
    """One attempt: when it began (ms since the epoch), what it took (ms), and what came of it."""

    at: int
    duration_ms: int
    reason: str
    status: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SinkSummary:
    """What the outbox holds for one sink. ``oldest_pending`` is the number of the entry that waits longest."""

    sink: str
    pending: int = 0
    dead: int = 0
    delivered: int = 0
    oldest_pending_at: int | None = None
    oldest_pending: int | None = None
    last_attempt_at: int | None = None
    last_reason: str = ""
    last_status: int | None = None
    last_detail: str = ""
