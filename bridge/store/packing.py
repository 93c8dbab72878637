"""Models as compact documents: one document a model, its versions packed into one string.

A registry of 100,000 versions has to fit into memory and onto a small disk, so members that
have their usual value are left out.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from bridge.diff.snapshot import ModelVersion, RegisteredModel

_VERSION = tuple(field for field in fields(ModelVersion) if field.compare)
_DEFAULTS = [field.default for field in _VERSION]


def pack_model(model: RegisteredModel) -> dict[str, Any]:
    """Return a model as a JSON document."""
    document: dict[str, Any] = {"created": model.created, "updated": model.updated}
    if model.description:
        document["description"] = model.description
    if model.tags:
        document["tags"] = dict(model.tags)
    if model.aliases:
        document["aliases"] = dict(model.aliases)
    rows = [_row(version) for version in model.versions.values()]
    return {**document, "versions": json.dumps(rows, separators=(",", ":"))}


def _row(version: ModelVersion) -> list[Any]:
    row = [getattr(version, field.name) for field in _VERSION]
    while row[-1] == _DEFAULTS[len(row) - 1]:
        row.pop()
    return row


def unpack_model(name: str, document: Mapping[str, Any]) -> RegisteredModel:
    """Return the model that `pack_model` made a document of."""
    versions = map(_version, json.loads(document["versions"]))
    return RegisteredModel(
        name=name,
        created=document["created"],
        updated=document["updated"],
        description=document.get("description", ""),
        tags=tuple(document.get("tags", {}).items()),
        aliases=tuple(document.get("aliases", {}).items()),
        versions={version.version: version for version in versions},
    )


def _version(row: list[Any]) -> ModelVersion:
    values = {field.name: value for field, value in zip(_VERSION, row, strict=False)}
    values["tags"] = tuple((key, value) for key, value in values.get("tags", ()))
    return ModelVersion(**values)


def count_versions(document: Mapping[str, Any]) -> int:
    """Return how many versions a packed model has."""
    return len(json.loads(document["versions"]))
