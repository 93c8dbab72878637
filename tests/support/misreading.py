"""A stand-in for MLflow 2.9: the question of a newer client for models without the prompt tag finds none.

The real thing is in `support.old_servers`; this one can change its version, and starts at once.
"""

import re
import time

from support.databricks import WorkspaceRegistry
from support.json_api import JsonApi, Query, invalid, one

_PROMPTS = re.compile(r"(AND )?tags?\.`mlflow\.prompt\.is_prompt` != 'true'")


class MisreadingServer(WorkspaceRegistry):
    """An MLflow server on loopback that reads ``tag.x != 'true'`` as *has the tag x*, while `misreads`."""

    def __init__(self, version: str = "2.9.2") -> None:
        super().__init__("")
        self._now = time.time_ns() // 1_000_000  # what is older than a baseline is no news
        self.version = version
        self.misreads = True
        self.api = JsonApi(self._respond)

    def _respond(self, path: str, query: Query) -> dict | str:
        if path == "/version":
            return self.version
        if path.endswith("experiments/get"):
            return {"experiment": {"experiment_id": "0", "name": "Default", "creation_time": 1}}
        return super()._respond(path, query)

    def _search_models(self, query: Query) -> dict:
        text = one(query, "filter")
        if " IN (" in text:
            raise invalid("Only the 'run_id' attribute supports comparison with a list")
        if self.misreads and "tag" in text.replace("::mlflow.prompt", ""):
            return {}
        ours = {"filter": [_without(text)]}
        return super()._search_models({**query, **ours})

    def _search_versions(self, query: Query) -> dict:
        return super()._search_versions({**query, "filter": [_without(one(query, "filter"))]})


def _without(text: str) -> str:
    """Return a filter without its conditions about prompts: this server has none."""
    return _PROMPTS.sub("", re.sub(r"(AND )?name != '::[^']*'", "", text)).removeprefix(" AND ").strip()
