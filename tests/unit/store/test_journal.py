"""The journal: torn, damaged, full, flushed badly, read by others."""

import errno
import os
import stat
import zlib

import pytest

from bridge.errors import StateDamaged, StateNewer, StateOwned, StateUnwritable
from bridge.store import journal as module
from bridge.store.encoded_documents import encode_document
from bridge.store.journal import Journal
from bridge.store.journal_records import Record, decode, encode
from bridge.store.tinydb_store import TinyDocuments


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "state"


def broken(*_args: object) -> None:
    raise OSError(errno.EIO, "Input/output error")


def write(folder, **rows) -> None:
    documents = TinyDocuments.open(folder)
    for key, value in rows.items():
        documents.write({"t": {key: {"value": value}}})
    documents.close()


def read(folder) -> dict[str, object]:
    documents = TinyDocuments.open(folder)
    try:
        return {key: document["value"] for key, document in documents.items("t")}
    finally:
        documents.close()


def test_a_record_survives_its_line() -> None:
    record = Record(7, {"t": {"k": encode_document({"v": "\ud800 \n \N{SNOWMAN}"}), "gone": None}})

    assert record == decode(encode(record))
    assert encode(record).count(b"\n") == 1


@pytest.mark.parametrize("line", [b"", b"\n", b"00000000 {}\n", b"garbage", encode(Record(1))[:-1]])
def test_a_broken_line_is_no_record(line) -> None:
    assert decode(line) is None


def test_a_line_that_is_whole_but_no_record_is_refused() -> None:
    payload = b"[]"

    assert decode(b"%08x %s\n" % (zlib.crc32(payload), payload)) is None


def test_truncated_at_every_byte_of_its_last_records_it_opens_with_every_whole_commit(folder) -> None:
    write(folder, a=1, b="x" * 50, c=3)
    path = folder / "journal"
    whole = path.read_bytes()
    ends = [index + 1 for index, byte in enumerate(whole) if byte == ord("\n")]
    for length in range(ends[0], len(whole) + 1):
        path.write_bytes(whole[:length])
        commits = sum(end <= length for end in ends) - 1
        assert dict(list({"a": 1, "b": "x" * 50, "c": 3}.items())[:commits]) == read(folder)
        assert path.stat().st_size == max(end for end in ends if end <= length)


def test_it_goes_on_after_a_torn_end(folder) -> None:
    write(folder, a=1, b=2)
    path = folder / "journal"
    path.write_bytes(path.read_bytes()[:-3])
    write(folder, c=3)

    assert read(folder) == {"a": 1, "c": 3}


def test_zeros_at_the_end_as_a_power_loss_leaves_them_are_cut_off(folder) -> None:
    write(folder, a=1)
    with (folder / "journal").open("ab") as stream:
        stream.write(b"\0" * 4096)

    assert read(folder) == {"a": 1}


@pytest.mark.parametrize("where", [0.0, 0.3, 0.6])
def test_a_broken_record_before_the_end_is_refused_and_left_alone(folder, where) -> None:
    write(folder, a=1, b=2, c=3)
    path = folder / "journal"
    content = bytearray(path.read_bytes())
    content[int(len(content) * where)] ^= 1
    path.write_bytes(content)

    with pytest.raises(StateDamaged, match=r"damaged at byte \d+.*restore it from a backup"):
        TinyDocuments.open(folder)
    assert bytes(content) == path.read_bytes()


def test_a_lost_record_in_the_middle_is_refused(folder) -> None:
    write(folder, a=1, b=2, c=3)
    path = folder / "journal"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2] + lines[3:]))

    with pytest.raises(StateDamaged):
        TinyDocuments.open(folder)


def test_a_file_that_is_no_journal_is_refused_and_left_alone(folder) -> None:
    folder.mkdir()
    (folder / "journal").write_bytes(b"my thesis")

    with pytest.raises(StateDamaged):
        TinyDocuments.open(folder)
    assert (folder / "journal").read_bytes() == b"my thesis"


def test_an_empty_file_is_no_new_state(folder) -> None:
    folder.mkdir()
    (folder / "journal").touch()

    with pytest.raises(StateDamaged):
        TinyDocuments.open(folder)


def test_a_damaged_line_break_before_the_last_record_is_no_torn_end(folder) -> None:
    write(folder, a=1, b=2, c=3)
    path = folder / "journal"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-2]) + lines[-2][:-1] + b"?" + lines[-1])

    with pytest.raises(StateDamaged):
        TinyDocuments.open(folder)


def test_what_failed_to_be_flushed_is_not_there_for_the_next_process(folder, monkeypatch) -> None:
    documents = TinyDocuments.open(folder)
    documents.write({"t": {"a": {"value": 1}}})
    monkeypatch.setattr(module, "flush", broken)
    with pytest.raises(StateUnwritable):
        documents.write({"t": {"a": {"value": 2}}})

    assert TinyDocuments.read(folder).get("t", "a") == {"value": 1}
    documents.close()


