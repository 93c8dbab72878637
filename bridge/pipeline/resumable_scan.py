"""A full scan that takes longer than one poll: what each of several polls reads of it."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from bridge.registry.scan_position import ScanProgress
from bridge.store.state_metadata import Head, Stamp

_LONGEST_MS = 12 * 3_600_000
"""What was read longer ago than this is read again."""


class ScanSlice:
    """One poll's share of a scan; `keep` and `new_parts` return what the next poll continues from."""

    def __init__(
        self,
        now: Stamp,
        kept: Mapping[str, Any] | None = None,
        part_of: Callable[[str], Mapping[str, Any]] | None = None,
        gives_way: Callable[[], bool] = lambda: False,
        *,
        has_brief_pages: bool = False,
    ) -> None:
        """Continue from ``kept``, unless that is too old (or in the future, because the clock was set back).

        ``part_of``, ``gives_way`` and ``has_brief_pages`` are as for `ScanProgress`.
        """
        is_recent = kept is not None and 0 <= now.wall_ms - kept["began"][0] < _LONGEST_MS
        self._kept = kept if is_recent else None
        self._place: list[str | None] = []
        self._now = now
        self._begin_progress = partial(
            ScanProgress, part_of=part_of, gives_way=gives_way, has_brief_pages=has_brief_pages
        )
        self.progress = self._begin_progress()

    @property
    def began(self) -> Stamp:
        """When the scan began, by the bridge's clocks: perhaps in an earlier poll."""
        return Stamp(*self._kept["began"]) if self._kept and self.progress.goes_on else self._now

    @property
    def spent_ms(self) -> int:
        """How long earlier polls took for this scan."""
        return int(self._kept["spent_ms"]) if self._kept and self.progress.goes_on else 0

    def begin(self, head: Head, now: Stamp) -> ScanProgress:
        """Return the progress to continue from; progress with another registry than that of ``head`` is discarded."""
        self._place, self._now = [head.uri, head.workspace, head.fingerprint], now
        if self._kept is not None and self._kept["place"] == self._place:
            self.progress = self._begin_progress(self._kept["progress"])
        return self.progress

    def keep(self, duration_ms: int) -> Mapping[str, Any] | None:
        """Stop reading; return the progress as plain JSON, without its parts, or None if nothing new was read."""
        progress = self.progress.keep(self._name)
        if progress is None:
            return None
        return self._document(progress, self.spent_ms + duration_ms)

    def new_parts(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield, after `keep`, the names and contents of the parts that are new; they are stored before the progress is."""
        return self.progress.new_parts(self._name)

    def all_parts(self) -> Mapping[str, Mapping[str, Any]]:
        """Return, after `keep`, all parts by name, also those of earlier slices."""
        return self.progress.all_parts(self._name)

    @property
    def _name(self) -> str:
        """What tells the parts of this scan from those of another."""
        return str(self.began.wall_ms)

    def leave(self) -> Mapping[str, Any] | None:
        """Return, after the scan is over, the page sizes for the next scan; None if there are none."""
        sizes = self.progress.sizes
        return self._document({"sizes": sizes}, 0) if sizes else None

    def _document(self, progress: Mapping[str, Any], spent_ms: int) -> Mapping[str, Any]:
        began = {"began": list(self.began), "spent_ms": spent_ms}
        return {**began, "place": self._place, "progress": progress}
