"""Converts MLflow's entities into the bridge's values. Pure, except for the names of MLflow's attributes."""

import re
from collections.abc import Sequence
from typing import Any

from bridge.diff.malformed_rows import OddRow
from bridge.diff.snapshot import NO_STAGE, ModelVersion, RegisteredModel, pairs

PROMPT_TAG = "mlflow.prompt.is_prompt"
"""The tag by which MLflow tells prompts from models in the same tables."""


PROMPTS = f"tags.`{PROMPT_TAG}` = 'true'"
"""Selects prompts. MLflow's client adds the opposite to every filter that does not name the tag."""

ANY_NAME = f"name != '::{PROMPT_TAG}'"
"""Selects every model (no present model has a colon in its name). It names the tag, so that the

client leaves the filter as it is: a 2.9 server would read the client's own filter as *has the tag*.
"""

_DELETED = "Deleted_Internal"
"""The stage that MLflow gives a version that it deletes (``STAGE_DELETED_INTERNAL``)."""

_LONGEST_NUMBER = 100
"""Version numbers are database integers; Python refuses to convert more than 4,300 digits."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_UNQUOTABLE = re.compile(r"['\\\x00-\x1f\x7f]")
"""Characters that a LIKE pattern cannot hold: on some databases, a backslash escapes the next character."""


def conditions(*parts: str) -> str | None:
    """Return a ``filter_string`` of those ``parts`` that are not empty."""
    return " AND ".join(filter(None, parts)) or None


def model_of(entity: Any) -> RegisteredModel | OddRow:
    """Return an ``mlflow.entities.model_registry.RegisteredModel`` as a value, without versions.

    Aliases are read here, because MLflow's version search never returns them.
    """
    name = _text(entity.name)
    try:
        return RegisteredModel(
            name=_checked("no name", name),
            created=_creation(entity.creation_timestamp),
            updated=_instant(entity.last_updated_timestamp),
            description=_text(entity.description),
            tags=pairs(_texts(entity.tags)),
            aliases=pairs(_texts(entity.aliases)),
        )
    except (TypeError, ValueError) as error:
        return OddRow(name, why=str(error), created=_instant(entity.creation_timestamp))


def version_of(entity: Any) -> ModelVersion | OddRow:
    """Return an ``mlflow.entities.model_registry.ModelVersion`` as a value."""
    number = _text(entity.version)
    try:
        return ModelVersion(
            version=_checked("no number", number),
            created=_creation(entity.creation_timestamp),
            updated=_instant(entity.last_updated_timestamp),
            stage=_stage(entity.current_stage),
            status=_text(entity.status),
            description=_text(entity.description),
            user_id=_text(entity.user_id),
            tags=pairs(_texts(entity.tags)),
            run_id=_text(entity.run_id),
            source=_text(entity.source),
        )
    except (TypeError, ValueError) as error:
        return OddRow(_text(entity.name), number[:_LONGEST_NUMBER], str(error))


def _checked(lack: str, text: str) -> str:
    """Return an object's name or number, without which it cannot be requested.

    Raises:
        ValueError: it is empty or not usable.
    """
    if not text:
        raise ValueError(f"it has {lack}")
    if "\0" in text:
        raise ValueError("its name holds a NUL character, which nothing can ask for")
    if lack == "no number" and len(text) > _LONGEST_NUMBER:
        raise ValueError(f"its number has {len(text)} digits")
    return text


def _creation(value: Any) -> int:
    """Return when an object was created, ms: name and creation timestamp identify it.

    Raises:
        ValueError: it has no such time.
    """
    created = _instant(value)
    if not created:
        raise ValueError(f"its creation time is {'empty' if value is None else value}")
    return created


def _stage(value: Any) -> str:
    """Return a stage; `_DELETED` marks a deleted object, which should not have been listed.

    Raises:
        ValueError: the stage is `_DELETED`.
    """
    stage = _text(value) or NO_STAGE
    if stage == _DELETED:
        raise ValueError(f"it is half deleted: its stage is {_DELETED}")
    return stage


def _instant(value: Any) -> int:
    """Return a time, ms since the epoch, or 0 where the registry records none: it need not."""
    try:
        return max(0, int(value or 0))
    except (TypeError, ValueError, OverflowError):
        return 0


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _texts(values: Any) -> dict[str, str]:
    """Return tags or aliases as strings: a database store gives version numbers as integers.

    Rows of Unity Catalog have methods in place of these members, which raise an error when called.
    """
    if callable(values):
        return {}
    return {_text(key): _text(value) for key, value in dict(values or {}).items()}


def name_filter(name: str) -> str:
    """Return a ``filter_string`` that selects the versions of ``name``, and perhaps of other models.

    MLflow's filter grammar has no escape for quotes, and does not accept control characters. For a name with
    both kinds of quotes, or with a control character, the filter has wildcards in their place. The caller has
    to compare the names in the results.
    """
    if is_plain(name):
        return f"name = '{name}'"
    if '"' not in name and _CONTROL.search(name) is None:
        return f'name = "{name}"'
    return "name LIKE '{}'".format(_UNQUOTABLE.sub("_", name))


def is_plain(name: str) -> bool:
    """Whether a filter can hold ``name`` between single quotes."""
    return "'" not in name and _CONTROL.search(name) is None


def names_filter(names: Sequence[str]) -> str:
    """Return a ``filter_string`` that selects models by name; all ``names`` must be plain."""
    return "name IN ({})".format(",".join(f"'{name}'" for name in names))