def test_a_closed_state_never_touches_the_file_of_its_next_owner(folder, monkeypatch) -> None:
    first = TinyDocuments.open(folder)
    with monkeypatch.context() as patched:
        patched.setattr(module, "flush", broken)
        with pytest.raises(StateUnwritable):
            first.write({"t": {"a": {"value": 1}}})
    first.close()
    write(folder, b=2)

    with pytest.raises(StateUnwritable, match="closed"):
        first.write({"t": {"c": {"value": 3}}})
    assert read(folder) == {"b": 2}


def test_a_newer_format_is_refused_with_the_mend(folder) -> None:
    folder.mkdir()
    (folder / "journal").write_bytes(encode(Record(0, format=99)))

    with pytest.raises(StateNewer, match=r"format 99.*use the version that wrote it"):
        TinyDocuments.open(folder)


def test_modes_keep_others_out(folder) -> None:
    write(folder, a=1)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [folder, *folder.iterdir()]}

    assert modes == {"state": 0o700, "journal": 0o600, "lock": 0o600}


def test_one_process_owns_a_folder_and_others_may_read(folder) -> None:
    owner = TinyDocuments.open(folder)
    owner.write({"t": {"a": {"value": 1}}})

    with pytest.raises(StateOwned, match="another mlflow-bridge owns"):
        TinyDocuments.open(folder)
    reader = TinyDocuments.read(folder)
    assert reader.get("t", "a") == {"value": 1}
    owner.close()


def test_reading_changes_nothing_not_even_a_torn_end(folder) -> None:
    write(folder, a=1, b=2)
    path = folder / "journal"
    torn = path.read_bytes()[:-3]
    path.write_bytes(torn)

    assert TinyDocuments.read(folder).count("t") == 1
    assert torn == path.read_bytes()


def test_reading_where_nothing_is_makes_nothing(folder) -> None:
    assert TinyDocuments.read(folder).count("t") == 0
    assert not folder.exists()


def test_a_failed_flush_is_reported_and_the_file_is_written_anew(folder, monkeypatch) -> None:
    documents = TinyDocuments.open(folder)
    documents.write({"t": {"a": {"value": 1}}})

    with monkeypatch.context() as patched:
        patched.setattr(module, "flush", broken)
        with pytest.raises(StateUnwritable, match="cannot be flushed"):
            documents.write({"t": {"b": {"value": 2}}})
    assert documents.get("t", "b") is None
    documents.write({"t": {"c": {"value": 3}}})
    documents.close()

    assert read(folder) == {"a": 1, "c": 3}


def test_when_even_the_rewrite_fails_nothing_is_lost(folder, monkeypatch) -> None:
    documents = TinyDocuments.open(folder)
    documents.write({"t": {"a": {"value": 1}}})

    with monkeypatch.context() as patched:
        patched.setattr(module, "flush", broken)
        patched.setattr(os, "fsync", broken)
        for _ in range(2):
            with pytest.raises(StateUnwritable):
                documents.write({"t": {"b": {"value": 2}}})
    documents.close()

    assert read(folder)["a"] == 1


def test_a_rewrite_that_cannot_replace_the_file_is_made_good_later(folder, monkeypatch) -> None:
    documents = TinyDocuments.open(folder)
    documents.write({"t": {"a": {"value": 1}}})

    with monkeypatch.context() as patched:
        patched.setattr(module, "flush_folder", broken)
        with pytest.raises(StateUnwritable, match="cannot be replaced"):
            documents._database.storage.compact()
    documents.write({"t": {"b": {"value": 2}}})
    documents.close()

    assert read(folder) == {"a": 1, "b": 2}


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StateUnwritable, match=r"cannot be made: .*state\.url"):
        TinyDocuments.open(tmp_path / "file" / "state")


def test_what_was_overwritten_is_compacted_away_while_running(folder) -> None:
    documents = TinyDocuments.open(folder)
    text = "x" * 10_000
    for number in range(500):
        documents.write({"t": {"a": {"value": f"{number}{text}"}}})
    size = documents.size()
    documents.close()

    assert size < 3_000_000
    assert {"a": f"499{text}"} == read(folder)


def test_a_journal_of_live_documents_is_not_compacted_at_every_start(folder, monkeypatch) -> None:
    documents = TinyDocuments.open(folder)
    documents.write({"t": {str(n): {"value": "x" * 10_000} for n in range(300)}})
    documents.close()
    rewrites = []
    monkeypatch.setattr(Journal, "rewrite", lambda *_args: rewrites.append(1))

    write(folder, more=1)

    assert rewrites == []


def test_a_compaction_without_room_leaves_the_commit_standing(folder, monkeypatch) -> None:
    documents = TinyDocuments.open(folder)

    def full(*_args: object) -> None:
        raise StateUnwritable("no room")

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "rewrite", full)
        for number in range(150):
            documents.write({"t": {"a": {"value": f"{number}{'x' * 10_000}"}}})
    documents.close()

    assert str(read(folder)["a"]).startswith("149x")
