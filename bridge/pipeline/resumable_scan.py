"""A full scan that takes longer than one poll may: what each of several polls reads of it, a slice."""

from collections.abc import Mapping
from typing import Any

from bridge.registry.scan_position import ScanProgress
from bridge.store.state_values import Head, Stamp

_LONGEST_MS = 12 * 3_600_000
"""What was read longer ago than this is read again."""


class ScanSlice:
    """One poll's part of a scan; `keep` is what the next one goes on with."""

    def __init__(self, now: Stamp, kept: Mapping[str, Any] | None = None) -> None:
        """Go on with what was ``kept``, unless that is too old (or from the future: the clock was set back)."""
        is_recent = kept is not None and 0 <= now.wall_ms - kept["began"][0] < _LONGEST_MS
        self._kept = kept if is_recent else None
        self._place: list[str | None] = []
        self._now = now
        self.progress = ScanProgress()

    @property
    def began(self) -> Stamp:
        """When the scan began, by our own clocks: maybe in an earlier poll."""
        return Stamp(*self._kept["began"]) if self._kept and self.progress.goes_on else self._now

    @property
    def spent_ms(self) -> int:
        """How long earlier polls took over it."""
        return int(self._kept["spent_ms"]) if self._kept and self.progress.goes_on else 0

    def begin(self, head: Head, now: Stamp) -> ScanProgress:
        """Return the progress to go on with; what was read of another registry than that of ``head`` counts for nothing."""
        self._place, self._now = [head.uri, head.workspace, head.fingerprint], now
        if self._kept is not None and self._kept["place"] == self._place:
            self.progress = ScanProgress(self._kept["progress"])
        return self.progress

    def keep(self, duration_ms: int) -> Mapping[str, Any] | None:
        """Read no more; return what there is as plain JSON, or None where that is nothing new."""
        progress = self.progress.keep()
        if progress is None:
            return None
        return self._document(progress, self.spent_ms + duration_ms)

    def leave(self) -> Mapping[str, Any] | None:
        """Return, once the scan is over, what is good to know for the next one; None where nothing is."""
        sizes = self.progress.sizes
        return self._document({"sizes": sizes}, 0) if sizes else None

    def _document(self, progress: Mapping[str, Any], spent_ms: int) -> Mapping[str, Any]:
        began = {"began": list(self.began), "spent_ms": spent_ms}
        return {**began, "place": self._place, "progress": progress}
