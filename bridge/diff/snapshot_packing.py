"""Packs models into compact documents: one document a model, its versions in one string.

A registry of 100,000 versions has to fit into little memory and onto a small disk. So members with their
default value are left out, and versions stay packed until they are read. Equal versions have equal texts, so
a scan can be compared with the known snapshot page by page.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

from bridge.diff.snapshot import ModelVersion, RegisteredModel, version_order

_FIELDS = fields(ModelVersion)
_COMPARED = sum(field.compare for field in _FIELDS)
_NAMES = tuple(field.name for field in _FIELDS)
_DEFAULTS = tuple(field.default for field in _FIELDS)


def pack_model(model: RegisteredModel) -> dict[str, Any]:
    """Return a model as a JSON document."""
    return {**pack_row(model), "versions": pack_versions(model.versions.values())}


def pack_row(model: RegisteredModel) -> dict[str, Any]:
    """Return a model without its versions as a JSON document."""
    document: dict[str, Any] = {"created": model.created, "updated": model.updated}
    if model.description:
        document["description"] = model.description
    if model.tags:
        document["tags"] = dict(model.tags)
    if model.aliases:
        document["aliases"] = dict(model.aliases)
    return document


def pack_versions(versions: Iterable[ModelVersion]) -> str:
    """Return versions as one text, ascending by version number."""
    ordered = sorted(versions, key=lambda version: version_order(version.version))
    return ",".join(map(pack_version, ordered))


def pack_version(version: ModelVersion, *, with_facts: bool = False) -> str:
    """Return a version as a JSON array; ``with_facts`` adds the fields that only creation events carry."""
    row = [getattr(version, name) for name in _NAMES[: len(_NAMES) if with_facts else _COMPARED]]
    while row[-1] == _DEFAULTS[len(row) - 1]:
        row.pop()
    return json.dumps(row, separators=(",", ":"))


def unpack_row(name: str, document: Mapping[str, Any]) -> RegisteredModel:
    """Return the model that `pack_row` or `pack_model` packed, without its versions."""
    return RegisteredModel(
        name=name,
        created=document["created"],
        updated=document["updated"],
        description=document.get("description", ""),
        tags=tuple(document.get("tags", {}).items()),
        aliases=tuple(document.get("aliases", {}).items()),
    )


def unpack_model(name: str, document: Mapping[str, Any]) -> RegisteredModel:
    """Return the model that `pack_model` packed."""
    return replace(unpack_row(name, document), versions=unpack_versions(packed_versions(document)))


def unpack_versions(text: str) -> dict[str, ModelVersion]:
    """Return the versions that `pack_versions` packed, by version number."""
    versions = map(_version, json.loads(f"[{text}]"))
    return {version.version: version for version in versions}


def _version(row: list[Any]) -> ModelVersion:
    values = dict(zip(_NAMES, row, strict=False))
    values["tags"] = tuple((key, value) for key, value in values.get("tags", ()))
    return ModelVersion(**values)


def count_versions(document: Mapping[str, Any]) -> int:
    """Return how many versions a packed model has."""
    return len(json.loads(f"[{packed_versions(document)}]"))


def packed_versions(document: Mapping[str, Any]) -> str:
    """Return the versions of a packed model as `pack_versions` packs them.

    The first release stored brackets around the whole list; these are removed. The text of a single version
    begins with a bracket as well.
    """
    text: str = document["versions"]
    return text[1:-1] if text.startswith(("[[", "[]")) else text
