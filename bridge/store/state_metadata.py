"""The values that the state stores about itself: head, binding, clocks, poll records, notes and summaries."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, NamedTuple, Self

from bridge.config import without_login
from bridge.diff.malformed_rows import OddRow


class _Documented:
    """Converts a dataclass to and from a JSON document, member by member."""

    __slots__ = ()

    def to_document(self) -> dict[str, Any]:
        """Return the value as plain JSON, equal to what is read back, so that the two can be compared."""
        members = asdict(self)  # type: ignore[call-overload]
        return {name: list(one) if isinstance(one, tuple) else one for name, one in members.items()}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Return the value; members that a later version added are ignored."""
        known = {item.name for item in fields(cls)}  # type: ignore[arg-type]
        return cls(**{key: value for key, value in document.items() if key in known})


@dataclass(frozen=True, slots=True)
class Binding(_Documented):
    """The registry that a state belongs to.

    ``fingerprint`` identifies the registry's database, where it can be read. It recognises a registry that
    moved to another URL.
    """

    uri: str
    workspace: str | None = None
    fingerprint: str | None = None


class Stamp(NamedTuple):
    """A time by the bridge's clocks: wall clock (ms since the epoch), and monotonic clock (ms) since that boot."""

    wall_ms: int
    monotonic_ms: int
    boot_id: str

    def until(self, later: "Stamp") -> int:
        """Return the time that has passed until ``later``, ms, at least.

        The monotonic clock may stand still while the machine sleeps, and the wall clock is set back now and
        then.
        """
        steady = later.monotonic_ms - self.monotonic_ms if later.boot_id == self.boot_id else 0
        return max(0, steady, later.wall_ms - self.wall_ms)


@dataclass(frozen=True, slots=True)
class Head(_Documented):
    """The head of the state: values that change with a poll's commit, or when the registry has moved.

    Attributes:
        state_id: a random UUID, made with the baseline; every event id derives from it.
        baseline_at: when the baseline was taken, ms since the epoch.
        uri, workspace, fingerprint: the registry that the state is bound to.
        sequence: the highest entry id given so far.
        floor: a number above every generation of a deleted model.
        past_lanes: lanes of deleted models that had been renamed, by their last name.
        baseline_clock: the registry's clock, ms, when a baseline was taken whose versions came in several
            pages, so that it may have skipped older ones. 0: they came in one page.
        registry_clock: the registry's clock, ms: a model created well before this was visible to a scan,
            so it can't be new.
        scanned_clock: the same clock when the last scan began, judged by the rows it read.
        vouched, scanned: the bridge's times that belong to ``registry_clock`` and ``scanned_clock``.
        skew: the registry's clock minus the bridge's, ms, judged by the last change whose time its rows
            showed, when that was read; never more than 0.
        stale_at: when, by the bridge's clock (ms), the registry last gave a stale read; 0: never.
        noted: how many notes the audit trail has so far.
        accepted: digests of holds that an operator accepted; the same difference is not held again.
        revision: increases whenever a poll changes the head, the snapshot or the outbox. A commit that was
            made from another revision than the present one is refused.

    The store sets ``sequence``, ``noted`` and ``revision`` at the commit, whatever the commit says: an
    operator's command may have used the next numbers between a poll's read and its commit.
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
        """Convert the lists that JSON makes of tuples; earlier versions stored the password of a database's URI."""
        object.__setattr__(self, "uri", without_login(self.uri))
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
    """The distance between the wall clock and the monotonic clock.

    ``distance_ms`` is that distance, ``distrusted_until`` is in seconds of the monotonic clock. Both are only
    valid until the machine restarts; ``boot_id`` identifies its present start.
    """

    boot_id: str
    distance_ms: int
    distrusted_until: float


