"""A stand-in for an MLflow server that fails on some rows, as a real one does on what it cannot read.

The real thing is in `integration/test_odd_rows_of_a_server.py`; this one has as many such rows as a test likes.
"""

import base64
import json
import re

from support.databricks import WorkspaceRegistry, _model, _ordered, _version
from support.json_api import JsonApi, Query, Refused, one

_NAME = re.compile(r"name = '([^']*)'")
_ORDERS = {
    "name": "name",
    "version_number": "version",
    "last_updated_timestamp": "last_updated_timestamp",
}


class FailingServer(WorkspaceRegistry):
    """Answers a page with ``status`` if it holds a row of a model in ``failing`` (or its versions'), or if it is ``down``."""

    def __init__(self) -> None:
        super().__init__("")
        self.failing_models: set[str] = set()
        self.failing_versions: set[tuple[str, int]] = set()
        self.status = 500
        self.down = False
        self.tokens = "offset"
        self.api = JsonApi(self._respond)

    def _respond(self, path: str, query: Query) -> dict | str:
        if path == "/version":
            return "3.17.2"
        if self.down:
            raise self._failure()
        return super()._respond(path, query)

    def _get_experiment(self, query: Query) -> dict:
        return {"experiment": {"experiment_id": "0", "name": "Default", "creation_time": 1}}

    def _failure(self) -> Refused:
        return Refused(self.status, "INTERNAL_ERROR", "int() argument must not be 'NoneType'")

    def _search_models(self, query: Query) -> dict:
        found = _NAME.search(one(query, "filter"))
        rows = [_model(model) for model in self.visible() if found is None or model.name == found[1]]
        return self._page(rows, "registered_models", query, lambda row: row["name"] in self.failing_models)

    def _search_versions(self, query: Query) -> dict:
        found = _NAME.search(one(query, "filter"))
        models = [model for model in self.visible() if found is None or model.name == found[1]]
        rows = [_version(model, version) for model in models for version in model.versions.values()]
        return self._page(
            rows,
            "model_versions",
            query,
            lambda row: (row["name"], int(row["version"])) in self.failing_versions,
        )

    def _page(self, rows, key, query, fails) -> dict:
        rows = _ordered(rows, query, _ORDERS)
        begin, size = self._begin(one(query, "page_token")), int(one(query, "max_results"))
        shown = rows[begin : begin + size]
        if any(map(fails, shown)):
            raise self._failure()
        more = {"next_page_token": self._token(begin + size)} if begin + size < len(rows) else {}
        return {key: shown, **more}

    def _token(self, offset: int) -> str:
        if self.tokens != "offset":
            return f"{self.tokens}{offset}"
        return base64.b64encode(json.dumps({"offset": offset}).encode()).decode()

    def _begin(self, token: str) -> int:
        if not token:
            return 0
        if self.tokens != "offset":
            return int(token.removeprefix(self.tokens))
        offset = json.loads(base64.b64decode(token))["offset"]
        if offset < 1:
            raise Refused(400, "INVALID_PARAMETER_VALUE", f"Invalid page token, parsed value={offset}")
        return offset

    def _get_model(self, query: Query) -> dict:
        if one(query, "name") in self.failing_models:
            raise self._failure()
        return super()._get_model(query)

    def _get_version(self, query: Query) -> dict:
        if (one(query, "name"), int(one(query, "version"))) in self.failing_versions:
            raise self._failure()
        return super()._get_version(query)
