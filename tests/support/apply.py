"""Apply changes to a snapshot: what a receiver that keeps its own copy would do."""

from collections.abc import Iterable
from dataclasses import replace

from bridge.diff.registry_changes import Change
from bridge.diff.registry_changes import ChangeKind as K
from bridge.diff.snapshot import ModelVersion, RegisteredModel, Snapshot


def applied(before: Snapshot, changes: Iterable[Change]) -> dict[str, RegisteredModel]:
    """Return ``before`` with all changes made; renames happen at once, as they may form a ring."""
    changes = list(changes)
    renames = {(c.before, c.model_created): c.after for c in changes if c.kind is K.MODEL_RENAMED}
    gone = {(c.model, c.model_created) for c in changes if c.kind is K.MODEL_DELETED}
    models = {
        name: replace(model, name=name)
        for old, model in before.items()
        if (old, model.created) not in gone
        for name in [renames.get((old, model.created), old)]
    }
    assert gone <= {(name, model.created) for name, model in before.items()}
    assert len(models) == len(before) - len(gone)
    for change in changes:
        if change.kind is K.MODEL_CREATED:
            assert change.model not in models
            description = dict(change.details)["description"]
            models[change.model] = RegisteredModel(
                change.model, change.model_created, 0, description, versions={}
            )
        elif change.kind not in (K.MODEL_DELETED, K.MODEL_RENAMED):
            models[change.model] = _one(models[change.model], change)
    return models


def _one(model: RegisteredModel, c: Change) -> RegisteredModel:
    if c.kind is K.MODEL_UPDATED:
        assert model.description == c.before
        return replace(model, description=c.after)
    if c.kind in (K.MODEL_TAG_SET, K.MODEL_TAG_DELETED):
        return replace(model, tags=_put(model.tags, c.key, c.before, c.after))
    if c.kind in (K.ALIAS_SET, K.ALIAS_DELETED):
        return replace(model, aliases=_put(model.aliases, c.key, c.before, c.after))
    versions = dict(model.versions)
    if c.kind is K.VERSION_CREATED:
        facts = dict(c.details)
        assert c.version not in versions or versions[c.version].created != c.version_created
        versions[c.version] = ModelVersion(
            c.version,
            c.version_created,
            0,
            status=facts["status"],
            description=facts["description"],
            user_id=c.user_id,
        )
    elif c.kind is K.VERSION_DELETED:
        if versions[c.version].created == c.version_created:
            del versions[c.version]
    else:
        versions[c.version] = _version(versions[c.version], c)
    return replace(model, versions=versions)


def _version(version: ModelVersion, c: Change) -> ModelVersion:
    if c.kind is K.TRANSITIONED:
        assert version.stage == c.before
        return replace(version, stage=c.after)
    if c.kind is K.VERSION_UPDATED:
        assert version.description == c.before
        return replace(version, description=c.after)
    if c.kind is K.STATUS_CHANGED:
        assert version.status == c.before
        return replace(version, status=c.after)
    return replace(version, tags=_put(version.tags, c.key, c.before, c.after))


def _put(values, key, before, value):
    assert dict(values).get(key) == before
    kept = {**dict(values), key: value}
    return tuple(sorted((k, v) for k, v in kept.items() if v is not None))


def observable(snapshot: Snapshot) -> dict[str, RegisteredModel]:
    """Return ``snapshot`` without timestamps of updates, which no change tells."""
    return {
        name: replace(
            model,
            updated=0,
            versions={number: replace(v, updated=0) for number, v in model.versions.items()},
        )
        for name, model in snapshot.items()
    }