@dataclass(frozen=True, slots=True)
class PollRecord(_Documented):
    """The last poll, for `status`. Times are ms since the epoch, durations ms.

    ``outcome`` is one of ``ok``, ``failed`` and ``held``; ``error`` says why it failed. ``held`` describes
    the standing hold, whatever the outcome, and ``held_digest`` identifies it. ``held_kinds`` are the kinds
    of events that are held. ``held_vanished`` says that vanished models are held, and new models with them.
    ``kind`` is how the registry was read (``fast`` or ``full``), ``read_from`` when that began, by the
    registry's clock, if it succeeded. ``doubted`` are models that read as older than they are known, so that
    their changes are not announced yet. ``odd_rows`` are the malformed rows that are skipped.
    ``models_listed_at`` is when the last model scan began that came to its end (0 if there was none), and
    ``models_listed_in_ms`` how long it took.
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
    models_listed_at: int = 0
    models_listed_in_ms: int = 0

    def __post_init__(self) -> None:
        """Convert the lists that JSON makes of tuples, and the objects that it makes of rows."""
        object.__setattr__(self, "held_kinds", tuple(self.held_kinds))
        object.__setattr__(self, "doubted", tuple(self.doubted))
        rows: tuple[Any, ...] = tuple(self.odd_rows)
        object.__setattr__(
            self, "odd_rows", tuple(OddRow(**row) if isinstance(row, dict) else row for row in rows)
        )


@dataclass(frozen=True, slots=True)
class ReconcileRecord(_Documented):
    """The last full scan: when it began (ms since the epoch), its duration, and whether it succeeded.

    The next poll continues an ``unfinished`` scan; the duration is that of all its parts.
    """

    at: int
    duration_ms: int
    went_well: bool
    unfinished: bool = False


@dataclass(frozen=True, slots=True)
class Note(_Documented):
    """A note in the audit trail, which records more than events. ``at`` is ms since the epoch.

    ``kind`` is one of:
    ``appeared`` (a model came into view late and was recorded without an event),
    ``surfaced`` (the same for a version that the pages of the baseline had skipped),
    ``missed`` (a version changed between two polls, but nothing shows how),
    ``left_aside`` (a malformed row is skipped; ``detail`` says why),
    ``readable`` (the row can be read again),
    ``doubted`` (a model reads as older than it is known, so its changes wait),
    ``undecided`` (a sink's ``when`` could not be evaluated, so it got the event),
    ``held`` (changes wait for an operator), ``accepted`` or ``lifted`` (a hold has ended),
    ``rebaselined`` (the registry was recorded as it is, without announcing changes),
    ``restored`` (the state is one from a backup: ids and numbers go on above all that were given before);
    or an operator's command on the outbox: ``redriven``, ``dropped``, ``replayed``, ``paused``, ``resumed``,
    or on the webhooks: ``webhook_created``, ``webhook_updated``, ``webhook_deleted``, ``webhooks_rekeyed``.
    or what became of a transition request: ``request_created``, ``request_refused`` (a tag asks for
    what cannot be), ``request_seconded`` (approved by one of several who
    have to), ``request_approved``, ``request_rejected``, ``request_cancelled``, ``request_expired``,
    ``request_applied`` (the transition was made), ``request_failed`` (MLflow refused it);
    or of a transition that went past an enforcing gate: ``transition_refused``, ``transition_reverted``,
    ``transition_overtaken`` (the version was moved on since), ``transition_kept`` (it could not be undone).
    ``by`` is who gave it: the name of a token, or ``command``; empty for what no request caused.
    """

    at: int
    kind: str
    model: str = ""
    version: str = ""
    detail: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class AttemptRecord(_Documented):
    """One attempt: when it began (ms since the epoch), its duration (ms), and its outcome."""

    at: int
    duration_ms: int
    reason: str
    status: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class GovernanceSummary:
    """The requests and direct transitions in numbers.

    ``requests`` and ``direct`` are how many have each status. ``oldest_pending_at`` is when the request was made that waits
    longest for a decision (ms since the epoch).
    """

    requests: Mapping[str, int] = field(default_factory=dict)
    direct: Mapping[str, int] = field(default_factory=dict)
    oldest_pending_at: int | None = None


@dataclass(frozen=True, slots=True)
class SinkSummary:
    """The outbox of one sink in numbers. ``oldest_pending`` is the number of the entry that waits longest."""

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
