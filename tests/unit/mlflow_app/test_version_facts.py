"""What is read from the stores of MLflow's server, here in memory."""

from types import SimpleNamespace

import pytest
from mlflow.entities.model_registry import (
    ModelVersion,
    RegisteredModel,
    RegisteredModelAlias,
    RegisteredModelTag,
)
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, RESOURCE_DOES_NOT_EXIST
from mlflow.store.entities.paged_list import PagedList

from bridge.governance.transition_target import Target
from bridge.mlflow_app.version_facts import ServerRegistry

pytestmark = pytest.mark.filterwarnings("ignore")  # of SQLAlchemy, about MLflow's tables
PRODUCTION, CHAMPION = Target(stage="Production"), Target(alias="champion")


def gone(what: str):
    raise MlflowException(f"no {what}", error_code=RESOURCE_DOES_NOT_EXIST)


class Registry:
    """A store with a model "Fraud": version 1 in Production and champion, version 2 in no stage, with a run."""

    def __init__(self) -> None:
        self.db_type = "sqlite"
        self.aliases = {"champion": "1"}
        self.tags: list = []
        self.error = None
        self.versions = {
            "1": ModelVersion("Fraud", "1", 100, 200, current_stage="Production", run_id="gone"),
            "2": ModelVersion("Fraud", "2", 101, 201, current_stage="None", run_id="run"),
        }

    def get_registered_model(self, name):
        if self.error:
            raise self.error
        known = name.lower() == "fraud" if self.db_type == "mysql" else name == "Fraud"
        aliases = [RegisteredModelAlias(alias, version) for alias, version in self.aliases.items()]
        return RegisteredModel("Fraud", 1, 2, aliases=aliases, tags=self.tags) if known else gone(name)

    def get_model_version(self, _name, version):
        return self.versions.get(version) or gone(version)

    def get_latest_versions(self, _name, stages):
        return [one for one in self.versions.values() if one.current_stage in stages][-1:]

    def search_model_versions(self, _filter, max_results, page_token):
        found = list(self.versions.values())
        return PagedList(found[1:], None) if page_token else PagedList(found[:1], "more")

    def get_run(self, run_id):
        if run_id != "run":
            gone(run_id)
        info = SimpleNamespace(
            run_id="run",
            run_name="r",
            status="FINISHED",
            lifecycle_stage="active",
            user_id="u",
            experiment_id="0",
            start_time=1,
            end_time=2,
            artifact_uri="s3://x",
        )
        return SimpleNamespace(info=info, data=SimpleNamespace(metrics={"a": 0.9}, params={}, tags={}))


@pytest.fixture
def store(monkeypatch) -> Registry:
    found = Registry()
    monkeypatch.setattr("mlflow.server.handlers._get_model_registry_store", lambda: found)
    monkeypatch.setattr("mlflow.server.handlers._get_tracking_store", lambda: found)
    return found


def test_checks_see_the_version_its_run_the_model_and_the_incumbent(store) -> None:
    found = ServerRegistry().facts("Fraud", "2", PRODUCTION)
    assert (found["model"]["name"], found["version"]["version"], found["run"]["metrics"]) == (
        "Fraud",
        "2",
        {"a": 0.9},
    )
    assert (found["incumbent"]["version"], found["incumbent"]["run"]) == ("1", None)
    assert found["gaps"] == ["incumbent: run gone does not exist"]
    assert ServerRegistry().facts("Fraud", "2", CHAMPION)["incumbent"]["version"] == "1"
    assert ServerRegistry().facts("Fraud", "1", CHAMPION)["incumbent"] is None
    assert ServerRegistry().facts("Fraud", "2", Target(stage="Staging"))["incumbent"] is None


def test_what_is_not_there_has_no_facts_and_what_cannot_be_read_is_said(store) -> None:
    assert ServerRegistry().facts("no such", "1", PRODUCTION) is None
    assert ServerRegistry().facts("Fraud", "9", PRODUCTION) is None
    store.error = MlflowException("the database is locked", error_code=INTERNAL_ERROR)
    assert "could not read" in ServerRegistry().facts("Fraud", "1", PRODUCTION)["gaps"][0]


def test_a_prompt_is_nothing_that_somebody_can_ask_for(store) -> None:
    store.tags = [RegisteredModelTag("mlflow.prompt.is_prompt", "true")]
    assert ServerRegistry().facts("Fraud", "1", CHAMPION) is None
    assert list(ServerRegistry().held("Fraud")) == []


def test_what_versions_hold_is_read_page_by_page(store) -> None:
    store.versions["2"] = ModelVersion("Fraud", "2", 101, 201, current_stage="Staging")
    assert list(ServerRegistry().held("Fraud")) == [
        ("1", CHAMPION),
        ("1", PRODUCTION),
        ("2", Target(stage="Staging")),
    ]
    assert list(ServerRegistry().held("no such")) == []


def test_names_and_aliases_are_taken_as_the_database_compares_them(store) -> None:
    registry = ServerRegistry()
    assert (registry.name_of("FRAUD"), registry.spellings("Chámpion ")) == ("FRAUD", ("Chámpion ",))
    store.db_type, store.aliases = "mysql", {"CHAMPION": "1"}
    registry = ServerRegistry()
    assert (registry.name_of("FRAUD"), registry.name_of("other")) == ("Fraud", "other")
    assert registry.spellings("Chámpion ") == ("Chámpion ", "champion")
    assert [target.alias for _, target in registry.held("Fraud") if target.alias] == ["CHAMPION", "champion"]
    assert registry.facts("Fraud", "2", Target(alias="Champion"))["incumbent"]["version"] == "1"
    assert registry.facts("Fraud", "2", CHAMPION)["incumbent"]["version"] == "1"
