"""What time it is at the registry, as far as its own rows tell. Pure.

Servers' headers don't count: a proxy on the way may write them. Our own clocks count for how much time went by.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bridge.diff.absence_verification import Answers, Listing
from bridge.diff.previously_hidden_models import Horizon
from bridge.diff.recently_replaced_values import OVERLAP_MS
from bridge.diff.snapshot import RegisteredModel
from bridge.diff.snapshot_comparison import ModelDifference
from bridge.diff.timestamp_regressions import Sign
from bridge.store.state_values import Head, Stamp

_HOUR_MS = 3_600_000

CLOCKS_APART_MS = 900_000
"""How far a registry's clock is taken to be behind ours at most, where that only makes a hold, or an odd row, be judged."""

_NOTHING: Mapping[str, int] = {}


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read.

    Attributes:
        listing: what the read showed.
        answers: the answers to its doubts.
        began, ended: our own time then.
        contradicted: what was read as old, and as known a moment later.
        as_it_is: whether it counts as the present, whatever it looks like: an operator says so.
    """

    listing: Listing
    answers: Answers
    began: Stamp
    ended: Stamp
    contradicted: tuple[Sign, ...] = ()
    as_it_is: bool = False

    @property
    def began_ms(self) -> int:
        """When it began, by our wall clock, ms since the epoch."""
        return self.began.wall_ms


def horizon_of(head: Head, reading: Reading, aside: Mapping[str, int] = _NOTHING) -> Horizon:
    """Return before when nothing can have been created unseen.

    Of models, that moves on with every scan; of versions, it stays with the baseline: later
    scans find what is missing by what is known, and a creation that one of them skips is news.
    ``aside`` is as `Horizon` has it.
    """
    if not head.registry_clock:
        return Horizon()
    models = _clock_at_scan(head, reading) - OVERLAP_MS
    versions = min(head.baseline_clock - OVERLAP_MS, models) if head.baseline_clock else None
    return Horizon(models, versions, aside)


def _clock_at_scan(head: Head, reading: Reading) -> int:
    """Return how far the registry's clock was on, at least, when the scan began that vouches for what was there.

    Its rows tell: the latest of them then, and the latest of them now, less the time that went by since, by our
    clocks. Rows of the future tell nothing, so it is never later than our own clock was.
    """
    if head.vouched is None:
        return head.registry_clock
    now = reading.listing.latest - head.vouched.until(reading.ended)
    return max(head.registry_clock, min(now, head.vouched.wall_ms))


def is_past(model: RegisteredModel, head: Head, reading: Reading) -> bool:
    """Whether nothing of a row's time can become visible any more.

    The registry's rows tell how far its clock is. Where it rests, our own clock tells as well, if not to the
    hour: were it further ahead, a later scan would show what was taken for settled.
    """
    told = min(reading.listing.latest, reading.began_ms)
    now = max(told, reading.began_ms + max(head.skew, -_HOUR_MS))
    return now > model.updated + OVERLAP_MS


def is_settled(model: RegisteredModel, since: int, head: Head, reading: Reading) -> bool:
    """Whether nothing of the same timestamp can have become visible since its versions were read.

    ``since`` is when it was recorded, by our clock (ms).
    """
    return is_past(model, head, reading) or not 0 <= reading.began_ms - since <= OVERLAP_MS


def with_clock(head: Head, reading: Reading) -> Head:
    """Move the instant before which nothing can have been created unseen.

    That is told by the latest time in the registry's own rows; a row of the future tells nothing. A scan in
    several pages can have skipped a model that was new then, so it vouches only for what the scan before it
    could see.
    """
    listing = reading.listing
    if not listing.is_complete:
        return head
    seen = min(listing.latest, reading.began_ms)
    clock, vouched = (seen, reading.began) if listing.atomic else (head.scanned_clock, head.scanned)
    return replace(head, registry_clock=clock, vouched=vouched, scanned_clock=seen, scanned=reading.began)


def skew(head: Head, differences: Sequence[ModelDifference], reading: Reading) -> int:
    """Return how far the registry's clock is ahead of ours at least (ms, never more than 0), as its rows tell.

    A change tells that the clock was as far when it was seen. A full scan begins anew: a clock may have been set.
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
