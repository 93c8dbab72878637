"""A large journal is compacted in a thread: commits go on meanwhile, and none is lost, wherever it breaks off."""

import errno
import json
import os
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.until import wait_until

from bridge.errors import StateUnwritable
from bridge.store import journal, tinydb_journal_storage
from bridge.store.tinydb_store import TinyDocuments


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "state"


@pytest.fixture(autouse=True)
def as_in_a_large_journal(monkeypatch) -> None:
    """Compact after every few commits, and always in a thread."""
    monkeypatch.setattr(tinydb_journal_storage, "_LARGE_BYTES", 0)
    monkeypatch.setattr(tinydb_journal_storage, "_SLACK_BYTES", 2_000)


@pytest.fixture
def gate(monkeypatch):
    """Hold each thread before its last record until it is told to go on."""
    opened = threading.Event()
    chunks = tinydb_journal_storage._chunks

    def held(tables):
        yield from chunks(tables)
        if threading.current_thread().name == "compaction":
            assert opened.wait(60)

    monkeypatch.setattr(tinydb_journal_storage, "_chunks", held)
    yield opened
    opened.set()


def under_way(documents: TinyDocuments) -> tinydb_journal_storage.Compaction | None:
    return documents._database.storage._compaction


def begin(documents: TinyDocuments) -> tinydb_journal_storage.Compaction:
    """Commit until a compaction begins."""
    number = 0
    while (found := under_way(documents)) is None:
        number += 1
        documents.write({"t": {"a": {"value": number, "text": "x" * 500}}})
    return found


def content(folder) -> dict[str, dict]:
    documents = TinyDocuments.open(folder)
    try:
        return {table: dict(documents.items(table)) for table in documents.tables()}
    finally:
        documents.close()


def held_in(documents: TinyDocuments) -> dict[str, dict]:
    return {table: dict(documents.items(table)) for table in documents.tables()}


def test_commits_during_a_compaction_are_in_the_new_journal(folder, gate) -> None:
    documents = TinyDocuments.open(folder)
    documents.write({"t": {"gone": {"value": 0}}, "u": {"kept": {"value": 0}}})
    compaction = begin(documents)
    documents.write({"t": {"gone": None, "b": {"value": 1}}})
    documents.write({"u": {"kept": {"value": 2}}})
    before = documents.size()
    gate.set()
    wait_until(lambda: compaction.is_done)
    documents.write({"t": {"c": {"value": 3}}})
    assert documents.size() < before
    assert under_way(documents) is None
    documents.write({"t": {"d": {"value": 4}}})
    expected = held_in(documents)
    assert (expected["u"], set(expected["t"])) == ({"kept": {"value": 2}}, {"a", "b", "c", "d"})
    documents.close()
    assert content(folder) == expected


def test_a_compaction_without_room_leaves_every_commit_standing_and_is_made_later(
    folder, monkeypatch
) -> None:
    documents = TinyDocuments.open(folder)

    def full(*_args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(journal, "_write_new", full)
        failed = begin(documents)
        wait_until(lambda: failed.is_done)
        documents.write({"t": {"b": {"value": 1}}})
        assert under_way(documents) is None
    size = documents.size()
    again = begin(documents)
    wait_until(lambda: again.is_done)
    documents.write({"t": {"c": {"value": 2}}})
    assert documents.size() < size
    expected = held_in(documents)
    documents.close()
    assert content(folder) == expected


def test_a_thread_that_cannot_be_started_leaves_the_commit_standing(folder, monkeypatch) -> None:
    documents = TinyDocuments.open(folder)

    def start(_self: threading.Thread) -> None:
        msg = "can't start new thread"
        raise RuntimeError(msg)

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        for number in range(30):
            documents.write({"t": {"a": {"value": number, "text": "x" * 500}}})
            assert under_way(documents) is None
    expected = held_in(documents)
    documents.close()
    assert content(folder) == expected


def test_a_new_file_of_another_bridge_in_a_folder_that_was_moved_stays(folder, gate, tmp_path) -> None:
    documents = TinyDocuments.open(folder)
    begin(documents)
    wait_until((folder / "journal.new").exists)
    folder.rename(tmp_path / "away")
    folder.mkdir()
    (folder / "journal.new").write_bytes(b"another's")
    gate.set()
    documents.close()
    assert (folder / "journal.new").read_bytes() == b"another's"


def test_what_closes_or_replaces_the_journal_meanwhile_discards_the_new_one(folder, gate) -> None:
    documents = TinyDocuments.open(folder)
    begin(documents)
    gate.set()
    documents.write(
        {"t": {f"n{number}": {"value": number} for number in range(2_001)}}
    )  # written anew, at once
    assert under_way(documents) is None
    gate.clear()
    begin(documents)
    gate.set()
    expected = held_in(documents)
    documents.close()
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith("journal")) == ["journal"]
    assert content(folder) == expected


