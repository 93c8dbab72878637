"""What the bridge uses of MlflowClient, over a `PagingRegistry`: pages are offsets, and nothing is locked.

Only the filters that the bridge sends are understood. ``between`` holds what happens just before
some of the next requests: mutations, time that passes.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from unittest.mock import patch

from bridge.config import RegistrySettings
from bridge.diff.snapshot import ModelVersion, RegisteredModel
from bridge.registry.mlflow_reader import MlflowRegistry
from support.paging_registry import PagingRegistry, Refusal, Rows

_CONDITION = re.compile(
    r"""name\s(?P<sign>=|!=|LIKE)\s(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)")"""
    r"""|name\sIN\s\((?P<names>[^)]*)\)|tags\.`(?P<tag>[^`]*)`\s=\s'(?P<value>[^']*)'"""
)


class Page(list):
    """One page of an answer; ``token`` leads to the next."""

    token: str | None = None


@dataclass
class PagingClient:
    """Stands in for MlflowClient; ``page`` is the most that the server gives at once."""

    registry: PagingRegistry
    page: int = 1_000
    requests: int = 0
    between: dict[int, list[Callable[[], None]]] = field(default_factory=dict)
    fails_at: int = 0

    def on_request(self) -> None:
        self.requests += 1
        for happens in self.between.pop(self.requests, []):
            happens()
        if self.requests == self.fails_at:
            raise ConnectionError("Connection refused")

    def schedule(self, ahead: int, happens: Callable[[], None]) -> None:
        """Have something happen just before one of the next requests."""
        self.between.setdefault(self.requests + ahead, []).append(happens)

    def calm(self) -> None:
        """Let happen what was scheduled for requests that were not made; fail no more."""
        late, self.between, self.fails_at = self.between, {}, 0
        for happens in (one for number in sorted(late) for one in late[number]):
            happens()

    def server_version(self, _uri: str) -> str:
        self.on_request()
        return "MLflow double"

    def get_experiment(self, _number: str) -> SimpleNamespace:
        self.on_request()
        return SimpleNamespace(creation_time=1)

    def get_registered_model(self, name: str) -> SimpleNamespace:
        self.on_request()
        return _model(self._readable(name))

    def get_model_version(self, name: str, version: str) -> SimpleNamespace:
        self.on_request()
        model = self._readable(name)
        if version not in model.versions:
            raise Refusal("RESOURCE_DOES_NOT_EXIST")
        return _version(name, model.versions[version])

    def search_registered_models(
        self, filter_string=None, max_results=100, order_by=None, page_token=None
    ) -> Page:
        self.on_request()
        found = [model for model in self._shown() if _matches(filter_string, model)]
        found.sort(key=_order_of_models(order_by or ["name ASC"]))
        return self._page([_model(model) for model in found], max_results, page_token)

    def search_model_versions(
        self, filter_string=None, max_results=10_000, order_by=None, page_token=None
    ) -> Page:
        self.on_request()
        found = [
            (model.name, version)
            for model in self._shown()
            if _matches(filter_string, model)
            for version in model.versions.values()
        ]
        found.sort(key=_order_of_versions(order_by))
        return self._page([_version(*one) for one in found], max_results, page_token)

    def _page(self, found: list, size: int, token: str | None) -> Page:
        start, size = int(token or 0), min(size, self.page)
        page = Page(found[start : start + size])
        page.token = str(start + size) if start + size < len(found) else None
        return page

    def picture(self) -> Rows:
        """Return the registry that a request shows."""
        return self.registry.rows

    def _shown(self) -> Iterator[RegisteredModel]:
        kept = self.picture().values()
        return (one.model for one in kept if one.uid not in self.registry.hidden)

    def _readable(self, name: str) -> RegisteredModel:
        rows = self.picture()
        if name not in rows:
            raise Refusal("RESOURCE_DOES_NOT_EXIST")
        if rows[name].uid in self.registry.hidden:
            raise Refusal("PERMISSION_DENIED")
        return rows[name].model


def _order_of_models(order: list[str]) -> Callable:
    keys = {
        "name ASC": lambda model: model.name,
        "last_updated_timestamp DESC": lambda model: (-model.updated, model.name),
    }
    return keys[",".join(order)]


def _order_of_versions(order: list[str] | None) -> Callable:
    keys = {
        "": lambda one: (-one[1].updated, one[0], -int(one[1].version)),
        "name ASC,version_number ASC": lambda one: (one[0], int(one[1].version)),
    }
    return keys[",".join(order or [])]


def _matches(filter_string: str | None, model: RegisteredModel) -> bool:
    rest = filter_string or ""
    while rest:
        condition = _CONDITION.match(rest)
        assert condition, f"the double does not understand {filter_string!r}"
        if not _holds(condition, model):
            return False
        rest = rest[condition.end() :].removeprefix(" AND ")
    return True


def _holds(condition: re.Match, model: RegisteredModel) -> bool:
    part = condition.groupdict()
    if part["names"] is not None:
        return model.name in re.findall("'([^']*)'", part["names"])
    if part["tag"] is not None:
        return (part["tag"], part["value"]) in model.tags
    wanted = part["single"] if part["double"] is None else part["double"]
    if part["sign"] == "LIKE":
        pattern = "".join({"_": ".", "%": ".*"}.get(sign, re.escape(sign)) for sign in wanted)
        return re.fullmatch(pattern, model.name, re.DOTALL) is not None
    return (model.name == wanted) is (part["sign"] == "=")


def _model(model: RegisteredModel) -> SimpleNamespace:
    latest = {one.stage: one for one in sorted(model.versions.values(), key=lambda one: int(one.version))}
    return SimpleNamespace(
        latest_versions=[_version(model.name, one) for one in latest.values()],
        name=model.name,
        creation_timestamp=model.created,
        last_updated_timestamp=model.updated,
        description=model.description,
        tags=dict(model.tags),
        aliases=dict(model.aliases),
    )


def _version(name: str, version: ModelVersion) -> SimpleNamespace:
    return SimpleNamespace(
        name=name,
        version=version.version,
        creation_timestamp=version.created,
        last_updated_timestamp=version.updated,
        current_stage=version.stage,
        status=version.status,
        description=version.description,
        user_id=version.user_id,
        tags=dict(version.tags),
        run_id=version.run_id,
        source=version.source,
    )


def reader_of(client: PagingClient) -> MlflowRegistry:
    """Return the bridge's own reader, with this client in place of MLflow's."""
    reader = MlflowRegistry(RegistrySettings(tracking_uri="http://registry"))
    reader._connection._client = client
    return reader


@contextmanager
def greeted_by(client: PagingClient) -> Iterator[None]:
    """Have the registry's version come from ``client`` as well."""
    told = patch("bridge.registry.mlflow_reader.server_version", client.server_version)
    with told, patch.dict("os.environ"):
        yield
