"""A registry that answers some requests with an old picture of itself, and what it was like, moment by moment."""

from collections.abc import Callable
from itertools import cycle

from bridge.diff.registry_changes import Change
from bridge.diff.registry_changes import ChangeKind as K
from support.paging_client import PagingClient
from support.paging_registry import PagingRegistry, Rows

_DELETIONS = {K.MODEL_DELETED, K.VERSION_DELETED}


class Moments(list):
    """All the registries that there ever were to see, with the time of each."""

    def __init__(self, clock: Callable[[], int]) -> None:
        super().__init__([{}])
        self._clock = clock
        self.times = [clock()]

    def append(self, rows: Rows) -> None:
        super().append(rows)
        self.times.append(self._clock())

    def at(self, instant: int) -> Rows:
        """Return the registry as it was at an instant, ms."""
        number = max((at for at, time in enumerate(self.times) if time <= instant), default=0)
        return self[number]


class LaggingClient(PagingClient):
    """Answers one request after the other as of so many seconds ago, in turn: replicas that lag, say."""

    def __init__(self, registry: PagingRegistry, page: int) -> None:
        super().__init__(registry, page)
        self.registry.moments = Moments(registry.clock)
        self.lag_by()

    def lag_by(self, *seconds: float) -> None:
        """Let requests lag by these ``seconds`` in turn; none: all of them tell the present."""
        self._lags = cycle(seconds or (0,))

    def picture(self) -> Rows:
        moments: Moments = self.registry.moments
        lag = next(self._lags)
        return moments.at(self.registry.clock() - round(lag * 1000)) if lag else moments[-1]


class Chronicle:
    """Whether what is told happened, in that order: each value of a slot came after the one told before it."""

    def __init__(self, moments: Moments) -> None:
        self._moments = moments
        self._begin = len(moments) - 1
        self._told: dict[tuple, int] = {}

    def check(self, change: Change) -> None:
        slot = (change.model_created, change.version, change.version_created, _what(change), change.key)
        if _what(change) == "alias":
            slot = (change.model_created, None, None, "alias", change.key)
        wanted = _told(change)
        after = self._told.get(slot, self._begin)
        found = (
            number
            for number in range(after + 1, len(self._moments))
            if _value(self._moments[number], change) == wanted
        )
        number = next(found, None)
        assert number is not None, f"{change} never was, or not after what was told before it"
        self._told[slot] = number


def _what(change: Change) -> str:
    if change.kind in (K.MODEL_CREATED, K.MODEL_DELETED, K.VERSION_CREATED, K.VERSION_DELETED):
        return "existence"
    return (
        "alias"
        if change.kind in (K.ALIAS_SET, K.ALIAS_DELETED)
        else change.kind.name.removesuffix("_DELETED")
    )


def _told(change: Change) -> object:
    if _what(change) == "existence":
        return change.kind not in _DELETIONS
    return change.model if change.kind is K.MODEL_RENAMED else change.after


def _value(rows: Rows, change: Change) -> object:
    """Return what the registry said at a moment about what a change tells of."""
    model = next((kept.model for kept in rows.values() if kept.model.created == change.model_created), None)
    version = model.versions.get(change.version or "") if model else None
    is_there = version is not None and version.created == change.version_created
    if change.kind in (K.MODEL_CREATED, K.MODEL_DELETED):
        return model is not None
    if change.kind in (K.VERSION_CREATED, K.VERSION_DELETED):
        return is_there
    if model is None or (change.version is not None and version is None and _what(change) != "alias"):
        return None
    if _what(change) == "alias":
        return dict(model.aliases).get(change.key or "")
    if change.version is None:
        told = {K.MODEL_RENAMED: model.name, K.MODEL_UPDATED: model.description}
        return told.get(change.kind, dict(model.tags).get(change.key or ""))
    told = {K.TRANSITIONED: version.stage, K.VERSION_UPDATED: version.description}
    return told.get(change.kind, dict(version.tags).get(change.key or ""))
