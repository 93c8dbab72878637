"""Stand-ins for Unity Catalog: Databricks' own, and the open-source server. No stages, no order.

Databricks' answers have the shapes of mlflow's databricks_uc_registry_messages.proto; a search
leaves aliases and tags out. The open-source server's are those of its ModelService, which knows
neither aliases nor tags. Both may send a page without rows that is not the last one.
"""

import re

from support.json_api import JsonApi, Query, Refused, invalid, one, page
from support.models import USER, HeldModel, HeldModels, HeldVersion

_DATABRICKS = "/api/2.0/mlflow/unity-catalog/"
_OPEN = "/api/2.1/unity-catalog/models"


class _Catalog(HeldModels):
    def __init__(self, token: str) -> None:
        super().__init__()
        self.api = JsonApi(self._respond, token)

    def _respond(self, path: str, query: Query) -> dict:
        raise NotImplementedError

    def _readable(self, name: str) -> HeldModel:
        if name in self.denied:
            raise Refused(
                403, "PERMISSION_DENIED", f"User does not have EXECUTE on Routine or Model '{name}'."
            )
        if name not in self.models:
            raise self._missing(f"Registered model '{name}' does not exist.")
        return self.models[name]

    def _version(self, name: str, number: str) -> tuple[HeldModel, HeldVersion]:
        model = self._readable(name)
        if int(number) not in model.versions:
            raise self._missing(f"Model version {number} does not exist.")
        return model, model.versions[int(number)]

    def _missing(self, message: str) -> Refused:
        return Refused(404, "RESOURCE_DOES_NOT_EXIST", message)


class DatabricksUnityCatalog(_Catalog):
    """``databricks-uc``."""

    def _respond(self, path: str, query: Query) -> dict:
        answers = {
            "registered-models/search": self._search_models,
            "registered-models/get": self._get_model,
            "registered-models/alias": self._get_version_by_alias,
            "model-versions/search": self._search_versions,
            "model-versions/get": self._get_version,
        }
        if path == "/api/2.0/mlflow/experiments/get":
            raise self._missing("Node ID 0 does not exist.")
        answer = answers.get(path.removeprefix(_DATABRICKS))
        if answer is None:
            raise Refused(404, "ENDPOINT_NOT_FOUND", f"No API found for 'GET {path}'")
        return answer(query)

    def _search_models(self, query: Query) -> dict:
        _only(query, "max_results", "page_token")
        rows = [_row(model) for model in reversed(self.visible())]
        return _after_an_empty_page(rows, "registered_models", query)

    def _get_model(self, query: Query) -> dict:
        model = self._readable(one(query, "name"))
        aliases = [{"alias": alias, "version": str(at)} for alias, at in model.aliases.items()]
        return {"registered_model": {**_row(model), "aliases": aliases, "tags": _tags(model.tags)}}

    def _search_versions(self, query: Query) -> dict:
        _only(query, "filter", "max_results", "page_token")
        name = _name_in(one(query, "filter"))  # unlike the others, no error where there is none
        models = [model for model in self.visible() if model.name == name]
        rows = [_version_row(model, each) for model in models for each in reversed(model.versions.values())]
        return page(rows, "model_versions", query, 10_000)

    def _get_version(self, query: Query) -> dict:
        model, version = self._version(one(query, "name"), one(query, "version"))
        return {"model_version": {**_version_row(model, version), "tags": _tags(version.tags)}}

    def _get_version_by_alias(self, query: Query) -> dict:
        model, alias = self._readable(one(query, "name")), one(query, "alias")
        if alias not in model.aliases:
            raise self._missing(f"Alias {alias} does not exist.")
        return {"model_version": _version_row(model, model.versions[model.aliases[alias]])}


class OpenUnityCatalog(_Catalog):
    """``uc:http://…``, the open-source server."""

    def _missing(self, message: str) -> Refused:
        return Refused(404, "NOT_FOUND", message)

    def _respond(self, path: str, query: Query) -> dict:
        if path == _OPEN:
            rows = [_open_row(model) for model in reversed(self.visible())]
            return _after_an_empty_page(rows, "registered_models", query)
        found = re.fullmatch(rf"{_OPEN}/([^/]+)(/versions(?:/(\d+))?)?", path)
        if found is None:
            raise Refused(404, "NOT_FOUND", f"no such path: {path}")
        name, versions, number = found.groups()
        if number:
            return _open_version_row(*self._version(name, number))
        model = self._readable(name)
        if not versions:
            return _open_row(model)
        rows = [_open_version_row(model, version) for version in model.versions.values()]
        return page(rows, "model_versions", query, 1_000)


def _only(query: Query, *known: str) -> None:
    if unknown := query.keys() - set(known):
        raise invalid(f"Unsupported parameters: {', '.join(sorted(unknown))}")


def _name_in(text: str) -> str:
    if not text.strip():
        raise invalid(
            "Missing filter: please specify a filter parameter in the format `name = 'model_name'`."
        )
    found = re.fullmatch(r"name\s*=\s*'([^']+)'", text.strip())
    if found is None:
        raise invalid(
            f"Unsupported filter query : `{text}`. Please specify your filter parameter in the format "
            "`name = 'model_name'`."
        )
    return found[1]


def _after_an_empty_page(rows: list[dict], key: str, query: Query) -> dict:
    if "page_token" not in query:
        return {key: [], "next_page_token": "0"}
    return page(rows, key, query, 1_000)


def _tags(tags: dict[str, str]) -> list[dict]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def _row(model: HeldModel) -> dict:
    return {
        "name": model.name,
        "creation_timestamp": model.created,
        "last_updated_timestamp": model.updated,
        "user_id": USER,
        "description": model.description,
    }


def _version_row(model: HeldModel, version: HeldVersion) -> dict:
    return {
        "name": model.name,
        "version": str(version.number),
        "creation_timestamp": version.created,
        "last_updated_timestamp": version.updated,
        "user_id": USER,
        "description": version.description,
        "source": "dbfs:/models/x",
        "run_id": "r1",
        "status": "READY",
    }


def _open_row(model: HeldModel) -> dict:
    catalog, schema, name = model.name.split(".")
    return {
        "name": name,
        "catalog_name": catalog,
        "schema_name": schema,
        "full_name": model.name,
        "comment": model.description,
        "created_at": model.created,
        "updated_at": model.updated,
        "id": "00000000-0000-0000-0000-000000000001",
    }


def _open_version_row(model: HeldModel, version: HeldVersion) -> dict:
    catalog, schema, name = model.name.split(".")
    return {
        "model_name": name,
        "catalog_name": catalog,
        "schema_name": schema,
        "version": version.number,
        "source": "file:///models/x",
        "run_id": "r1",
        "status": "READY",
        "comment": version.description,
        "created_at": version.created,
        "updated_at": version.updated,
    }
