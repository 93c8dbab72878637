"""How far a full scan has come, so that a later one can go on from there."""

from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any

from bridge.diff.collect import Collector
from bridge.diff.doubts import Listing
from bridge.diff.known import KnownModels
from bridge.errors import RegistryUnreachable
from bridge.registry.page_sizes import PageSizes

Document = Mapping[str, Any]


class ScanProgress:
    """The pages of a scan, as they are taken in.

    One thread reads and takes in; another may `keep` what there is at any time: from then on,
    nothing is taken in any more.
    """

    def __init__(self, kept: Document | None = None) -> None:
        """Go on with what was ``kept`` of an earlier scan, as far as it is of use."""
        self._kept: Document = kept or {}
        self._lock = Lock()
        self._is_kept = False
        self._collector: Collector | None = None
        self._facts: dict[str, Any] = {}
        self._sizes: PageSizes | None = None
        self._clock: int | None = None
        self._several = [False, False]  # whether models, and versions, came in several pages
        self.step = 0
        self.token: str | None = None
        self.pages = 0
        """How many were taken in by this scan itself."""

    @property
    def goes_on(self) -> bool:
        """Whether an earlier scan left pages to go on after."""
        return "collected" in self._kept

    def begin(
        self, known: KnownModels, sizes: PageSizes, *, clock: int | None, with_facts: bool, **facts: Any
    ) -> Collector:
        """Begin, or go on; ``facts`` (plain JSON) are what has to be as it was then, ``clock`` the registry's, ms."""
        self._sizes = sizes
        sizes.take(self._kept.get("sizes", {}))
        self._facts = {**facts, "with_facts": with_facts}
        if self.goes_on and self._kept["facts"] == self._facts:
            collector = Collector.from_document(known, self._kept["collected"], with_facts=with_facts)
            self.step, self.token, self._clock = (self._kept[key] for key in ("step", "token", "clock"))
            self._several = [True, True]
        else:
            collector, self._clock = Collector(known, with_facts=with_facts), clock
        self._collector = collector
        return collector

    @property
    def sizes(self) -> Document | None:
        """How large pages may be, in plain JSON, where that is less than they are at first."""
        return self._sizes.to_document() if self._sizes is not None and self._sizes.are_less else None

    @property
    def counted(self) -> tuple[int, int]:
        """How many models and how many versions have been read."""
        return self._collector.counted if self._collector else (0, 0)

    def take_in(self, page: Callable[[], None], token: str | None, *, of_versions: bool) -> None:
        """Take in a page, after which ``token`` leads on; without one, the step is over.

        Raises:
            RegistryUnreachable: nobody waits for it any more.
        """
        with self._lock:
            if self._is_kept:
                raise RegistryUnreachable("the scan was given up")
            page()
            self._several[of_versions] |= self.token is not None or bool(token)
            self.step, self.token = (self.step, token) if token else (self.step + 1, None)
            self.pages += 1

    def begin_again(self) -> None:
        """Go back to where the scan began."""
        self.step, self.token = 0, None

    def listing(self) -> Listing:
        """Return what the scan came to, once it is through."""
        assert self._collector is not None  # noqa: S101 - it has begun
        models, versions = self._several
        return self._collector.listing(atomic=not models, pages_versions=versions, clock=self._clock)

    def keep(self) -> Document | None:
        """Take in nothing more; return what there is as plain JSON, or None where that is nothing new."""
        with self._lock:
            self._is_kept = True
            if self._sizes is None or self._collector is None:
                return None
            sizes = self._sizes.to_document()
            if not self.pages:
                return {**self._kept, "sizes": sizes} if sizes != self._kept.get("sizes") else None
            return {
                "sizes": sizes,
                "facts": self._facts,
                "step": self.step,
                "token": self.token,
                "clock": self._clock,
                "collected": self._collector.to_document(),
            }
