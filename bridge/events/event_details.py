"""The details of an event: its run, model and version, as the registry describes them. Pure.

A sink asks for them (``include``) so that a receiver need not call the registry. They stand in the body under
``details``, one member for each part; a part without data is null. ``missing`` gives the reason for each part
that could not be read.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Any

from bridge.diff.snapshot import RegisteredModel, version_order

PARTS = ("run", "model", "version")
"""The parts that a sink can ask for."""

MISSING = "missing"
"""The member that gives the reason why a part is null."""

MOST_CHARACTERS = 12_000
"""The maximum length of a part as JSON: GitHub takes 65,534 characters for three parts and the rest."""

_STEPS = ((400, 2_000), (200, 500), (100, 250), (50, 120), (20, 80), (5, 40), (0, 20))
"""Limits for members of a table or list, and for characters of a text: the first pair that fits is used."""

_DEEPEST = 6
_LARGEST = 2**63


@unique
class Why(StrEnum):
    """Why a part is missing."""

    GONE = "gone"
    """The registry no longer has it: asking again does not help."""

    DENIED = "denied"
    """The bridge may not read it."""

    FAILED = "failed"
    """The registry gave no usable answer."""


@dataclass(frozen=True, slots=True)
class Include:
    """Which details a sink asks for, and whether its deliveries wait until they are available."""

    parts: tuple[str, ...] = ()
    is_required: bool = False


def bounded(part: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``part`` as JSON values of at most `MOST_CHARACTERS`, shortened if necessary.

    If something was left out, ``truncated`` is true. Numbers that JSON cannot hold become texts (``"NaN"``),
    as in MLflow's own API (Protocol Buffers, *JSON Mapping*).
    """
    for most, longest in _STEPS:
        is_cut: list[bool] = []
        value = _bounded(dict(part), most, longest, is_cut)
        found = {**value, "truncated": True} if is_cut else value
        if len(json.dumps(found)) <= MOST_CHARACTERS:
            return found
    return {"truncated": True}


def _bounded(value: Any, most: int, longest: int, is_cut: list[bool], depth: int = 0) -> Any:
    if isinstance(value, str):
        return _cut(value, longest, is_cut)
    if isinstance(value, Mapping) and depth < _DEEPEST:
        # A part's own members are fixed and few: only the values in them are shortened.
        kept = _first(sorted(value.items()) if depth else list(value.items()), most if depth else 50, is_cut)
        return {
            _cut(str(key), longest, is_cut): _bounded(item, most, longest, is_cut, depth + 1)
            for key, item in kept
        }
    if isinstance(value, list | tuple) and depth < _DEEPEST:
        return [
            _bounded(item, most, longest, is_cut, depth + 1) for item in _first(list(value), most, is_cut)
        ]
    return _scalar(value, longest, is_cut)


def _scalar(value: Any, longest: int, is_cut: list[bool]) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) < _LARGEST:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else _unusual(value)
    if isinstance(value, int):
        # Converting a huge number to decimal digits takes time that grows with the square of its length.
        return _cut(f"{value:#x}", longest, is_cut)
    return _cut(str(value), longest, is_cut)


def _unusual(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _cut(text: str, longest: int, is_cut: list[bool]) -> str:
    if len(text) <= longest:
        return text
    is_cut.append(True)
    return text[:longest] + "…"


def _first(items: list[Any], most: int, is_cut: list[bool]) -> list[Any]:
    if len(items) > most:
        is_cut.append(True)
    return items[:most]


def model_part(model: RegisteredModel) -> dict[str, Any]:
    """Return what a snapshot says of a model: its versions by stage, the newest first, and its aliases."""
    newest = sorted(model.versions.values(), key=lambda one: version_order(one.version), reverse=True)
    stages: dict[str, list[str]] = {}
    for version in newest:
        stages.setdefault(version.stage, []).append(version.version)
    return bounded(
        {
            "name": model.name,
            "description": model.description or None,
            "created": model.created,
            "versions": len(newest),
            "latest_version": newest[0].version if newest else None,
            "stages": stages,
            "aliases": dict(model.aliases),
            "tags": dict(model.tags),
        }
    )


def too_large(details: Mapping[str, Any]) -> dict[str, Any]:
    """Return what replaces details that exceed a receiver's limit."""
    parts = [part for part in details if part != MISSING]
    return assembled(parts, {}, dict.fromkeys(parts, "too_large"))


def gone(part: str) -> dict[str, Any]:
    """Return what is stored for a part that the registry no longer has."""
    return {part: None, MISSING: {part: Why.GONE.value}}


def merged(stored: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ``stored`` parts updated with the ``found`` ones, and the reasons for parts missing in either."""
    why = {**stored.get(MISSING, {}), **found.get(MISSING, {})}
    return {**stored, **found, **({MISSING: why} if why else {})}


def assembled(
    parts: Iterable[str], stored: Mapping[str, Any], missing: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the member ``details`` of a body: each of ``parts`` as ``stored``, and why parts are missing."""
    wanted = tuple(parts)
    why = {**stored.get(MISSING, {}), **(missing or {})}
    told = {part: stored.get(part) for part in wanted}
    absent = {part: str(why[part]) for part in wanted if part in why}
    return {**told, MISSING: absent} if absent else told
