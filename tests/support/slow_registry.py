"""An MLflow server's answers to the searches, as slow and as limited as it is told to be."""

import json
from collections.abc import Callable  # noqa: TC003 - a fault is chosen at run time
from urllib.parse import parse_qs, urlsplit

from support.receiver import Answer, Got, WebServer

BORN = 1_700_000_000_000


class SlowRegistry:
    """Serves models with versions, page by page; ``fault`` says what becomes of pages with so many rows asked for."""

    def __init__(self, models: int, versions: int = 1) -> None:
        self.names = [f"m{number:05}" for number in range(models)]
        self.stages: dict[str, str] = {}
        self.updated: dict[str, int] = {}
        self.versions = versions
        self.seconds_a_row = 0.0
        self.fault: Callable[[int], Answer | None] = lambda rows: None
        self.pages: list[tuple[str, int, int]] = []
        """Each page that was given: of what, from which row on, and how many were asked for."""
        self._server = WebServer(self._answer)
        self.url = self._server.url

    def stop(self) -> None:
        self._server.stop()

    def move(self, name: str, stage: str, at: int) -> None:
        self.stages[name], self.updated[name] = stage, at

    def _answer(self, got: Got) -> Answer:
        url = urlsplit(got.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        if url.path == "/version":
            return Answer(200, {}, b"3.17.0")
        if url.path.endswith("/experiments/get"):
            return _json({"experiment": {"experiment_id": "0", "name": "Default", "creation_time": 5}})
        if url.path.endswith("/registered-models/search"):
            return self._page("models", self._models(query), query)
        if url.path.endswith("/model-versions/search"):
            return self._page("versions", self._all_versions(query), query)
        return Answer(404, {}, b"")

    def _model(self, name: str) -> dict:
        born = BORN + int(name[1:])
        updated = self.updated.get(name, born)
        return {"name": name, "creation_timestamp": born, "last_updated_timestamp": updated}

    def _models(self, query: dict[str, str]) -> list[dict]:
        wanted = query.get("filter", "")
        if "is_prompt` = 'true'" in wanted:
            return []
        names = [name for name in self.names if f"'{name}'" in wanted or "name" not in wanted]
        rows = [self._model(name) for name in names]
        if "last_updated_timestamp DESC" in query.get("order_by", ""):
            rows.sort(key=lambda row: -row["last_updated_timestamp"])
        return rows

    def _all_versions(self, query: dict[str, str]) -> list[dict]:
        wanted = query.get("filter", "")
        return [
            {
                **self._model(name),
                "version": str(number),
                "current_stage": self.stages.get(name, "None") if number == 1 else "None",
                "status": "READY",
                "source": "s3://b",
            }
            for name in self.names
            if f"'{name}'" in wanted or "name" not in wanted
            for number in range(1, self.versions + 1)
        ]

    def _page(self, of: str, rows: list[dict], query: dict[str, str]) -> Answer:
        start, asked = int(query.get("page_token", 0)), int(query["max_results"])
        page = rows[start : start + asked]
        refused = self.fault(asked)
        if refused is not None:
            return refused
        self.pages.append((of, start, asked))
        key = "registered_models" if of == "models" else "model_versions"
        more = {"next_page_token": str(start + asked)} if start + asked < len(rows) else {}
        answer = _json({key: page, **more})
        return Answer(200, answer.headers, answer.body, self.seconds_a_row * len(page))


def _json(document: dict) -> Answer:
    return Answer(200, {"Content-Type": "application/json"}, json.dumps(document).encode())
