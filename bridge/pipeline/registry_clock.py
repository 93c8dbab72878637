"""The time by the registry's clock, estimated from the timestamps in its rows. Pure.

Headers of the server are not used, because a proxy on the way may set them. The bridge's own clocks are used
to tell how much time has passed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bridge.diff.absence_verification import Answers, Listing
from bridge.diff.previously_hidden_models import Horizon
from bridge.diff.recently_replaced_values import OVERLAP_MS
from bridge.diff.snapshot import RegisteredModel
from bridge.diff.snapshot_comparison import ModelDifference
from bridge.diff.timestamp_regressions import TimestampRegression
from bridge.store.state_metadata import Head, Stamp

_HOUR_MS = 3_600_000

CLOCKS_APART_MS = 900_000
"""How far a registry's clock may be behind the bridge's. Used only to decide about holds and malformed rows."""

_NOTHING: Mapping[str, int] = {}


@dataclass(frozen=True, slots=True)
class Reading:
    """The result of reading a registry, before it is compared.

    Attributes:
        listing: what the read listed.
        answers: the point reads of models that the listing leaves in doubt.
        began, ended: the bridge's times of the read.
        contradicted: parts that were listed as old, but read as known a moment later.
        as_it_is: whether an operator accepts the reading as the present state, even if it looks stale.
    """

    listing: Listing
    answers: Answers
    began: Stamp
    ended: Stamp
    contradicted: tuple[TimestampRegression, ...] = ()
    as_it_is: bool = False

    @property
    def began_ms(self) -> int:
        """When the read began, by the bridge's wall clock, ms since the epoch."""
        return self.began.wall_ms


def horizon_of(head: Head, reading: Reading, aside: Mapping[str, int] = _NOTHING) -> Horizon:
    """Return the times before which anything new to the bridge was hidden rather than created.

    For models, the time moves on with every scan. For versions, it stays at the baseline: later scans find
    new versions by comparison with the snapshot, so a version that one of them skips is still announced.
    ``aside`` is as in `Horizon`.
    """
    if not head.registry_clock:
        return Horizon()
    models = _clock_at_scan(head, reading) - OVERLAP_MS
    versions = min(head.baseline_clock - OVERLAP_MS, models) if head.baseline_clock else None
    return Horizon(models, versions, aside)


def _clock_at_scan(head: Head, reading: Reading) -> int:
    """Return the least time that the registry's clock showed when the scan began that vouches for its content.

    It is computed from the latest row of that scan, and from the latest row now, less the time that has
    passed since by the bridge's clocks. Rows of the future are ignored, so it is never later than the
    bridge's clock was.
    """
    if head.vouched is None:
        return head.registry_clock
    now = reading.listing.latest - head.vouched.until(reading.ended)
    return max(head.registry_clock, min(now, head.vouched.wall_ms))


def is_past(model: RegisteredModel, head: Head, reading: Reading) -> bool:
    """Whether no further row with this row's time can become visible.

    The registry's rows show its time at least. If no rows change, the bridge's own clock shows it as well, up
    to an hour. If the registry's clock is further behind, a later scan finds what was wrongly taken as
    settled.
    """
    told = min(reading.listing.latest, reading.began_ms)
    now = max(told, registry_time(head, reading.began_ms))
    return now > model.updated + OVERLAP_MS


def registry_time(head: Head, now_ms: int) -> int:
    """Return what the registry's clock shows at least when the bridge's shows ``now_ms``: it is an hour behind at most.

    In a registry at rest, its rows show nothing later than its last change, which may be days ago.
    """
    return now_ms + max(head.skew, -_HOUR_MS)


def is_settled(model: RegisteredModel, since: int, head: Head, reading: Reading) -> bool:
    """Whether no change with the same timestamp can have become visible since its versions were read.

    ``since`` is when that was recorded, by the bridge's clock (ms).
    """
    return is_past(model, head, reading) or not 0 <= reading.began_ms - since <= OVERLAP_MS


def with_clock(head: Head, reading: Reading) -> Head:
    """Move forward the time before which anything new was hidden rather than created.

    It is the latest time in the registry's own rows; a row of the future is ignored. A scan in several pages
    can have skipped a model that was new then, so it vouches only for what the scan before it could see.
    """
    listing = reading.listing
    if not listing.is_complete:
        return head
    seen = min(listing.latest, reading.began_ms)
    clock, vouched = (seen, reading.began) if listing.atomic else (head.scanned_clock, head.scanned)
    return replace(head, registry_clock=clock, vouched=vouched, scanned_clock=seen, scanned=reading.began)


def skew(head: Head, differences: Sequence[ModelDifference], reading: Reading) -> int:
    """Return how far the registry's clock is behind the bridge's at most, by its rows (ms, negative or 0).

    A change shows that the clock had reached its time when it was seen. A full scan computes it anew, because
    a clock may have been set.
    """
    moved = [
        one.after.updated
        for one in differences
        if one.after is not None and not one.appeared
        if one.before is None or one.after.updated > one.before.updated
    ]
    if not moved:
        return head.skew
    seen = min(0, max(moved) - reading.began_ms)
    return seen if reading.listing.is_complete else max(head.skew, seen)
