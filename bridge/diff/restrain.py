"""Leave some kinds of changes out of an observation, as if they had not been seen yet. Pure.

A hold is as narrow as is safe: a storm of tags must not keep a promotion waiting. What is held
stays in the snapshot as it was, so the next full scan finds it again.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace

from bridge.diff.changes import ChangeKind as K
from bridge.diff.pairing import pair_models
from bridge.diff.snapshot import NO_STAGE, ModelVersion, Pairs, RegisteredModel, Snapshot
from bridge.diff.versions import known_version

Kinds = Collection[K]


def restrain(before: Snapshot, after: Snapshot, kinds: Kinds) -> dict[str, RegisteredModel]:
    """Return ``after`` without the changes of these ``kinds``.

    A model whose renaming is held stays wholly as it was: its other changes would be told
    under a name that nobody has heard of.
    """
    result = dict(after)
    pairs = pair_models(before, after)
    for pair in pairs:
        if pair.after is not None:
            result.pop(pair.after.name, None)
    for pair in pairs:
        kept = _kept(pair.before, pair.after, kinds)
        if kept is not None:
            result[kept.name] = kept
    return result


def _kept(old: RegisteredModel | None, new: RegisteredModel | None, kinds: Kinds) -> RegisteredModel | None:
    if new is None:
        return old if K.MODEL_DELETED in kinds else None
    if old is None:
        base = RegisteredModel(new.name, new.created, new.created, new.description)
        return None if K.MODEL_CREATED in kinds else _restrained(base, new, kinds)
    if old.name != new.name and K.MODEL_RENAMED in kinds:
        return old
    return _restrained(old, new, kinds)


def _restrained(old: RegisteredModel, new: RegisteredModel, kinds: Kinds) -> RegisteredModel:
    versions = {version.version: version for version in _versions(old, new, kinds)}
    aliases = _undone(old.aliases, new.aliases, K.ALIAS_SET in kinds, K.ALIAS_DELETED in kinds)
    return replace(
        new,
        description=old.description if K.MODEL_UPDATED in kinds else new.description,
        tags=_undone(old.tags, new.tags, K.MODEL_TAG_SET in kinds, K.MODEL_TAG_DELETED in kinds),
        aliases=tuple(pair for pair in aliases if pair in old.aliases or pair[1] in versions),
        versions=versions,
    )


def _versions(old: RegisteredModel, new: RegisteredModel, kinds: Kinds) -> Iterator[ModelVersion]:
    """Yield the versions to be known; where one is held, so is whatever took its number."""
    for number, version in new.versions.items():
        known = known_version(old, version)
        if known is not None:
            yield _version(known, version, kinds)
        elif K.VERSION_CREATED not in kinds and not (K.VERSION_DELETED in kinds and number in old.versions):
            bare = replace(version, stage=NO_STAGE, tags=(), updated=version.created)
            yield _version(bare, version, kinds)
    if K.VERSION_DELETED in kinds:
        yield from (
            version
            for number, version in old.versions.items()
            if number not in new.versions or new.versions[number].created != version.created
        )


def _version(old: ModelVersion, new: ModelVersion, kinds: Kinds) -> ModelVersion:
    stage = old.stage if K.TRANSITIONED in kinds else new.stage
    status = old.status if K.STATUS_CHANGED in kinds else new.status
    description = old.description if K.VERSION_UPDATED in kinds else new.description
    is_held = (stage, status, description) != (new.stage, new.status, new.description)
    return replace(
        new,
        stage=stage,
        status=status,
        description=description,
        updated=old.updated if is_held else new.updated,
        tags=_undone(old.tags, new.tags, K.VERSION_TAG_SET in kinds, K.VERSION_TAG_DELETED in kinds),
    )


def _undone(old: Pairs, new: Pairs, sets: bool, deletions: bool) -> Pairs:  # noqa: FBT001 - one call, above
    """Return ``new`` with the keys as in ``old`` that were set, or deleted."""
    before, after = dict(old), dict(new)
    for key in before.keys() | after.keys():
        if before.get(key) == after.get(key) or not (sets if key in after else deletions):
            continue
        if key in before:
            after[key] = before[key]
        else:
            del after[key]
    return tuple(sorted(after.items()))
