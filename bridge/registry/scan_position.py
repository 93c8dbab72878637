"""The progress of a full scan, stored so that a later poll can continue it."""

from collections.abc import Callable, Iterator, Mapping
from threading import Lock
from typing import Any

from bridge.diff.absence_verification import Listing
from bridge.diff.full_scan_comparison import Collector
from bridge.diff.known_snapshot import KnownModels
from bridge.errors import RegistryUnreachable
from bridge.registry.page_sizes import PageSizes

Document = Mapping[str, Any]


class ScanGaveWay(RegistryUnreachable):
    """A scan stopped between two pages, so that something more urgent is read first; it can be continued."""


class ScanProgress:
    """The pages that a scan has read.

    One thread reads and adds pages. Another thread may call `keep` at any time; after that, no more pages are
    accepted.
    """

    def __init__(
        self,
        kept: Document | None = None,
        part_of: Callable[[str], Document] | None = None,
        gives_way: Callable[[], bool] = lambda: False,
        *,
        has_brief_pages: bool = False,
    ) -> None:
        """Continue from ``kept``, the progress of an earlier scan, as far as it is usable; ``part_of`` reads its parts by name.

        After each page, ``gives_way`` says whether something more urgent waits; with ``has_brief_pages`` it waits half a
        second or so.
        """
        self._has_brief_pages = has_brief_pages
        self._kept: Document = kept or {}
        self._part_of = part_of or dict[str, Document]().__getitem__
        self._gives_way = gives_way
        self._lock = Lock()
        self._is_kept = False
        self._collector: Collector | None = None
        self._facts: dict[str, Any] = {}
        self._sizes: PageSizes | None = None
        self._several = [False, False]  # whether models, and versions, came in several pages
        self.step = 0
        self.token: str | None = None
        self.pages = 0
        """How many pages this scan itself has read."""
        self.goes_on = False
        """Whether this scan continues an earlier one."""

    def begin(self, known: KnownModels, sizes: PageSizes, *, with_facts: bool, **facts: Any) -> Collector:
        """Begin or continue; an earlier scan is only continued if its ``facts`` (plain JSON) were the same."""
        self._sizes = sizes
        sizes.take(self._kept.get("sizes", {}))
        sizes.be_brief(brief=self._has_brief_pages)
        self._facts = {**facts, "with_facts": with_facts}
        collector = self._taken_up(known, with_facts=with_facts)
        self.goes_on = collector is not None
        if self.goes_on:
            self.step, self.token = self._kept["step"], self._kept["token"]
            self._several = [True, True]
        self._collector = collector or Collector(known, with_facts=with_facts)
        return self._collector

    def _taken_up(self, known: KnownModels, *, with_facts: bool) -> Collector | None:
        """Return what the earlier scan collected, or None if it cannot go on."""
        if "totals" not in self._kept or self._kept["facts"] != self._facts:
            return None
        parts = map(self._part_of, self._kept["parts"])
        try:
            return Collector.from_documents(known, self._kept["totals"], parts, with_facts=with_facts)
        except KeyError:  # a part is missing
            return None

    @property
    def sizes(self) -> Document:
        """The page sizes as plain JSON, where they are smaller than at first."""
        return self._sizes.to_document() if self._sizes is not None and self._sizes.are_less else {}

    @property
    def counted(self) -> tuple[int, int]:
        """How many models and how many versions have been read."""
        return self._collector.counted if self._collector else (0, 0)

    def take_in(self, page: Callable[[], None], token: str | None, *, of_versions: bool) -> None:
        """Add a page, which is followed by the page at ``token``; without a token, the step is complete.

        Raises:
            RegistryUnreachable: the caller no longer waits for the scan.
            ScanGaveWay: the page was added, and something more urgent waits.
        """
        with self._lock:
            if self._is_kept:
                raise RegistryUnreachable("the scan was given up")
            page()
            self._several[of_versions] |= self.token is not None or bool(token)
            self.step, self.token = (self.step, token) if token else (self.step + 1, None)
            self.pages += 1
        if self._gives_way():
            raise ScanGaveWay("something more urgent is read first")

    def begin_again(self) -> None:
        """Go back to the first page."""
        self.step, self.token = 0, None

    def listing(self) -> Listing:
        """Return the result of the scan, once it is complete."""
        assert self._collector is not None  # noqa: S101 - it has begun
        models, versions = self._several
        return self._collector.listing(atomic=not models, pages_versions=versions)

    def keep(self, scan: str) -> Document | None:
        """Accept no more pages; return the progress of the ``scan`` as plain JSON, or None if nothing new was read.

        Its ``parts`` are the names of what `new_parts` returned, now and earlier.
        """
        with self._lock:
            self._is_kept = True
            if self._collector is None:
                return None
            if not self.pages:
                news = self.sizes != self._kept.get("sizes", {})
                return {**self._kept, "sizes": self.sizes} if news else None
            return {
                "sizes": self.sizes,
                "facts": self._facts,
                "step": self.step,
                "token": self.token,
                # Not "collected": by that name, versions up to 0.1.0 know a document that has no parts.
                "totals": self._collector.to_document(),
                "parts": [*self._earlier_parts, *self._new_names(scan, len(self._collector.new_parts()))],
            }

    def new_parts(self, scan: str) -> Iterator[tuple[str, Document]]:
        """Yield, after `keep`, the names and contents of the parts that this scan adds."""
        if self._collector is not None:
            parts = self._collector.new_parts()
            for name, models in zip(self._new_names(scan, len(parts)), parts, strict=True):
                yield name, self._collector.part(models)

    def all_parts(self, scan: str) -> dict[str, Document]:
        """Return, after `keep`, all parts by name: this process can go on from them, with nothing stored."""
        earlier = {name: self._part_of(name) for name in self._earlier_parts}
        return {**earlier, **dict(self.new_parts(scan))}

    @property
    def _earlier_parts(self) -> list[str]:
        return self._kept["parts"] if self.goes_on else []

    def _new_names(self, scan: str, count: int) -> list[str]:
        first = len(self._earlier_parts) + 1
        return [f"{scan}.{number}" for number in range(first, first + count)]
