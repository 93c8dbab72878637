"""A stand-in for Databricks' workspace model registry: stages and orders, no aliases.

After docs.databricks.com/api/model-registry, "Search registered models" and "Search model
versions": at most 1,000 and 10,000 rows a page, a filter of a single condition.
"""

import re

from support.json_api import JsonApi, Query, Refused, invalid, one, page
from support.models import USER, HeldModel, HeldModels, HeldVersion

_PREFIX = "/api/2.0/mlflow/"
_MODEL_ORDERS = {"name": "name", "last_updated_timestamp": "last_updated_timestamp"}
_VERSION_ORDERS = {"name": "name", "version": "version", "stage": "current_stage"}
_NOT_DOCUMENTED = {"version_number": "version", "last_updated_timestamp": "last_updated_timestamp"}
_MISSING = "Missing filter: please specify a filter parameter in the format `name = 'model_name'`."


class WorkspaceRegistry(HeldModels):
    """Databricks' workspace registry, on loopback.

    ``strict`` refuses what is seen in the field or left open by the documentation: a version search
    without a name (mlflow/mlflow#7967), and orders that the documentation does not list.
    """

    def __init__(self, token: str, *, strict: bool = False) -> None:
        super().__init__()
        self._strict = strict
        self.api = JsonApi(self._respond, token)

    def _respond(self, path: str, query: Query) -> dict:
        answers = {
            "registered-models/search": self._search_models,
            "registered-models/get": self._get_model,
            "model-versions/search": self._search_versions,
            "model-versions/get": self._get_version,
            "experiments/get": self._get_experiment,
        }
        answer = answers.get(path.removeprefix(_PREFIX))
        if answer is None:
            raise Refused(404, "ENDPOINT_NOT_FOUND", f"No API found for 'GET {path}'")
        return answer(query)

    def _search_models(self, query: Query) -> dict:
        _limit(query, 1_000)
        name = _single_condition(one(query, "filter"), "name")
        rows = [_model(model) for model in self.visible() if not name or model.name == name]
        return page(_ordered(rows, query, _MODEL_ORDERS), "registered_models", query, 1_000)

    def _search_versions(self, query: Query) -> dict:
        _limit(query, 10_000)
        name = _single_condition(one(query, "filter"), "name")
        if self._strict and not name:
            raise invalid(_MISSING)
        orders = _VERSION_ORDERS if self._strict else {**_VERSION_ORDERS, **_NOT_DOCUMENTED}
        models = [model for model in self.visible() if not name or model.name == name]
        rows = [_version(model, version) for model in models for version in model.versions.values()]
        return page(_ordered(rows, query, orders), "model_versions", query, 10_000)

    def _get_model(self, query: Query) -> dict:
        return {"registered_model": _model(self._readable(one(query, "name")))}

    def _get_version(self, query: Query) -> dict:
        model, number = self._readable(one(query, "name")), int(one(query, "version"))
        if number not in model.versions:
            raise _missing(f"ModelVersion {number} of {model.name}")
        return {"model_version": _version(model, model.versions[number])}

    def _get_experiment(self, query: Query) -> dict:
        raise _missing(f"Node ID {one(query, 'experiment_id')}")

    def _readable(self, name: str) -> HeldModel:
        if name in self.denied:
            raise Refused(403, "PERMISSION_DENIED", f"User does not have READ permission on {name}")
        if name not in self.models:
            raise _missing(f"RegisteredModel '{name}'")
        return self.models[name]


def _missing(what: str) -> Refused:
    return Refused(404, "RESOURCE_DOES_NOT_EXIST", f"{what} does not exist.")


def _limit(query: Query, most: int) -> None:
    if int(one(query, "max_results", "100")) > most:
        raise invalid(f"max_results must be at most {most}")


def _single_condition(text: str, key: str) -> str:
    """Return the name in ``name = 'x'``: of conditions, the documentation allows a single one."""
    found = re.fullmatch(rf"\s*{key}\s*=\s*'([^']*)'\s*", text)
    if text and not found:
        raise invalid(f"Unsupported filter query : `{text}`.")
    return found[1] if found else ""


def _ordered(rows: list[dict], query: Query, columns: dict[str, str]) -> list[dict]:
    for order in reversed(query.get("order_by", [])):
        column, _, way = order.partition(" ")
        if column not in columns:
            raise invalid(f"Invalid order_by column: {column}")
        rows = sorted(rows, key=lambda row: row[columns[column]], reverse=way.strip() == "DESC")
    return rows


def _model(model: HeldModel) -> dict:
    return {
        "name": model.name,
        "creation_timestamp": model.created,
        "last_updated_timestamp": model.updated,
        "user_id": USER,
        "description": model.description,
        "tags": [{"key": key, "value": value} for key, value in model.tags.items()],
    }


def _version(model: HeldModel, version: HeldVersion) -> dict:
    return {
        "name": model.name,
        "version": str(version.number),
        "creation_timestamp": version.created,
        "last_updated_timestamp": version.updated,
        "user_id": USER,
        "current_stage": version.stage,
        "description": version.description,
        "source": "dbfs:/models/x",
        "run_id": "r1",
        "status": "READY",
        "tags": [{"key": key, "value": value} for key, value in version.tags.items()],
    }
