"""When the next full scan is due: by the configured interval, and within its share of the registry's time. Pure."""

from dataclasses import dataclass
from uuid import UUID

from bridge.diff.registry_abilities import Abilities
from bridge.store.state_metadata import Head, PollRecord, ReconcileRecord

_SPREAD = 0.1
"""Instances that were started together scan at times that differ by up to this share of the interval."""


@dataclass(frozen=True, slots=True)
class Cadence:
    """How often to scan: every ``interval_ms``, but for at most ``share`` of the time."""

    interval_ms: int
    share: float

    def spacing_ms(self, last: ReconcileRecord, state_id: str, *, is_pressing: bool = False) -> int:
        """Return how long after the start of the ``last`` scan the next one is due.

        Args:
            last: the last full scan.
            state_id: tells instances apart, so that they do not all scan at once.
            is_pressing: whether a scan is wanted as soon as the share allows: the last one
                failed, something is held, or the registry cannot be read in another way.
        """
        for_share = round(last.duration_ms / self.share)
        if is_pressing or not last.went_well:
            return for_share
        return max(round(self.interval_ms * _spread(state_id)), for_share)


def is_pressing(
    head: Head, last: ReconcileRecord, poll: PollRecord | None, abilities: Abilities | None
) -> bool:
    """Whether a scan is wanted as soon as the share allows.

    This is the case while something is held or in doubt, if the registry supports no other kind of read, and
    after a baseline whose pages may have skipped versions: these are found only by the next scan.
    """
    is_confirmed = not head.baseline_clock or last.at > head.baseline_at
    has_order = abilities is None or abilities.has_order
    return bool(poll and (poll.held_digest or poll.doubted)) or not has_order or not is_confirmed


def is_due(last: ReconcileRecord | None, spacing_ms: int, now_ms: int) -> bool:
    """Whether a full scan is due; a last scan in the future (the clock was set back) is ignored."""
    return last is None or not 0 <= now_ms - last.at < spacing_ms


def _spread(state_id: str) -> float:
    """Return a factor close to 1 that is different for each instance."""
    return 1 - _SPREAD + 2 * _SPREAD * (UUID(state_id).int % 10_007) / 10_006
