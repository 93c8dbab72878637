"""How many rows to ask for at once: fewer where a registry is slow, more again where it is quick."""

from collections.abc import Mapping

_FEWEST = 10
"""A server that cannot give so few in time gives nothing."""

_CUT = 4
_QUICK = 4
"""A page that took less than this part of the timeout may be doubled, and be well within it."""


class PageSize:
    """The size of one search's pages, in rows."""

    def __init__(self, most: int) -> None:
        """Begin with the largest."""
        self._most = most
        self.rows = most

    @property
    def is_less(self) -> bool:
        """Whether it is less than at first."""
        return self.rows < self._most

    def can_shrink(self, asked: int) -> bool:
        """Whether there is a smaller page to try."""
        return asked > _FEWEST

    def shrink(self, asked: int) -> bool:
        """Ask for fewer from now on than ``asked``, which were too many; return whether that is possible."""
        if not self.can_shrink(asked):
            return False
        self.rows = max(_FEWEST, asked // _CUT)
        return True

    def note(self, asked: int, got: int, seconds: float, timeout_s: float) -> None:
        """Take note of how long a page took; one that was not full says little."""
        if got == asked == self.rows and seconds < timeout_s / _QUICK:
            self.rows = min(2 * self.rows, self._most)


class PageSizes:
    """Those of MLflow's two searches."""

    def __init__(self, models: int, versions: int) -> None:
        """Begin with the largest, in rows."""
        self.models = PageSize(models)
        self.versions = PageSize(versions)

    @property
    def are_less(self) -> bool:
        """Whether one of them is less than at first."""
        return self.models.is_less or self.versions.is_less

    def to_document(self) -> dict[str, int]:
        """Return them as plain JSON."""
        return {"models": self.models.rows, "versions": self.versions.rows}

    def take(self, document: Mapping[str, int]) -> None:
        """Go on with what was found out before, if that is less."""
        self.models.rows = min(self.models.rows, document.get("models", self.models.rows))
        self.versions.rows = min(self.versions.rows, document.get("versions", self.versions.rows))
