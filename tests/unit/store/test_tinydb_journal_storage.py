"""TinyDB's interface over the journal: the same answers as TinyDB's own tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tinydb import TinyDB, where
from tinydb.operations import increment
from tinydb.storages import MemoryStorage
from tinydb.table import Document, Table

from bridge.store.journal import Journal
from bridge.store.tinydb_journal_storage import JournalDB, JournalStorage


class TextTable(Table):
    """TinyDB's own table, with text for keys."""

    document_id_class = str


def ours(path) -> Table:
    return JournalDB(Journal(path / "journal"), storage=JournalStorage).table("t")


def theirs() -> Table:
    return TextTable(TinyDB(storage=MemoryStorage).storage, "t")


_operations = st.lists(
    st.tuples(
        st.sampled_from(["upsert", "remove", "update", "insert", "truncate", "update_where", "remove_where"]),
        st.sampled_from(["a", "b", "c"]),
        st.integers(0, 3),
    ),
    max_size=12,
)


OPERATIONS = {
    "upsert": lambda table, key, value: table.upsert(Document({"n": value}, doc_id=key)),
    "insert": lambda table, key, value: table.insert(Document({"n": value}, doc_id=key)),
    "remove": lambda table, key, _value: table.remove(doc_ids=[key]),
    "update": lambda table, key, value: table.update({"m": value}, doc_ids=[key]),
    "update_where": lambda table, _key, value: table.update(increment("n"), where("n") == value),
    "remove_where": lambda table, _key, value: table.remove(where("n") == value),
    "truncate": lambda table, _key, _value: table.truncate(),
}


def perform(table: Table, operation: str, key: str, value: int) -> object:
    try:
        return OPERATIONS[operation](table, key, value)
    except (KeyError, ValueError) as error:
        return type(error)


@given(_operations)
def test_it_answers_as_tinydb_does_and_keeps_what_it_answered(tmp_path_factory, operations) -> None:
    folder = tmp_path_factory.mktemp("table")
    mine, reference = ours(folder), theirs()
    for operation in operations:
        assert perform(reference, *operation) == perform(mine, *operation)
        assert {d.doc_id: dict(d) for d in reference} == {d.doc_id: dict(d) for d in mine}
        assert len(reference) == len(mine)
    assert {d.doc_id: dict(d) for d in mine} == {d.doc_id: dict(d) for d in ours(folder)}


def test_a_change_writes_only_the_documents_that_differ(tmp_path) -> None:
    table = ours(tmp_path)
    for number in range(100):
        table.insert(Document({"text": "x" * 100}, doc_id=str(number)))
    before = (tmp_path / "journal").stat().st_size

    table.update({"more": 1}, doc_ids=["7"])
    table.update({"more": 1}, doc_ids=["7"])

    assert (tmp_path / "journal").stat().st_size - before < 300


def test_a_failing_operation_changes_nothing(tmp_path) -> None:
    table = ours(tmp_path)
    table.insert(Document({"n": 1}, doc_id="a"))

    def fail(document) -> None:
        document["n"] = 2
        raise RuntimeError

    with pytest.raises(RuntimeError):
        table.update(fail, doc_ids=["a"])
    assert table.get(doc_id="a") == {"n": 1}


def test_a_search_sees_a_commit_to_several_tables(tmp_path) -> None:
    database = JournalDB(Journal(tmp_path / "journal"), storage=JournalStorage)
    assert database.table("t").search(where("n") == 1) == []

    database.commit({"t": {"a": {"n": 1}}, "u": {"b": {"n": 1}}})

    assert len(database.table("t").search(where("n") == 1)) == 1


def test_dropping_a_table_is_durable(tmp_path) -> None:
    database = JournalDB(Journal(tmp_path / "journal"), storage=JournalStorage)
    database.commit({"t": {"a": {"n": 1}}, "u": {"b": {"n": 1}}})

    database.drop_table("t")
    database.close()

    again = JournalDB(Journal(tmp_path / "journal"), storage=JournalStorage)
    assert {"u"} == again.tables()
    again.close()
