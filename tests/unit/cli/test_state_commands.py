"""The state commands, over a folder and over a database, and what other commands say of a state in a database."""

import builtins
import sys

import pytest
from support.command import http_sink
from support.shared_state import state_settings
from support.values import commit, model, transition

from bridge.store.postgresql.shared_state import StateDatabase

URI = "http://127.0.0.1:1"


@pytest.fixture
def database(bridge, cluster):
    """Point the bridge at an empty schema; return the settings of the state."""
    settings = state_settings(cluster.state_url("states"))

    def configure(**more: str) -> None:
        given = {"url": settings.url, "schema": settings.schema, **more}
        lines = "\n".join(f'{key} = "{value}"' for key, value in given.items())
        (bridge.folder / "config.toml").write_text(f'[registry]\ntracking_uri = "{URI}"\n[state]\n{lines}\n')

    configure()
    return settings, configure


def test_after_a_restore_a_word_lifts_all_numbers_and_is_noted(bridge) -> None:
    assert "there is no baseline yet" in bridge.run("state", "restored").err
    bridge.commit(commit(transition(1), models=[model()]))

    done = bridge.run("state", "restored")

    assert (done.code, "is given again" in done.out) == (0, True)
    assert "restored" in bridge.run("events", "list", "--notes").out + bridge.run("events", "list").out


def test_tables_are_made_once_and_only_in_a_database(bridge, database) -> None:
    assert bridge.run("state", "migrate").code == 0
    assert "the tables are there" in bridge.run("state", "migrate").out

    bridge.configure()
    refused = bridge.run("state", "migrate")
    assert (refused.code, "names a folder" in refused.err) == (78, True)


def test_a_state_is_copied_and_the_commands_tell_of_it_where_it_is(bridge, database) -> None:
    settings, configure = database
    bridge.configure()
    bridge.commit(commit(transition(1), models=[model()], uri=URI))
    configure()

    copied = bridge.run("state", "copy", f"tinydb:{bridge.folder}/state", settings.url)
    again = bridge.run("state", "copy", f"tinydb:{bridge.folder}/state", settings.url)
    status = bridge.run("status")
    listed = bridge.run("outbox", "list")
    checked = bridge.run("check", "--connect")

    assert (copied.code, "marked the old state as moved" in copied.out) == (0, True)
    assert (again.code, "already, and goes on there: nothing is left to do" in again.err) == (1, True)
    assert "the database can keep the state; 0 bridges share it now" in checked.out
    assert f"(schema {settings.schema})" in status.out
    assert "replicas   none works" in status.out
    assert "pending" in listed.out
    assert "state.url" not in checked.err
    bridge.configure()
    moved = bridge.run("status")
    assert (moved.code, "goes on there: set [state] to that" in moved.err) == (78, True)
    wrong = bridge.run("state", "copy", "nowhere", settings.url)
    assert (wrong.code, "FROM: must be" in wrong.err) == (2, True)


def test_a_sink_is_paused_in_a_database_that_nobody_owns_and_nothing_is_reloaded(bridge, database) -> None:
    settings, _ = database
    with (bridge.folder / "config.toml").open("a") as file:
        file.write(http_sink("https://ci.example.com"))

    paused = bridge.run("sinks", "pause", "ci")
    reloaded = bridge.run("reload")

    assert (paused.code, paused.out) == (0, "ci is paused\n")
    assert [key for key, _ in StateDatabase(settings).documents().items("sinks")] == ["ci"]
    assert StateDatabase(settings).members() == []
    assert (reloaded.code, "no daemon runs on" in reloaded.err) == (1, True)


def test_a_database_that_cannot_be_reached_is_told_with_its_place(bridge, database) -> None:
    _, configure = database
    configure(url="postgresql://bridge@/nothing?host=/nowhere")

    for command in (["status"], ["outbox", "list"], ["once"]):
        done = bridge.run(*command)
        assert done.code in {1, 73}
        assert "the state in postgresql://bridge@/nothing" in done.err
    checked = bridge.run("check", "--connect")
    assert (checked.code != 0, "cannot be used" in checked.err) == (True, True)


def test_a_database_over_a_network_is_warned_about(bridge, database) -> None:
    _, configure = database
    configure(url="postgresql://bridge@127.0.0.1:1,db.example.com:1/bridge?connect_timeout=2")

    assert "verify-full" in bridge.run("check", "--connect").err


def test_without_the_extra_it_is_told_what_to_install(bridge, database, monkeypatch) -> None:
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.partition(".")[0] == "psycopg":
            raise ImportError("No module named 'psycopg'")
        return real(name, *rest, **more)

    for name in [name for name in sys.modules if name.startswith(("psycopg", "bridge.store.postgresql"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    done = bridge.run("status")

    assert (done.code, "mlflow-bridge[postgresql]" in done.err) == (78, True)
