"""Compares two snapshots of a registry and returns the changes between them.

Pure. The order of the changes of one model is part of the contract: model deleted, created, renamed, updated;
versions created, ascending; transitions out of a stage before transitions into it; aliases, tags,
descriptions, status; versions deleted.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bridge.diff.previously_hidden_models import UNLIMITED, Horizon
from bridge.diff.registry_changes import Change, ChangeKind, Flag
from bridge.diff.rename_detection import Pair, pair_models
from bridge.diff.snapshot import (
    RegisteredModel,
    Snapshot,
)
from bridge.diff.stage_transition_order import in_stage_order
from bridge.diff.version_comparison import (
    as_known,
    by_number,
    created_versions,
    moved,
    transitions,
    version_change,
    version_created,
    version_descriptions,
    version_statuses,
    version_tag_changes,
)


@dataclass(frozen=True, slots=True)
class ModelDifference:
    """One model that differs between the two snapshots.

    ``changes`` may be empty: either only internal fields such as timestamps changed, or the model came into
    view late (``appeared``) and is recorded without an event. ``surfaced`` are versions that came into view
    late and are recorded without an event. ``missed`` are versions whose timestamp moved without a visible
    change, because they were changed and changed back, for example.
    """

    before: RegisteredModel | None
    after: RegisteredModel | None
    changes: tuple[Change, ...]
    appeared: bool = False
    missed: tuple[str, ...] = ()
    surfaced: tuple[str, ...] = ()


def compare(before: Snapshot, after: Snapshot, horizon: Horizon = UNLIMITED) -> list[ModelDifference]:
    """Return the models that differ, deletions first.

    Args:
        before: the last committed snapshot.
        after: the snapshot just read.
        horizon: tells models and versions that were hidden until now from newly created ones.
    """
    return [_difference(pair, horizon) for pair in pair_models(before, after)]


def _difference(pair: Pair, horizon: Horizon) -> ModelDifference:
    old, new = pair.before, pair.after
    if horizon.hides(pair):
        return ModelDifference(None, new, (), appeared=True)
    base = horizon.with_hidden(old, new) if old is not None and new is not None else old
    changes = tuple(_changes(base, new))
    if pair.ambiguous:
        changes = (replace(changes[0], flags=(Flag.AMBIGUOUS_RENAME,)), *changes[1:])
    surfaced = tuple(version.version for version in horizon.hidden(old, new))
    return ModelDifference(old, new, changes, missed=_missed(base, new, changes), surfaced=surfaced)


def _missed(
    old: RegisteredModel | None, new: RegisteredModel | None, changes: Sequence[Change]
) -> tuple[str, ...]:
    """Return the versions whose timestamp moved without a change; none after a rename, which moves all of them."""
    if old is None or new is None or old.name != new.name:
        return ()
    told = {change.version for change in changes} | {change.before for change in changes}
    return tuple(
        version.version
        for version in by_number(new)
        if version.version not in told and as_known(old, version).updated != version.updated
    )


def _changes(old: RegisteredModel | None, new: RegisteredModel | None) -> Iterator[Change]:
    if new is None:
        if old is not None:
            yield Change(ChangeKind.MODEL_DELETED, old.name, old.created)
        return
    base = RegisteredModel(new.name, new.created, new.created) if old is None else old
    if old is None:
        yield _model_created(new)
    yield from _model_changes(base, new, announced=old is None)
    created = created_versions(base, new)
    yield from (version_created(new, version) for version in created)
    yield from in_stage_order(transitions(base, new))
    yield from _alias_changes(base, new)
    yield from _model_tag_changes(base, new)
    versions = [(as_known(base, version), version) for version in by_number(new)]
    for details in (version_tag_changes, version_descriptions, version_statuses):
        for reference, version in versions:
            yield from details(new, reference, version)
    yield from _deletions(base, new)


def _model_created(new: RegisteredModel) -> Change:
    return Change(
        ChangeKind.MODEL_CREATED,
        new.name,
        new.created,
        changed_at=new.created,
        details=(("description", new.description),),
    )


def _model_changes(old: RegisteredModel, new: RegisteredModel, *, announced: bool) -> Iterator[Change]:
    changed_at = new.updated if new.updated != old.updated else None
    if old.name != new.name:
        yield Change(
            ChangeKind.MODEL_RENAMED,
            new.name,
            new.created,
            before=old.name,
            after=new.name,
            changed_at=changed_at,
        )
    if old.description != new.description and not announced:
        yield Change(
            ChangeKind.MODEL_UPDATED,
            new.name,
            new.created,
            before=old.description,
            after=new.description,
            changed_at=changed_at,
        )


def _alias_changes(old: RegisteredModel, new: RegisteredModel) -> Iterator[Change]:
    """Yield the aliases that were set or deleted; `_deletions` yields those of a deleted version."""
    for alias, before, after in moved(old.aliases, new.aliases):
        if after is not None:
            yield _alias_change(new, ChangeKind.ALIAS_SET, alias, before, after)
        elif before is not None and not _is_deleted(old, new, before):
            yield _alias_change(new, ChangeKind.ALIAS_DELETED, alias, before, None)


def _alias_change(
    model: RegisteredModel, kind: ChangeKind, alias: str, before: str | None, after: str | None
) -> Change:
    number = after or before or ""
    version = model.versions.get(number)
    return Change(
        kind,
        model.name,
        model.created,
        version=number,
        version_created=version.created if version else None,
        key=alias,
        before=before,
        after=after,
        user_id=version.user_id if version else "",
    )


def _model_tag_changes(old: RegisteredModel, new: RegisteredModel) -> Iterator[Change]:
    for key, before, after in moved(old.tags, new.tags):
        kind = ChangeKind.MODEL_TAG_DELETED if after is None else ChangeKind.MODEL_TAG_SET
        yield Change(kind, new.name, new.created, key=key, before=before, after=after)


def _is_deleted(old: RegisteredModel, new: RegisteredModel, number: str) -> bool:
    known, now = old.versions.get(number), new.versions.get(number)
    return known is not None and (now is None or now.created != known.created)


def _deletions(old: RegisteredModel, new: RegisteredModel) -> Iterator[Change]:
    still = dict(new.aliases)
    for version in by_number(old):
        if _is_deleted(old, new, version.version):
            for alias, number in old.aliases:
                if number == version.version and alias not in still:
                    yield replace(
                        _alias_change(new, ChangeKind.ALIAS_DELETED, alias, number, None),
                        version_created=version.created,
                        user_id=version.user_id,
                    )
            yield version_change(new, version, ChangeKind.VERSION_DELETED)
