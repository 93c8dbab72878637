"""When the next scan is due: by the configured interval, and within its share of the registry's time. Pure."""

from dataclasses import dataclass
from uuid import UUID

from bridge.diff.registry_abilities import Abilities
from bridge.store.state_metadata import Head, PollRecord, ReconcileRecord

_FOR_MODELS = 0.8
"""The part of the share that model scans get in a large registry; full scans get the rest."""

_MODELS_IN_SCAN = 0.25
"""The part of a full scan that listing the models takes, roughly: an estimate for the first model scan."""

_MODEL_SCANS = 5
"""How many model scans there are at most in the interval of full scans."""

_RECENT = 4
"""After so many times their spacing without a model scan, full scans have the whole share again."""

_SPREAD = 0.1
"""Instances that were started together scan at times that differ by up to this share of the interval."""


@dataclass(frozen=True, slots=True)
class Cadence:
    """How often to scan: every ``interval_ms``, but for at most ``share`` of the time."""

    interval_ms: int
    share: float

    def spacing_ms(
        self,
        last: ReconcileRecord,
        state_id: str,
        *,
        is_pressing: bool = False,
        has_model_scans: bool = False,
    ) -> int:
        """Return how long after the start of the ``last`` scan the next one is due.

        Args:
            last: the last full scan.
            state_id: tells instances apart, so that they do not all scan at once.
            is_pressing: whether a scan is wanted as soon as the share allows: the last one
                failed, something is held, or the registry cannot be read in another way.
            has_model_scans: whether model scans take their part of the share.
        """
        if is_pressing or not last.went_well:
            return round(last.duration_ms / self.share)
        share = self._rest if has_model_scans else self.share
        return max(round(self.interval_ms * _spread(state_id)), round(last.duration_ms / share))

    def needs_model_scans(self, last: ReconcileRecord, poll: PollRecord | None) -> bool:
        """Whether full scans are held back by their share, and models are but the smaller part of them."""
        is_slow = last.went_well and last.duration_ms > self.interval_ms * self.share
        return is_slow and (poll is None or poll.models_listed_in_ms <= last.duration_ms / 2)

    def has_model_scans(self, last: ReconcileRecord, poll: PollRecord | None, now_ms: int) -> bool:
        """Whether model scans are being made: one was since the last full scan, and not long ago."""
        if poll is None or poll.models_listed_at <= last.at:
            return False
        return now_ms - poll.models_listed_at < _RECENT * self.model_scan_spacing_ms(last, poll)

    def model_scan_spacing_ms(self, last: ReconcileRecord, poll: PollRecord | None) -> int:
        """Return how long after the start of the last scan of any kind the next model scan is due."""
        known_ms = poll.models_listed_in_ms if poll else 0
        for_share = (known_ms or last.duration_ms * _MODELS_IN_SCAN) / (self.share * _FOR_MODELS)
        return round(max(self.interval_ms / _MODEL_SCANS, for_share))

    @property
    def _rest(self) -> float:
        return self.share * (1 - _FOR_MODELS)


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


def is_due(last_at: int | None, spacing_ms: int, now_ms: int) -> bool:
    """Whether a scan is due after the one at ``last_at``; one in the future (the clock was set back) is ignored."""
    return last_at is None or not 0 <= now_ms - last_at < spacing_ms


def _spread(state_id: str) -> float:
    """Return a factor close to 1 that is different for each instance."""
    return 1 - _SPREAD + 2 * _SPREAD * (UUID(state_id).int % 10_007) / 10_006
