"""Compares one version with its known state."""

from collections.abc import Iterator
from dataclasses import replace

from bridge.diff.registry_changes import Change, ChangeKind, Flag
from bridge.diff.snapshot import NO_STAGE, ModelVersion, Pairs, RegisteredModel, version_order


def by_number(model: RegisteredModel) -> list[ModelVersion]:
    """Return a model's versions, ascending."""
    return [model.versions[number] for number in sorted(model.versions, key=version_order)]


def known_version(old: RegisteredModel, version: ModelVersion) -> ModelVersion | None:
    """Return the known state of this very version; a reused number is another version."""
    known = old.versions.get(version.version)
    return known if known is not None and known.created == version.created else None


def as_known(old: RegisteredModel, version: ModelVersion) -> ModelVersion:
    """Return what to compare a version with: its known state, or its state at creation."""
    bare = replace(version, stage=NO_STAGE, tags=(), updated=version.created)
    return known_version(old, version) or bare


def created_versions(old: RegisteredModel, new: RegisteredModel) -> list[ModelVersion]:
    """Return the versions that were not known before, ascending."""
    return [version for version in by_number(new) if known_version(old, version) is None]


def version_change(
    model: RegisteredModel, version: ModelVersion, kind: ChangeKind, **fields: object
) -> Change:
    """Return a change of one version."""
    return Change(
        kind,
        model.name,
        model.created,
        version.version,
        version.created,
        user_id=version.user_id,
        **fields,  # type: ignore[arg-type]
    )


def version_created(model: RegisteredModel, version: ModelVersion) -> Change:
    """Return the change that announces a new version."""
    facts = {
        "description": version.description,
        "run_id": version.run_id,
        "source": version.source,
        "status": version.status,
    }
    return version_change(
        model, version, ChangeKind.VERSION_CREATED, changed_at=version.created, details=tuple(facts.items())
    )


def _moved_at(old: ModelVersion, new: ModelVersion) -> int | None:
    return new.updated if new.updated != old.updated else None


def transitions(old: RegisteredModel, new: RegisteredModel) -> Iterator[Change]:
    """Yield a change for every version whose stage differs; a version first seen comes from stage ``None``."""
    for version in by_number(new):
        reference = as_known(old, version)
        if reference.stage != version.stage:
            yield version_change(
                new,
                version,
                ChangeKind.TRANSITIONED,
                before=reference.stage,
                after=version.stage,
                changed_at=_moved_at(reference, version),
                flags=() if known_version(old, version) else (Flag.FIRST_SEEN,),
            )


def moved(old: Pairs, new: Pairs) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield (key, value before, value after) for every key whose value differs, sorted."""
    before, after = dict(old), dict(new)
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key):
            yield key, before.get(key), after.get(key)


def version_tag_changes(model: RegisteredModel, old: ModelVersion, new: ModelVersion) -> Iterator[Change]:
    """Yield a change for every tag that differs."""
    for key, before, after in moved(old.tags, new.tags):
        kind = ChangeKind.VERSION_TAG_DELETED if after is None else ChangeKind.VERSION_TAG_SET
        yield version_change(model, new, kind, key=key, before=before, after=after)


def version_descriptions(model: RegisteredModel, old: ModelVersion, new: ModelVersion) -> Iterator[Change]:
    """Yield a change if the description differs."""
    if old.description != new.description:
        yield version_change(
            model,
            new,
            ChangeKind.VERSION_UPDATED,
            before=old.description,
            after=new.description,
            changed_at=_moved_at(old, new),
        )


def version_statuses(model: RegisteredModel, old: ModelVersion, new: ModelVersion) -> Iterator[Change]:
    """Yield a change if the registration status differs."""
    if old.status != new.status:
        yield version_change(
            model,
            new,
            ChangeKind.STATUS_CHANGED,
            before=old.status,
            after=new.status,
            changed_at=_moved_at(old, new),
        )
