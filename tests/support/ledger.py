"""What polls told of a registry, held against what the registry was."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from bridge.diff.recently_replaced_values import OVERLAP_MS
from bridge.diff.registry_changes import Change, Flag
from bridge.diff.registry_changes import ChangeKind as K
from bridge.diff.snapshot import ModelVersion, RegisteredModel
from bridge.diff.snapshot_comparison import ModelDifference
from support.apply import applied
from support.paging_registry import PagingRegistry, Rows

Models = list[RegisteredModel]


@dataclass
class Ledger:
    """``replica`` is what a receiver would know that applies each event.

    ``floor`` is the moment from which on everything was seen: when the last full scan began that
    was not kept from seeing anything. ``since`` is when the registry's time was that of the baseline.
    """

    registry: PagingRegistry
    replica: dict[str, RegisteredModel]
    floor: int
    since: int
    ids: set[str] = field(default_factory=set)

    def take(self, differences: Sequence[ModelDifference], ids: Sequence[str]) -> list[Change]:
        """Take down what a poll told."""
        changes = [change for one in differences for change in one.changes]
        window = self.registry.moments[self.floor :]
        for change in changes:
            assert self._happened(change, window), change
        assert len(ids) == len(changes)
        assert len(set(ids) - self.ids) == len(ids), "an id was used twice"
        self.ids.update(ids)
        appeared = {one.after.name: one.after for one in differences if one.appeared and one.after}
        assert all(self._was_hidden(model, window) for model in appeared.values()), appeared
        replica = self._with_surfaced(differences)
        self.replica = {**applied(replica, changes), **appeared}
        return changes

    def _with_surfaced(self, differences: Sequence[ModelDifference]) -> dict[str, RegisteredModel]:
        """Return the replica with the versions that the baseline skipped, and that are no news."""
        replica = dict(self.replica)
        for one in differences:
            if one.surfaced:
                versions = {number: one.after.versions[number] for number in one.surfaced}
                assert all(version.created < self.since - OVERLAP_MS for version in versions.values()), one
                known = replica[one.before.name]
                assert not versions.keys() & known.versions.keys(), one
                replica[known.name] = replace(known, versions={**known.versions, **versions})
        return replica

    def _was_hidden(self, model: RegisteredModel, window: list[Rows]) -> bool:
        uids = _uids(window, model.name, model.created)
        return bool(uids & self.registry.ever_hidden) or model.created < self.since - OVERLAP_MS

    def _happened(self, change: Change, window: list[Rows]) -> bool:
        """Whether what a change says was so at some time since a scan last saw everything."""
        if change.kind is K.MODEL_DELETED:
            return self._is_gone(change, window)
        models = _of(window, change)
        if change.kind is K.VERSION_DELETED:
            now = _of(window[-1:], change)
            return not now or not all(_version(model, change) for model in now)
        if change.version is None:
            return any(_is_so(change, model) for model in models) and self._is_news(change)
        if change.key is not None and change.kind in (K.ALIAS_SET, K.ALIAS_DELETED):
            return any(dict(model.aliases).get(change.key) == change.after for model in models)
        versions = [version for model in models if (version := _version(model, change)) is not None]
        return any(_is_so_of_version(change, version) for version in versions) and self._is_news(change)

    def _is_news(self, change: Change) -> bool:
        """Whether what is announced was made since the baseline, as far as clocks can tell."""
        if change.kind is K.MODEL_CREATED:
            return change.model_created >= self.since - OVERLAP_MS
        return change.kind is not K.VERSION_CREATED or change.version_created >= self.since - OVERLAP_MS

    def _is_gone(self, change: Change, window: list[Rows]) -> bool:
        """Whether such a model is no more: hidden or renamed is not gone. Twins count as one."""
        kept = [one for rows in window for one in rows.values()]
        uids = {one.uid for one in kept if one.model.created == change.model_created}
        living = [one for one in self.registry.rows.values() if one.model.created == change.model_created]
        told = [one for one in self.replica.values() if one.created == change.model_created]
        is_gone = bool(uids - {one.uid for one in living}) or len(living) < len(told)
        return is_gone or Flag.AMBIGUOUS_RENAME in change.flags


def _uids(window: list[Rows], name: str, created: int) -> set[int]:
    found = [rows[name] for rows in window if name in rows]
    return {kept.uid for kept in found if kept.model.created == created}


def _of(window: list[Rows], change: Change) -> Models:
    """Return every state of the model: twins of one millisecond cannot be told apart."""
    kept = [one for rows in window for one in rows.values()]
    return [one.model for one in kept if one.model.created == change.model_created]


def _version(model: RegisteredModel, change: Change) -> ModelVersion | None:
    version = model.versions.get(change.version or "")
    return version if version and version.created == change.version_created else None


def _is_so(change: Change, model: RegisteredModel) -> bool:
    if change.kind in (K.MODEL_CREATED, K.MODEL_RENAMED):
        return model.name == change.model
    if change.kind is K.MODEL_UPDATED:
        return model.description == change.after
    return dict(model.tags).get(change.key or "") == change.after


def _is_so_of_version(change: Change, version: ModelVersion) -> bool:
    if change.kind is K.VERSION_CREATED:
        return True
    if change.kind is K.TRANSITIONED:
        return version.stage == change.after
    if change.kind is K.VERSION_UPDATED:
        return version.description == change.after
    if change.kind is K.STATUS_CHANGED:
        return version.status == change.after
    return dict(version.tags).get(change.key or "") == change.after
