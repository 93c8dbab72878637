"""What a question about one model comes to, when the server answers it in odd ways."""

from dataclasses import replace

import pytest
from support.failing_rows import FailingServer
from support.json_api import invalid, one

from bridge.config import RegistrySettings
from bridge.diff.absence_verification import Absence, Doubt
from bridge.diff.registry_abilities import Abilities
from bridge.diff.snapshot import ModelVersion, RegisteredModel
from bridge.errors import RegistryRefused, RegistryUnreachable
from bridge.registry.base import Deadline
from bridge.registry.mlflow_reader import MlflowRegistry

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def server():
    server = FailingServer()
    server.create("team/old", versions=2)
    yield server
    server.api.stop()


@pytest.fixture
def registry(server) -> MlflowRegistry:
    registry = MlflowRegistry(RegistrySettings(tracking_uri=server.api.url, timeout="5s"))
    registry.expect(Abilities("MLflow 3.17.2"))
    return registry


def refuse(_query) -> dict:
    raise invalid("Invalid model name. Names cannot contain '/' or ':'.")


def asked(registry, name: str, known: RegisteredModel | None = None):
    return registry.ask([Doubt(name, known)], Deadline.after(60_000))[name]


def as_held(server, name: str = "team/old", **versions: ModelVersion) -> RegisteredModel:
    held = server.models[name]
    mine = {
        str(number): ModelVersion(str(number), one.created, one.updated)
        for number, one in held.versions.items()
    }
    return RegisteredModel(name, held.created, held.updated, versions={**mine, **versions})


@pytest.fixture
def refusing(server, monkeypatch) -> FailingServer:
    """A server that takes no questions about this name, but for searches."""
    monkeypatch.setattr(server, "_get_model", refuse)
    monkeypatch.setattr(server, "_get_version", refuse)
    return server


def test_a_model_whose_name_is_refused_is_found_by_a_search(refusing, registry) -> None:
    answer = asked(registry, "team/old", as_held(refusing))

    assert (answer.name, sorted(answer.versions), registry.odd_rows()) == ("team/old", ["1", "2"], [])


def test_and_is_gone_where_the_search_shows_it_no_more(refusing, registry) -> None:
    known = as_held(refusing)
    refusing.delete("team/old")

    assert asked(registry, "team/old", known) is Absence.GONE


def test_a_version_of_it_is_gone_where_the_search_shows_it_no_more(refusing, registry) -> None:
    known = as_held(refusing)
    del refusing.models["team/old"].versions[1]

    assert list(asked(registry, "team/old", known).versions) == ["2"]


def test_a_name_that_not_even_a_search_takes_is_left_aside(refusing, registry, monkeypatch) -> None:
    monkeypatch.setattr(refusing, "_search_models", refuse)

    assert asked(registry, "team/old", as_held(refusing)) is Absence.UNKNOWN
    assert [(row.model, row.why) for row in registry.odd_rows()] == [
        ("team/old", "the server takes no question about this name")
    ]


@pytest.mark.parametrize("is_refused", [True, False])
def test_a_model_that_came_to_have_no_creation_time_is_neither_there_nor_gone(
    server, registry, monkeypatch, is_refused
) -> None:
    known = as_held(server)
    server.models["team/old"].created = 0
    if is_refused:
        monkeypatch.setattr(server, "_get_model", refuse)

    assert asked(registry, "team/old", known) is Absence.UNKNOWN
    assert [row.why for row in registry.odd_rows()] == ["its creation time is 0"]


def test_a_version_that_came_to_have_no_creation_time_stays_as_known(server, registry) -> None:
    known = as_held(server)
    server.models["team/old"].versions[1].created = 0

    assert asked(registry, "team/old", known).versions["1"] == known.versions["1"]
    assert [(row.version, row.why) for row in registry.odd_rows()] == [("1", "its creation time is 0")]


