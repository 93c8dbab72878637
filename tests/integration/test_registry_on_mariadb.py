"""A registry on MariaDB, which takes names for equal that Python does not: case, accents, blanks, emoji."""

# ruff: noqa: S608 - statements of the test's own

from collections.abc import Iterator

import pytest
from support.mariadb import MariaDb, mariadb, what_is_missing
from support.mlflow_server import MlflowServer
from support.observed import Observed

from bridge.diff.absence_verification import Absence, Doubt
from bridge.pipeline.incremental_read import Read
from bridge.registry.base import Deadline

pytestmark = [pytest.mark.extra, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def database() -> Iterator[MariaDb]:
    if missing := what_is_missing():
        pytest.skip(missing)
    with mariadb() as database:
        database.create("registry")
        yield database


@pytest.fixture(scope="module")
def server(database, tmp_path_factory) -> Iterator[MlflowServer]:
    server = MlflowServer(tmp_path_factory.mktemp("mlflow"), "--backend-store-uri", database.uri("registry"))
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def client(server, database):
    from mlflow import MlflowClient

    tables = ("registered_model_aliases", "registered_model_tags", "model_version_tags", "model_versions")
    database.tell("registry", ";".join(f"DELETE FROM {table}" for table in (*tables, "registered_models")))
    return MlflowClient(server.url)


async def observed(server) -> Observed:
    observed = Observed(server.url)
    await observed.look()
    return observed


def create(client, *names: str) -> None:
    for name in names:
        client.create_registered_model(name)
        client.create_model_version(name, "s3://b/x")


def rename(client, old: str, new: str) -> None:
    """Rename; MLflow renames and answers without the model where the database takes both names for one."""
    try:
        client.rename_registered_model(old, new)
    except AttributeError:
        assert new in {model.name for model in client.search_registered_models()}


EQUAL = [
    ("Churn", "churn"),
    ("café", "cafe"),
    ("CAFÉ", "café"),
    ("blank", "blank "),
    ("rocket \N{ROCKET}", "rocket \N{PARTY POPPER}"),
    ("ÅNGSTRÖM", "angstrom"),
]


@pytest.mark.parametrize(("old", "new"), EQUAL)
@pytest.mark.parametrize("read", Read)
async def test_a_rename_to_a_name_that_the_database_takes_for_equal_is_one(
    server, client, old, new, read
) -> None:
    create(client, old, "fraud")
    seen = await observed(server)
    rename(client, old, new)
    client.transition_model_version_stage("fraud", "1", "Production")

    told = await seen.look(read)

    assert sorted(told) == sorted([f"{new} MODEL_RENAMED", "fraud TRANSITIONED 1"])
    client.transition_model_version_stage(new, "1", "Staging")
    assert await seen.look(read) == [f"{new} TRANSITIONED 1"]
    assert (await seen.look(Read.FULL), seen.aside) == ([], [])


async def test_a_model_that_takes_the_place_of_an_equal_one_is_another(server, client) -> None:
    create(client, "Churn")
    seen = await observed(server)
    client.delete_registered_model("Churn")
    create(client, "churn")

    told = await seen.look()

    assert told == ["Churn MODEL_DELETED", "churn MODEL_CREATED", "churn VERSION_CREATED 1"]


@pytest.mark.parametrize("name", ["churn", "CHURN", "Churn ", "Chürn"])
async def test_nothing_of_another_name_is_there(server, client, name) -> None:
    create(client, "Churn")
    registry = Observed(server.url).registry

    assert client.get_registered_model(name).name == "Churn"
    assert registry.ask([Doubt(name)], Deadline.after(30_000)) == {name: Absence.GONE}
    assert registry.rows([name], Deadline.after(30_000)) == []


async def test_the_registry_can_be_recorded_anew_after_a_rename(server, client) -> None:
    create(client, "Churn")
    seen = await observed(server)
    rename(client, "Churn", "churn")

    await seen.poll.rebaseline()

    assert (list(seen.state.known()), await seen.look()) == (["churn"], [])


async def test_an_alias_and_a_tag_in_another_case_take_the_place_of_the_old_ones(server, client) -> None:
    create(client, "churn")
    client.set_registered_model_alias("churn", "Champion", "1")
    client.set_registered_model_tag("churn", "Team", "risk")
    client.set_model_version_tag("churn", "1", "Team", "risk")
    seen = await observed(server)
    client.set_registered_model_alias("churn", "champion", "1")
    client.set_registered_model_tag("churn", "team", "risk")
    client.set_model_version_tag("churn", "1", "team", "risk")

    told = await seen.look()

    assert sorted(told) == sorted(
        [
            "churn ALIAS_DELETED 1",
            "churn ALIAS_SET 1",
            "churn MODEL_TAG_DELETED",
            "churn MODEL_TAG_SET",
            "churn VERSION_TAG_DELETED 1",
            "churn VERSION_TAG_SET 1",
        ]
    )


async def test_names_are_read_in_whatever_order_the_database_has(server, client, monkeypatch) -> None:
    monkeypatch.setattr("bridge.registry.mlflow_searches.MODELS_PAGE", 3)
    monkeypatch.setattr("bridge.registry.mlflow_searches.VERSIONS_PAGE", 2)
    names = ["_under", "Zeta", "alpha", "Émile", "emily", "\N{ROCKET}", "ß", "it's", "a\\b", "100%", "0"]
    create(client, *names)

    seen = await observed(server)

    assert sorted(seen.state.known()) == sorted(names)
    assert all(len(model.versions) == 1 for model in seen.state.known().values())


async def test_a_version_under_another_spelling_costs_no_other_model_anything(server, client) -> None:
    """`mlflow.register_model` with another case makes one, and MLflow cannot list its model any more (3.17)."""
    create(client, "churn", "fraud", "other")
    seen = await observed(server)
    client.create_model_version("Churn", "s3://b/y")
    client.transition_model_version_stage("fraud", "1", "Production")
    client.transition_model_version_stage("churn", "1", "Staging")

    told = [*await seen.look(Read.FAST), *await seen.look(), *await seen.look()]

    assert sorted(told) == ["churn TRANSITIONED 1", "fraud TRANSITIONED 1"]
    assert seen.aside == [("", ""), ("Churn", "")]  # the row of the model, and that of the version