def test_a_journal_that_was_moved_away_meanwhile_is_not_replaced(folder, gate) -> None:
    documents = TinyDocuments.open(folder)
    compaction = begin(documents)
    (folder / "journal").rename(folder / "elsewhere")
    (folder / "journal").write_bytes(b"another's")
    gate.set()
    wait_until(lambda: compaction.is_done)
    with pytest.raises(StateUnwritable, match="was moved, removed or written to"):
        documents.write({"t": {"b": {"value": 1}}})
    documents.close()
    assert (folder / "journal").read_bytes() == b"another's"


def test_a_failed_flush_meanwhile_has_the_whole_journal_written_at_the_next_commit(
    folder, gate, monkeypatch
) -> None:
    documents = TinyDocuments.open(folder)
    begin(documents)

    def broken(*_args: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(journal, "flush", broken)
        with pytest.raises(StateUnwritable):
            documents.write({"t": {"lost": {"value": 1}}})
    gate.set()
    documents.write({"t": {"b": {"value": 2}}})
    assert under_way(documents) is None
    expected = held_in(documents)
    assert "lost" not in expected["t"]
    documents.close()
    assert content(folder) == expected


WRITES = st.dictionaries(
    st.sampled_from("ab"),
    st.dictionaries(
        st.sampled_from("klmnop"),
        st.one_of(st.none(), st.builds(lambda n: {"v": "x" * n}, st.integers(0, 900))),
        min_size=1,
        max_size=4,
    ),
    min_size=1,
    max_size=2,
)


@given(st.lists(st.tuples(WRITES, st.booleans()), max_size=40))
def test_whatever_is_committed_and_however_long_threads_take_nothing_is_lost(tmp_path_factory, steps) -> None:
    folder = tmp_path_factory.mktemp("any") / "state"
    documents, model = TinyDocuments.open(folder), {}
    for writes, waits in steps:
        documents.write(writes)
        for table, rows in writes.items():
            model.setdefault(table, {}).update(rows)
        compaction = under_way(documents)
        if waits and compaction is not None:
            wait_until(lambda one=compaction: one.is_done)
    documents.close()
    kept = {
        table: {key: one for key, one in rows.items() if one is not None} for table, rows in model.items()
    }
    assert content(folder) == {table: rows for table, rows in kept.items() if rows}


KILLED = """
import os, sys, threading
from bridge.store import tinydb_journal_storage as storage
from bridge.store.tinydb_store import TinyDocuments
storage._LARGE_BYTES, storage._SLACK_BYTES = 0, 2_000
documents = TinyDocuments.open(__import__("pathlib").Path(sys.argv[1]))
for number in range(10_000_000):
    documents.write({"t": {str(number % 50): {"v": number, "x": "x" * 400}}})
    print(number, flush=True)
"""


def test_killed_at_any_moment_it_opens_with_every_commit_that_was_acknowledged(folder) -> None:
    last = -1
    for moment in range(8):
        script = KILLED.replace("range(", f"range({last + 1}, ")
        with subprocess.Popen(
            [sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE, env=os.environ
        ) as process:
            for _ in range(40 + 37 * moment):
                last = int(process.stdout.readline())
            process.kill()
            told = process.stdout.read().split(b"\n")[:-1]
        last = int(told[-1]) if told else last
        found = {int(one["v"]) for one in content(folder)["t"].values()}
        assert max(found) in {last, last + 1}, json.dumps(sorted(found))
        last = max(found)
        assert found == set(range(max(0, last - 49), last + 1))
