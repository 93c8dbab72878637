"""Whether the state folder can be used, asked without touching anything."""

import asyncio
import os
import tomllib
from pathlib import Path

import pytest
from support.done import done
from support.values import commit

from bridge.config.file_loading import build
from bridge.errors import StateUnwritable
from bridge.sinks.sink_type_table import SETTINGS
from bridge.store import state_opening as state_folder
from bridge.store.document_state import DocumentState
from bridge.store.poll_commit import HEAD, META
from bridge.store.state_opening import (
    binding_of,
    check_writable,
    configuration_digest,
    has_readers,
    owned_state,
)
from bridge.store.tinydb_store import TinyDocuments


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "state"


def settings_of(folder):
    return build(
        {"registry": {"tracking_uri": "http://h"}, "state": {"url": f"tinydb:{folder}"}, "poll": {}}, SETTINGS
    )


def refused_to(monkeypatch, path) -> None:
    """Be a user who may not write to ``path``, which root always may."""
    monkeypatch.setattr(os, "access", lambda one, _mode: one != path)


def test_a_folder_that_can_be_made_or_written_is_as_good_as_there(folder) -> None:
    check_writable(settings_of(folder / "deep" / "down"))
    assert not folder.exists()

    TinyDocuments.open(folder).close()
    check_writable(settings_of(folder))


@pytest.mark.parametrize("name", ["", "journal", "lock"])
def test_what_this_user_cannot_write_is_named(folder, monkeypatch, name) -> None:
    TinyDocuments.open(folder).close()
    path = folder / name if name else folder
    refused_to(monkeypatch, path)

    with pytest.raises(StateUnwritable, match=f"or mend the permissions of {path}$"):
        check_writable(settings_of(folder))


def test_a_file_system_that_is_read_only_is_told_as_that(folder, monkeypatch) -> None:
    folder.mkdir()
    refused_to(monkeypatch, folder)

    class Fixed:
        f_flag = os.ST_RDONLY

    monkeypatch.setattr(os, "statvfs", lambda _path: Fixed)
    with pytest.raises(StateUnwritable, match=f"or mount {folder} for writing$"):
        check_writable(settings_of(folder))


@pytest.mark.parametrize("what", ["file", "dangling"])
def test_what_is_no_folder_is_named(folder, what) -> None:
    if what == "file":
        folder.touch()
    else:
        folder.symlink_to(folder.with_name("nowhere"))

    with pytest.raises(StateUnwritable, match=f"{folder} is no folder"):
        check_writable(settings_of(folder))


def test_others_are_readers_only_where_folder_and_journal_are_open_to_them(folder) -> None:
    settings = settings_of(folder)
    assert not has_readers(settings)
    TinyDocuments.open(folder).close()
    assert not has_readers(settings)
    (folder / state_folder.JOURNAL).chmod(0o644)
    assert not has_readers(settings)
    folder.chmod(0o755)

    assert has_readers(settings)


def of_database(folder, password: str):
    registry = {
        "tracking_uri": f"postgresql://ann:{password}@127.0.0.1:1/mlflow",
        "allow_database_uri": True,
    }
    return build({"registry": registry, "state": {"url": f"tinydb:{folder}"}, "poll": {}}, SETTINGS)


def test_a_state_of_before_is_taken_and_its_password_is_stored_no_more(folder) -> None:
    """Earlier versions stored the URI as it was configured."""
    documents = TinyDocuments.open(folder)
    done(DocumentState(documents).commit_poll(commit(uri="postgresql://ann:of-before@127.0.0.1:1/mlflow")))
    document = documents.get(META, HEAD)
    documents.write({META: {HEAD: {**document, "uri": "postgresql://ann:of-before@127.0.0.1:1/mlflow"}}})
    documents.close()

    async def take() -> None:
        async with owned_state(of_database(folder, "changed/since")) as state:
            await state.write_head(state.head)

    asyncio.run(take())

    documents = TinyDocuments.read(folder)
    assert documents.get(META, HEAD)["uri"] == "postgresql://***@127.0.0.1:1/mlflow"
    documents.close()


def test_the_registry_is_named_without_its_password(folder) -> None:
    named = binding_of(of_database(folder, "s3/cret"))

    assert named.uri == "postgresql://***@127.0.0.1:1/mlflow"


def test_configurations_have_a_digest_that_tells_them_apart_and_is_the_same_everywhere() -> None:
    text = (Path(__file__).parents[3] / "config.example.toml").read_text()

    def digest(limit: str) -> str:
        return configuration_digest(build(tomllib.loads(text.replace("`0.90`", limit)), SETTINGS))

    assert digest("`0.90`") == digest("`0.90`")
    assert digest("`0.90`") != digest("`0.80`")


def test_the_address_that_each_listens_on_is_no_difference() -> None:
    def digest(port: int, **server: object) -> str:
        document = {
            "registry": {"tracking_uri": "http://127.0.0.1:1"},
            "server": {"listen": f"127.0.0.1:{port}", **server},
        }
        return configuration_digest(build(document, SETTINGS))

    assert digest(9464) == digest(9465) != digest(9464, page=False)
