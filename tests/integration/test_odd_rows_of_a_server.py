"""Rows that a real MLflow server cannot take, made by SQL: each is left aside, and everything else goes on."""

# ruff: noqa: S608 - statements of the test's own

import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass

import pytest
from support.mlflow_server import MlflowServer
from support.observed import Observed

from bridge.pipeline.incremental_read import Read

pytestmark = pytest.mark.filterwarnings("ignore")

MODELS, VERSIONS = "registered_models", "model_versions"
ALL = (MODELS, VERSIONS, "registered_model_tags", "model_version_tags", "registered_model_aliases")


def rename(sql: str) -> tuple[str, ...]:
    """Return what gives the model `odd` a name that no server of today takes."""
    return tuple(f"UPDATE {one} SET name = {sql} WHERE name = 'odd'" for one in ALL)


def model(value: str) -> tuple[str, ...]:
    return (f"UPDATE {MODELS} SET {value} WHERE name = 'odd'",)


def version(value: str) -> tuple[str, ...]:
    return (f"UPDATE {VERSIONS} SET {value} WHERE name = 'odd' AND version = 1",)


@dataclass
class OddServer:
    """A server whose database is put back to where it began, and written to behind its back."""

    server: MlflowServer
    client: object
    before: str

    def sql(self, *statements: str) -> None:
        with closing(
            sqlite3.connect(self.server.database.removeprefix("sqlite:///"), timeout=30)
        ) as database:
            for statement in statements:
                database.execute(statement)
            database.commit()

    def reset(self) -> None:
        path = self.server.database.removeprefix("sqlite:///")
        with closing(sqlite3.connect(self.before)) as old, closing(sqlite3.connect(path, timeout=30)) as now:
            old.backup(now)


@pytest.fixture(scope="module")
def odd_server(tmp_path_factory):
    from mlflow import MlflowClient

    server = MlflowServer(tmp_path_factory.mktemp("odd")).start()
    client = MlflowClient(server.url)
    for name in ("fraud", "odd", "other"):
        client.create_registered_model(name, tags={"k": "v"})
        client.create_model_version(name, "s3://b/x", tags={"k": "v"})
    client.create_model_version("odd", "s3://b/y")
    client.set_registered_model_alias("odd", "champion", "1")
    before = str(tmp_path_factory.mktemp("before") / "registry.db")
    path = server.database.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as now, closing(sqlite3.connect(before)) as copy:
        now.backup(copy)
    yield OddServer(server, client, before)
    server.stop()


@pytest.fixture
async def watched(odd_server) -> Observed:
    odd_server.reset()
    watched = Observed(odd_server.server.url)
    await watched.look()
    return watched


def promote(odd_server) -> None:
    odd_server.client.transition_model_version_stage("fraud", "1", "Production")


ODD = {
    "a model created at 0": (model("creation_time = 0"), ("odd", "")),
    "a model created at NULL": (model("creation_time = NULL"), ("odd", "")),
    "a model created before 1970": (model("creation_time = -5"), ("odd", "")),
    "a model created on a date": (model("creation_time = '2024-01-01'"), ("odd", "")),
    "a version created at 0": (version("creation_time = 0"), ("odd", "1")),
    "a version created at NULL": (version("creation_time = NULL"), ("odd", "")),
    "a stage that is NULL": (version("current_stage = NULL"), ("odd", "1")),
    "a status that MLflow does not know": (version("status = 'WEIRD'"), ("odd", "")),
    "a number that is none": (version("version = 'abc'"), ("odd", "")),
    "a description that is bytes": (model("description = x'ff41'"), ("odd", "")),
    "a description that is no UTF-8": (model("description = CAST(x'ff41' AS TEXT)"), ("odd", "")),
    "a version with a description that is no UTF-8": (
        version("description = CAST(x'ff41' AS TEXT)"),
        ("odd", ""),
    ),
    "no name": (rename("''"), ("", "")),
    "a NUL in the name": (rename("'a' || char(0) || 'b'"), ("a\0b", "")),
}


@pytest.mark.parametrize("case", ODD)
async def test_an_odd_row_is_left_aside_and_everything_else_goes_on(odd_server, watched, case) -> None:
    statements, place = ODD[case]
    odd_server.sql(*statements)
    promote(odd_server)

    told = [await watched.look(Read.FAST), await watched.look(), await watched.look()]

    assert [event for events in told for event in events] == ["fraud TRANSITIONED 1"]
    assert place in watched.aside
    noted = watched.notes
    assert {kind for kind, _, _ in noted} == {"left_aside"}
    assert len(noted) == len(set(noted))

    odd_server.reset()
    promote(odd_server)
    assert await watched.look() in ([], ["fraud TRANSITIONED 1"])
    assert watched.aside == []
    assert ("readable", *place) in watched.notes


