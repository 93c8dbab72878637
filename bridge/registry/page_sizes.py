"""How many rows to request in one page: fewer where a registry is slow, more again where it is fast."""

from collections.abc import Mapping

_FEWEST = 10
"""A server that cannot give even this many rows in time is treated as unable to answer."""

_CUT = 4
_QUICK = 4
"""A page that took less than this fraction of the timeout may be doubled without risk."""

_BRIEF_S = 0.5
"""How long a page is to take where a hint may have to wait for its end: at most about twice this."""

_BRIEFEST = 8
"""Brief pages have at least this fraction of the rows: where each request is slow, smaller ones only make a scan longer."""


class PageSize:
    """The page size of one search, in rows."""

    def __init__(self, most: int) -> None:
        """Start with the largest size."""
        self._most = most
        self.rows = most
        self._is_brief = False

    @property
    def is_less(self) -> bool:
        """Whether the page size is below its maximum."""
        return self.rows < self._most

    def can_shrink(self, asked: int) -> bool:
        """Whether a smaller page can be tried."""
        return asked > _FEWEST

    def shrink(self, asked: int) -> bool:
        """Use smaller pages than ``asked`` from now on; return whether that is possible."""
        if not self.can_shrink(asked):
            return False
        self.rows = max(_FEWEST, asked // _CUT)
        return True

    def be_brief(self, *, brief: bool) -> None:
        """Use pages that take half a second or so, or again any that the registry gives in time."""
        self._is_brief = brief
        if brief:
            self.rows = min(self.rows, self._most // _CUT)

    def note(self, asked: int, got: int, seconds: float, timeout_s: float) -> None:
        """Record how long a page took; a page that was not full, or was meant to be small, is ignored."""
        if not got == asked == self.rows:
            return
        if self._is_brief and seconds > 2 * _BRIEF_S:
            self.rows = min(self.rows, max(self.rows // _CUT, self._most // _BRIEFEST))
        elif seconds < (_BRIEF_S / 2 if self._is_brief else timeout_s / _QUICK):
            self.rows = min(2 * self.rows, self._most)


class PageSizes:
    """The page sizes of MLflow's two searches."""

    def __init__(self, models: int, versions: int) -> None:
        """Start with the largest sizes, in rows."""
        self.models = PageSize(models)
        self.versions = PageSize(versions)

    @property
    def are_less(self) -> bool:
        """Whether one of the page sizes is below its maximum."""
        return self.models.is_less or self.versions.is_less

    def be_brief(self, *, brief: bool) -> None:
        """Use brief pages in both searches, or no longer."""
        self.models.be_brief(brief=brief)
        self.versions.be_brief(brief=brief)

    def to_document(self) -> dict[str, int]:
        """Return the page sizes as plain JSON."""
        return {"models": self.models.rows, "versions": self.versions.rows}

    def take(self, document: Mapping[str, int]) -> None:
        """Use the page sizes of an earlier scan if they are smaller."""
        self.models.rows = min(self.models.rows, document.get("models", self.models.rows))
        self.versions.rows = min(self.versions.rows, document.get("versions", self.versions.rows))
