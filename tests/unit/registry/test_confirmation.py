"""An empty list is believed where MLflow gave it, and a refusal counts as a lack where it is one."""

import json

import pytest
from structlog.testing import capture_logs
from support.misreading import MisreadingServer
from support.receiver import Answer, WebServer
from support.values import model

from bridge.config import RegistrySettings
from bridge.diff.known_snapshot import PlainModels
from bridge.errors import RegistryRefused
from bridge.registry.base import Deadline
from bridge.registry.mlflow_reader import MlflowRegistry

pytestmark = pytest.mark.filterwarnings("ignore")

JSON = {"Content-Type": "application/json"}
KNOWN = PlainModels({"churn": model("churn")})


def refused(code: str, status: int = 400) -> Answer:
    return Answer(status, JSON, json.dumps({"error_code": code, "message": "no"}).encode())


def listed(*names: str) -> Answer:
    rows = [{"name": name, "creation_timestamp": "1", "last_updated_timestamp": "1"} for name in names]
    return Answer(200, JSON, json.dumps({"registered_models": rows}).encode())


class Server:
    """A server whose searches find nothing unless told otherwise; it answers a point read as it is told to."""

    def __init__(self, point_read: Answer, version: bytes = b"3.17.2") -> None:
        self.point_read, self.version = point_read, version
        self.refuses: list[str] = []
        self.models: tuple[str, ...] = ()
        self._web = WebServer(self._answer)
        self.reader = MlflowRegistry(RegistrySettings(tracking_uri=self._web.url, timeout="5s"))
        self.reader.prepare()

    def _answer(self, got):
        if got.path == "/version":
            return Answer(200, {}, self.version)
        if "/registered-models/get" in got.path:
            return self.point_read
        if self.refuses and self.refuses[0] in got.path:
            del self.refuses[0]
            return refused("INVALID_PARAMETER_VALUE")
        return listed(*self.models) if "/registered-models/search" in got.path else Answer(200, JSON, b"{}")

    def scan(self, known=KNOWN):
        return self.reader.scan(known, Deadline.after(60_000), with_facts=True)

    def stop(self) -> None:
        self._web.stop()


@pytest.fixture
def serving():
    servers = []

    def serve(*args) -> Server:
        servers.append(Server(*args))
        return servers[-1]

    yield serve
    for server in servers:
        server.stop()


HONEST = {
    "MLflow": refused("RESOURCE_DOES_NOT_EXIST", 404),
    "Unity Catalog": refused("NOT_FOUND", 404),
    "a strict server": refused("INVALID_PARAMETER_VALUE"),
    "few rights": refused("PERMISSION_DENIED", 403),
    "basic authentication": Answer(403, {}, b"Permission denied"),
}


@pytest.mark.parametrize("point_read", HONEST.values(), ids=HONEST)
@pytest.mark.parametrize("version", [b"3.17.2", b""], ids=["a version", "none"])
def test_a_registry_that_says_what_is_not_there_may_be_empty(serving, point_read, version) -> None:
    assert serving(point_read, version).scan().counted == (0, 0)


SILENT = {
    "nothing": Answer(200, {}, b""),
    "an object": Answer(200, JSON, b"{}"),
    "a page": Answer(200, {"Content-Type": "text/html"}, b"<html>"),
    "a page that is not there": Answer(404, {}, b"<html>"),
    "another program": Answer(404, JSON, b'{"detail": "Not Found"}'),
    "any model": Answer(200, JSON, b'{"registered_model": {"name": "x", "creation_timestamp": 1}}'),
}


@pytest.mark.parametrize("point_read", SILENT.values(), ids=SILENT)
def test_what_does_not_is_no_registry_also_where_models_were_known(serving, point_read) -> None:
    with pytest.raises(RegistryRefused, match="is not an MLflow server"):
        serving(point_read).scan()


@pytest.mark.parametrize("version", [b"", b"200 OK", b"ok", b"1", b"<html>3.1</html>"])
def test_nor_is_it_one_at_the_first_scan_where_it_tells_no_version(serving, version) -> None:
    with pytest.raises(RegistryRefused, match="is not an MLflow server"):
        serving(SILENT["nothing"], version).scan(PlainModels())


def test_models_without_any_version_are_doubted_too(serving) -> None:
    """What stands before MLflow may begin to answer with nothing between the two lists."""
    server = serving(SILENT["nothing"])
    server.models = ("churn",)
    with pytest.raises(RegistryRefused, match="is not an MLflow server"):
        server.scan(PlainModels())

    server.point_read = HONEST["MLflow"]
    assert server.scan(PlainModels()).counted == (1, 0)


# Refusals


@pytest.mark.parametrize("search", ["order_by", "IN"])
def test_what_is_refused_once_is_asked_again(serving, search) -> None:
    server = serving(HONEST["MLflow"])
    server.refuses = [search]

    found = server.scan().abilities

    assert (found.has_order, found.has_names) == (True, True)


def test_what_is_refused_twice_is_a_lack_that_is_logged_and_asked_for_after_an_hour(
    serving, monkeypatch
) -> None:
    server = serving(HONEST["MLflow"])
    server.refuses = ["order_by", "order_by"]
    with capture_logs() as logs:
        found = server.scan().abilities
        again = server.scan().abilities
        monkeypatch.setattr("bridge.registry.mlflow_reader._REFUSAL_LASTS_S", 0)
        later = server.scan().abilities

    assert [one.has_order for one in (found, again, later)] == [False, False, True]
    assert [len(line["lacks"]) for line in logs if line["event"] == "registry.abilities"] == [1, 0]


def test_a_server_that_refuses_every_search_lacks_nothing_it_fails(serving) -> None:
    server = serving(HONEST["MLflow"])
    server.refuses = ["search"] * 9

    with pytest.raises(RegistryRefused, match="does not take a request"):
        server.scan()


def test_an_honest_empty_registry_of_an_old_version_is_still_believed() -> None:
    old = MisreadingServer()
    try:
        reader = MlflowRegistry(RegistrySettings(tracking_uri=old.api.url, timeout="5s"))
        reader.prepare()
        assert reader.scan(PlainModels(), Deadline.after(60_000), with_facts=True).counted == (0, 0)
    finally:
        old.api.stop()