TAKEN = {
    "a model without a time of its last change": (model("last_updated_time = NULL"), []),
    "a version without a time of its last change": (version("last_updated_time = NULL"), []),
    "a stage that is empty": (version("current_stage = ''"), []),
    "a stage of one's own": (version("current_stage = 'production'"), ["odd TRANSITIONED 1"]),
    "nobody, no run, no source": (version("user_id = NULL, run_id = NULL, source = NULL"), []),
    "a huge description": (model("description = hex(zeroblob(200000))"), ["odd MODEL_UPDATED"]),
    "an alias of a version that is not there": (
        ("UPDATE registered_model_aliases SET version = 77 WHERE name = 'odd'",),
        ["odd ALIAS_SET 77"],
    ),
}


@pytest.mark.parametrize("case", TAKEN)
async def test_what_can_be_taken_is_taken(odd_server, watched, case) -> None:
    statements, expected = TAKEN[case]
    odd_server.sql(*statements)
    promote(odd_server)

    told = [*await watched.look(Read.FAST), *await watched.look()]

    assert sorted(told) == sorted(["fraud TRANSITIONED 1", *expected])
    assert (watched.aside, {kind for kind, _, _ in watched.notes} - {"missed"}) == ([], set())


@pytest.mark.parametrize(
    "name", ["'team/old'", "'a:b'", "'..'", "'line' || char(10) || 'break'", "'tab' || char(9)"]
)
async def test_a_name_that_only_an_older_server_took_is_a_name(odd_server, watched, name) -> None:
    odd_server.sql(*rename(name))
    promote(odd_server)
    there = await watched.look(Read.FAST)
    odd_server.sql(*(f"UPDATE {one} SET name = 'odd' WHERE name = {name}" for one in ALL))

    back = await watched.look()

    assert sorted("MODEL_RENAMED" in one for one in there) == [False, True]
    assert back == ["odd MODEL_RENAMED"]
    assert watched.aside == []


async def test_a_model_whose_name_the_server_takes_no_more_can_go(odd_server) -> None:
    odd_server.reset()
    odd_server.sql(*rename("'team/old'"))
    watched = Observed(odd_server.server.url)
    await watched.look()
    promote(odd_server)
    odd_server.sql(*(f"DELETE FROM {one} WHERE name = 'team/old'" for one in reversed(ALL)))

    told = await watched.look()

    assert sorted(told) == ["fraud TRANSITIONED 1", "team/old MODEL_DELETED"]


async def test_versions_without_a_model_are_told_of(odd_server, watched) -> None:
    odd_server.sql(f"DELETE FROM {MODELS} WHERE name = 'odd'")
    promote(odd_server)

    told = await watched.look()

    assert (sorted(told), watched.aside) == (["fraud TRANSITIONED 1", "odd MODEL_DELETED"], [("odd", "")])


async def test_what_was_odd_at_the_baseline_is_no_news_when_it_can_be_read(odd_server) -> None:
    odd_server.reset()
    odd_server.sql(*version("creation_time = 0, current_stage = 'Production'"))
    watched = Observed(odd_server.server.url)
    await watched.look()
    odd_server.sql(*version(f"creation_time = {int(time.time() * 1000) - 86_400_000}"))

    told = await watched.look()

    assert (told, watched.aside) == ([], [])
    assert [note for note in watched.notes if note[0] != "left_aside"] == [
        ("surfaced", "odd", "1"),
        ("readable", "odd", "1"),
    ]


async def test_what_happened_while_a_row_was_odd_is_told_when_it_can_be_read(odd_server, watched) -> None:
    odd_server.sql(*model("creation_time = -5"))
    await watched.look()
    odd_server.client.transition_model_version_stage("odd", "1", "Staging")
    odd_server.client.create_model_version("odd", "s3://b/z")
    assert await watched.look() == []
    with closing(sqlite3.connect(odd_server.before)) as before:
        ((created,),) = before.execute(f"SELECT creation_time FROM {MODELS} WHERE name = 'odd'")
    odd_server.sql(*model(f"creation_time = {created}"))

    assert await watched.look() == ["odd VERSION_CREATED 3", "odd TRANSITIONED 1"]


async def test_a_registry_with_an_odd_row_can_be_recorded_anew(odd_server, watched) -> None:
    odd_server.sql(*model("creation_time = NULL"))
    promote(odd_server)

    await watched.poll.rebaseline()

    assert watched.aside == [("odd", "")]
    assert await watched.look() == []
    assert sorted(watched.state.known()) == ["fraud", "odd", "other"]
