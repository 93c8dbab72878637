"""Details: what a registry tells of an event's run, model and version beyond the event itself. Pure.

A sink asks for them (``include``), so that a receiver need not call the registry back. They
stand in the body under ``details``: a member a part, null where there is nothing to tell, and
``missing``, with a word a part, where there should be something.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Any

from bridge.diff.snapshot import RegisteredModel, version_order

PARTS = ("run", "model", "version")
"""What can be asked for."""

MISSING = "missing"
"""The member that says why a part is null."""

MOST_CHARACTERS = 12_000
"""How long a part may be as JSON: GitHub takes 65,534 characters of three parts and the rest."""

_STEPS = ((400, 2_000), (200, 500), (100, 250), (50, 120), (20, 80), (5, 40), (0, 20))
"""Members of a table or list, and characters of a text, that are kept: the first that fit."""

_DEEPEST = 6
_LARGEST = 2**63


@unique
class Why(StrEnum):
    """Why a part is missing."""

    GONE = "gone"
    """The registry has it no longer: asking again would not help."""

    DENIED = "denied"
    """The bridge may not read it."""

    FAILED = "failed"
    """The registry gave no usable answer."""


@dataclass(frozen=True, slots=True)
class Include:
    """What a sink wants to be told besides the event, and whether it waits until it can be told."""

    parts: tuple[str, ...] = ()
    is_required: bool = False


def bounded(part: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``part`` as JSON values of at most `MOST_CHARACTERS`, cut where it has to be.

    Where something was left out, ``truncated`` is true. Numbers that JSON does not have are
    texts (``"NaN"``), as in MLflow's own API (Protocol Buffers, *JSON Mapping*).
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
        # A part's own members are known and few: what is cut is what they hold.
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
        # Decimal digits of a huge number take time that grows with their square.
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
    """Return what a model's snapshot tells of it: its versions by stage, the newest first, and its aliases."""
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
    """Return what is told in place of details that a receiver's limit leaves no room for."""
    parts = [part for part in details if part != MISSING]
    return assembled(parts, {}, dict.fromkeys(parts, "too_large"))


def gone(part: str) -> dict[str, Any]:
    """Return what is kept of a part that the registry has no longer."""
    return {part: None, MISSING: {part: Why.GONE.value}}


def merged(stored: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts that are ``stored`` with those that were ``found``, and why parts of either are missing."""
    why = {**stored.get(MISSING, {}), **found.get(MISSING, {})}
    return {**stored, **found, **({MISSING: why} if why else {})}


def assembled(
    parts: Iterable[str], stored: Mapping[str, Any], missing: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the member ``details`` of a body: each of ``parts`` as ``stored``, and what is missing, and why."""
    wanted = tuple(parts)
    why = {**stored.get(MISSING, {}), **(missing or {})}
    told = {part: stored.get(part) for part in wanted}
    absent = {part: str(why[part]) for part in wanted if part in why}
    return {**told, MISSING: absent} if absent else told
