"""Withholds some kinds of changes from a snapshot, as if they had not been seen yet. Pure.

A hold is as narrow as is safe: a storm of tags must not delay a promotion. What is held stays in the snapshot
as it was, so the next full scan finds the change again.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from bridge.diff.previously_hidden_models import UNLIMITED, Horizon
from bridge.diff.registry_changes import ChangeKind as K
from bridge.diff.rename_detection import Pair, pair_models
from bridge.diff.snapshot import NO_STAGE, ModelVersion, Pairs, RegisteredModel, Snapshot
from bridge.diff.version_comparison import known_version

Kinds = Collection[K]


def withhold_changes(
    before: Snapshot, after: Snapshot, kinds: Kinds, horizon: Horizon = UNLIMITED
) -> dict[str, RegisteredModel]:
    """Return ``after`` without the changes of these ``kinds``.

    If the renaming or deletion of a model is held, the whole model stays as it was, and so does a model that
    took its name. Models and versions that were hidden until now give no events, so they are not held.
    """
    pairs = pair_models(before, after)
    if any(pair.ambiguous for pair in pairs):
        kinds = _with_other_half(kinds)
    changed = {pair.after.name for pair in pairs if pair.after is not None}
    result = {name: model for name, model in after.items() if name not in changed}
    kept = [model for pair in pairs if (model := _kept_whole(pair.before, pair.after, kinds)) is not None]
    while waiting := _in_their_way(pairs, kept):
        kept += waiting
    result.update({model.name: model for model in kept})
    for pair in pairs:
        if pair.after is None or pair.after.name in result or pair.before in kept:
            continue
        model = _kept(pair, kinds, horizon)
        if model is not None:
            result[model.name] = model
    return result


def _with_other_half(kinds: Kinds) -> Kinds:
    """Hold both halves of a possible rename: one half alone would be announced as certain."""
    halves = {K.MODEL_CREATED, K.MODEL_DELETED}
    return {*kinds, *halves} if halves & set(kinds) else kinds


def _kept_whole(
    old: RegisteredModel | None, new: RegisteredModel | None, kinds: Kinds
) -> RegisteredModel | None:
    """Return the model as it was if its renaming or deletion is held, else None."""
    if old is None:
        return None
    held = K.MODEL_DELETED if new is None else K.MODEL_RENAMED
    return old if held in kinds and (new is None or new.name != old.name) else None


def _in_their_way(pairs: Iterable[Pair], kept: Collection[RegisteredModel]) -> list[RegisteredModel]:
    """Return models that were renamed to a name that a ``kept`` model still has."""
    names = {model.name for model in kept}
    return [
        pair.before
        for pair in pairs
        if pair.before is not None and pair.after is not None and pair.before.name not in names
        if pair.after.name in names
    ]


def _kept(pair: Pair, kinds: Kinds, horizon: Horizon) -> RegisteredModel | None:
    old, new = pair.before, pair.after
    if new is None:
        return None
    if old is not None:
        return _restrained(horizon.with_hidden(old, new), new, kinds)
    if horizon.hides(pair):
        return new
    base = RegisteredModel(new.name, new.created, new.created, new.description)
    return None if K.MODEL_CREATED in kinds else _restrained(base, new, kinds)


def _restrained(old: RegisteredModel, new: RegisteredModel, kinds: Kinds) -> RegisteredModel:
    versions = {version.version: version for version in _versions(old, new, kinds)}
    aliases = _undone(old.aliases, new.aliases, K.ALIAS_SET in kinds, K.ALIAS_DELETED in kinds)
    return replace(
        new,
        description=old.description if K.MODEL_UPDATED in kinds else new.description,
        tags=_undone(old.tags, new.tags, K.MODEL_TAG_SET in kinds, K.MODEL_TAG_DELETED in kinds),
        aliases=aliases_within(aliases, old.aliases, versions),
        versions=versions,
    )


def aliases_within(aliases: Pairs, before: Pairs, versions: Collection[str]) -> Pairs:
    """Keep the former target of aliases that now point to a held version."""
    known = dict(before)
    placed = {
        alias: number if number in versions or known.get(alias) == number else known.get(alias)
        for alias, number in aliases
    }
    return tuple((alias, number) for alias, number in placed.items() if number is not None)


def _versions(old: RegisteredModel, new: RegisteredModel, kinds: Kinds) -> Iterator[ModelVersion]:
    """Yield the versions to be recorded; if a version is held, so is the one that took its number."""
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
    """Return ``new`` with those keys reset to ``old`` that were set or deleted."""
    before, after = dict(old), dict(new)
    for key in before.keys() | after.keys():
        if before.get(key) == after.get(key) or not (sets if key in after else deletions):
            continue
        if key in before:
            after[key] = before[key]
        else:
            del after[key]
    return tuple(sorted(after.items()))