def test_a_version_under_another_spelling_is_the_known_one_if_it_was_created_then(
    server, registry, monkeypatch
) -> None:
    """The database takes both spellings for one name, and a search shows this one under neither."""
    known = as_held(server)
    versions = server.models["team/old"].versions
    hidden = versions.pop(1)
    server.create("TEAM/OLD")
    server.models["TEAM/OLD"].versions = {1: hidden}
    get = server._get_version
    monkeypatch.setattr(
        server, "_get_version", lambda query: get({**query, "name": [one(query, "name").upper()]})
    )

    assert sorted(asked(registry, "team/old", known).versions) == ["1", "2"]

    server.models["TEAM/OLD"].versions = {1: replace(hidden, created=hidden.created + 5)}
    assert list(asked(registry, "team/old", known).versions) == ["2"]


def shown_with_its_model(server, monkeypatch, number: int) -> None:
    """As MLflow shows a version whose stage is NULL: with its model, and nowhere else."""
    get = server._get_model

    def with_latest(query) -> dict:
        latest = [{"name": "team/old", "version": str(number), "creation_timestamp": 7}]
        return {"registered_model": {**get(query)["registered_model"], "latest_versions": latest}}

    monkeypatch.setattr(server, "_get_model", with_latest)


def test_a_version_that_is_shown_with_its_model_and_nowhere_else_is_not_gone(
    server, registry, monkeypatch
) -> None:
    known = as_held(server, **{"3": ModelVersion("3", 7, 7), "4": ModelVersion("4", 7, 7)})
    shown_with_its_model(server, monkeypatch, 3)

    assert sorted(asked(registry, "team/old", known).versions) == ["1", "2", "3"]
    (row,) = registry.odd_rows()
    assert (row.version, "does its row have a stage?" in row.why) == ("3", True)


def test_a_version_that_is_deleted_while_its_model_is_read_is_gone(server, registry, monkeypatch) -> None:
    known = as_held(server, **{"3": ModelVersion("3", 7, 7)})
    get = server._get_model
    shown_with_its_model(server, monkeypatch, 3)
    version = server._get_version

    def delete(query) -> dict:
        server.models["team/old"].updated += 1
        monkeypatch.setattr(server, "_get_model", get)
        return version(query)

    monkeypatch.setattr(server, "_get_version", delete)

    assert sorted(asked(registry, "team/old", known).versions) == ["1", "2"]
    assert registry.odd_rows() == []


def test_a_version_that_says_nothing_of_itself_is_no_answer(server, registry, monkeypatch) -> None:
    known = as_held(server, **{"3": ModelVersion("3", 7, 7)})
    monkeypatch.setattr(server, "_get_version", lambda _query: {})

    with pytest.raises(RegistryRefused, match="is not an MLflow server"):
        asked(registry, "team/old", known)


@pytest.mark.parametrize("question", ["_get_model", "_get_version"])
def test_a_server_that_fails_altogether_is_down(server, registry, monkeypatch, question) -> None:
    known = as_held(server, **{"3": ModelVersion("3", 7, 7)})

    def fall(_query) -> dict:
        server.down = True
        raise server._failure()

    monkeypatch.setattr(server, question, fall)

    with pytest.raises(RegistryUnreachable, match="HTTP 500"):
        asked(registry, "team/old", known)
    assert registry.odd_rows() == []


def test_a_fast_read_of_versions_fails_where_the_server_is_down(server, registry) -> None:
    server.down = True

    with pytest.raises(RegistryUnreachable, match="HTTP 500"):
        registry.with_versions([RegisteredModel("team/old", 1, 1)], Deadline.after(60_000))


def test_a_prompt_that_cannot_be_taken_is_neither_there_nor_gone(server, registry, monkeypatch) -> None:
    """MLflow's point reads deny prompts, its searches don't."""
    prompt = {"name": "greeting", "creation_timestamp": 0}
    search = server._search_models
    monkeypatch.setattr(
        server,
        "_search_models",
        lambda query: {"registered_models": [prompt]} if "is_prompt" in str(query) else search(query),
    )

    assert asked(registry, "greeting") is Absence.UNKNOWN
