"""MLflow's entities as our values. Pure, but for the names of MLflow's attributes."""

from collections.abc import Sequence
from typing import Any

from bridge.diff.snapshot import NO_STAGE, ModelVersion, RegisteredModel, pairs

PROMPT_TAG = "mlflow.prompt.is_prompt"
"""The tag by which MLflow keeps prompts apart from models in the same tables."""


PROMPTS = f"tags.`{PROMPT_TAG}` = 'true'"
"""Selects prompts. MLflow's client adds the contrary to every filter that does not name the tag."""

ANY_NAME = f"name != '::{PROMPT_TAG}'"
"""Selects every model (none of today has a colon in its name), and names the tag, so that the
client leaves the filter as it is: a 2.9 server would read the client's own as *has the tag*."""


def conditions(*parts: str) -> str | None:
    """Return a ``filter_string`` of those of ``parts`` that are not empty."""
    return " AND ".join(filter(None, parts)) or None


def model_of(entity: Any) -> RegisteredModel:
    """Return an ``mlflow.entities.model_registry.RegisteredModel`` as a value, without versions.

    Aliases are read here: MLflow's version search never returns them.
    """
    return RegisteredModel(
        name=entity.name,
        created=int(entity.creation_timestamp or 0),
        updated=int(entity.last_updated_timestamp or 0),
        description=entity.description or "",
        tags=pairs(_texts(entity.tags)),
        aliases=pairs(_texts(entity.aliases)),
    )


def version_of(entity: Any) -> ModelVersion:
    """Return an ``mlflow.entities.model_registry.ModelVersion`` as a value."""
    return ModelVersion(
        version=str(entity.version),
        created=int(entity.creation_timestamp or 0),
        updated=int(entity.last_updated_timestamp or 0),
        stage=entity.current_stage or NO_STAGE,
        status=entity.status or "",
        description=entity.description or "",
        user_id=entity.user_id or "",
        tags=pairs(_texts(entity.tags)),
        run_id=entity.run_id or "",
        source=entity.source or "",
    )


def _texts(values: Any) -> dict[str, str]:
    """Return tags or aliases as strings: a database store gives version numbers as integers.

    Rows of Unity Catalog have methods in their place, which refuse to answer.
    """
    if callable(values):
        return {}
    return {str(key): str(value) for key, value in dict(values or {}).items()}


def name_filter(name: str) -> str:
    """Return a ``filter_string`` that selects the versions of ``name``, and perhaps others.

    MLflow's filter grammar has no escape for quotes, so a name that holds both kinds is
    looked for with a wildcard in place of one of them: compare the names of what comes back.
    """
    if "'" not in name:
        return f"name = '{name}'"
    if '"' not in name:
        return f'name = "{name}"'
    return "name LIKE '{}'".format(name.replace("'", "_"))


def names_filter(names: Sequence[str]) -> str:
    """Return a ``filter_string`` that selects models by their names, which hold no single quotes."""
    return "name IN ({})".format(",".join(f"'{name}'" for name in names))
