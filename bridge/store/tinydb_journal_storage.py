"""TinyDB on a journal: a storage that appends, and a table that writes only what changes.

TinyDB's own storage writes the whole database at every change, and its table copies itself for that. Both are
made to be extended. These two classes keep TinyDB's interface and make the cost of a change independent of
the size of the database. ``Table._update_table`` is private, so the dependency is pinned below 5 and the
override is tested against TinyDB's own behaviour.
"""

import errno
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import suppress
from threading import Thread
from typing import Any, cast

from tinydb import TinyDB
from tinydb.storages import Storage
from tinydb.table import Table

from bridge.errors import StateUnwritable
from bridge.store.document_store_protocol import Document, Writes
from bridge.store.encoded_documents import (
    Texts,
    TextWrites,
    apply_writes,
    decode_document,
    encode_document,
    encode_writes,
)
from bridge.store.journal import Journal, NewJournal

_CHUNK = 500
_LARGE = 2_000
_SLACK_BYTES = 1 << 20
_SLACK_FACTOR = 2
_LARGE_BYTES = 1 << 20
"""A journal of this size takes some 10 ms to write."""


class JournalStorage(Storage):
    """Holds the documents in memory, as text; every change is written to the journal first."""

    def __init__(self, journal: Journal, *, read_only: bool = False) -> None:
        """Read the journal; unless ``read_only``, open it for appending.

        Raises:
            StateError: the journal cannot be read or opened.
        """
        self._journal = journal
        self.texts: Texts = {}
        replayed = 0
        for writes in journal.read():
            replayed += sum(map(len, writes.values()))
            apply_writes(self.texts, writes)
        self._compaction: Compaction | None = None
        live = sum(map(len, self.texts.values()))
        self._compacted_length = journal.length * live // max(replayed, 1)  # an estimate
        if not read_only:
            journal.open()

    def read(self) -> dict[str, "DecodedRows"]:  # type: ignore[override]  # the base class annotates dicts
        """Return the tables; a document is decoded when it is read."""
        return {name: DecodedRows(rows) for name, rows in self.texts.items()}

    def write(self, data: Mapping[str, Mapping[str, Any]]) -> None:
        """Replace everything (TinyDB calls this to drop tables)."""
        texts = {
            name: {key: encode_document(one) for key, one in rows.items()} for name, rows in data.items()
        }
        self._rewrite(texts)
        self.texts = texts

    def append(self, writes: Writes) -> None:
        """Make ``writes`` durable as one record, then visible.

        Raises:
            StateUnwritable: neither happened.
        """
        encoded = encode_writes(writes)
        if sum(map(len, encoded.values())) > _LARGE:
            self._replace(encoded)
            return
        if self._journal.must_rewrite:
            self.compact()
        self._journal.append(encoded)
        apply_writes(self.texts, encoded)
        if self._compaction is not None:
            self._compaction.since.append(encoded)
            if self._compaction.is_done:
                self._end_compaction()
        elif self._journal.length > _SLACK_FACTOR * self._compacted_length + _SLACK_BYTES:
            self.begin_compaction()

    def _replace(self, writes: TextWrites) -> None:
        """Write a large change, such as a baseline, as a new journal: in one step, but in many records.

        A single record would be held in memory several times.
        """
        texts = {name: dict(rows) for name, rows in self.texts.items()}
        apply_writes(texts, writes)
        self._rewrite(texts)
        self.texts = texts

    @property
    def is_compacting(self) -> bool:
        """Whether a thread compacts the journal; the first commit after its end replaces the journal."""
        return self._compaction is not None

    def begin_compaction(self) -> None:
        """Compact a small journal now, a large one in a thread: writing 50 MB would stop everything for half a second."""
        try:
            if self._compacted_length >= _LARGE_BYTES:
                self._compaction = Compaction(self._journal, self.texts)
            else:
                self.compact()
        except (StateUnwritable, RuntimeError, MemoryError):  # RuntimeError: no thread can be started
            # The commit stands, and a later one tries again.
            self._compacted_length = self._journal.length

    def _end_compaction(self) -> None:
        """Put the new journal in the old one's place; if that fails, the commit stands, and a later one tries again."""
        ended, self._compaction = self._compaction, None
        with suppress(StateUnwritable):
            if ended is not None:
                self._journal.replace(ended.result(), ended.since)
        self._compacted_length = self._journal.length

    def compact(self) -> None:
        """Rewrite the journal without what was overwritten or removed.

        Raises:
            StateUnwritable: the journal is unchanged.
        """
        self._rewrite(self.texts)

    def _rewrite(self, texts: Texts) -> None:
        self._give_up_compaction()
        self._journal.rewrite(_chunks(texts))
        self._compacted_length = self._journal.length

    def _give_up_compaction(self) -> None:
        """Have the thread end, and discard what it wrote."""
        ended, self._compaction = self._compaction, None
        if ended is not None:
            ended.is_given_up = True
            with suppress(StateUnwritable):
                ended.result().discard()

    @property
    def torn(self) -> int:
        """How many bytes at the end of the journal were no whole record when it was read."""
        return self._journal.torn

    @property
    def length(self) -> int:
        """The journal's length in bytes."""
        return self._journal.length

    def close(self) -> None:
        """Close the journal."""
        self._give_up_compaction()
        self._journal.close()


class Compaction:
    """Writes a journal of the present documents in a thread, while commits go on; ``since`` are the records of these."""

    def __init__(self, journal: Journal, texts: Texts) -> None:
        """Begin."""
        self.since: list[TextWrites] = []
        self._journal = journal
        self._snapshot = {name: dict(rows) for name, rows in texts.items()}
        self._new: NewJournal | StateUnwritable | None = None
        self.is_given_up = False
        self._thread = Thread(target=self._write, name="compaction", daemon=True)
        self._thread.start()

    def _write(self) -> None:
        try:
            self._new = self._journal.write_beside(self._records())
        except StateUnwritable as error:
            self._new = error
        finally:
            self._snapshot.clear()

    def _records(self) -> Iterator[TextWrites]:
        for record in _chunks(self._snapshot):
            if self.is_given_up:
                raise OSError(errno.ECANCELED, "the compaction was given up")
            yield record

    @property
    def is_done(self) -> bool:
        """Whether `result` waits no more."""
        return not self._thread.is_alive()

    def result(self) -> NewJournal:
        """Wait for the thread; return the new journal.

        Raises:
            StateUnwritable: it could not be written.
        """
        self._thread.join()
        if isinstance(self._new, NewJournal):
            return self._new
        raise self._new or StateUnwritable("a fault while the journal was compacted")


def _chunks(texts: Texts) -> Iterator[TextWrites]:
    """Yield the documents in records of bounded size."""
    for name, rows in texts.items():
        keys = list(rows)
        for start in range(0, len(keys), _CHUNK):
            yield {name: {key: rows[key] for key in keys[start : start + _CHUNK]}}


class DecodedRows(Mapping[str, Document]):
    """The documents of a table; each is decoded when it is read."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        """Read from ``texts``."""
        self._texts = texts

    def __getitem__(self, key: str) -> Document:
        """Return a document."""
        return decode_document(self._texts[key])

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys."""
        return iter(self._texts)

    def __len__(self) -> int:
        """Return how many documents there are."""
        return len(self._texts)


class Overlay(MutableMapping[str, Any]):
    """Changes over a table's rows; the rows stay as they are until the changes are durable."""

    def __init__(self, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Start with an empty set of changes over ``rows``."""
        self._rows = rows
        self._changed: dict[str, dict[str, Any] | None] = {}

    def __getitem__(self, key: str) -> dict[str, Any]:
        """Return a document that may be changed in place, as TinyDB's operations do."""
        if key not in self._changed:
            self._changed[key] = dict(self._rows[key])
        document = self._changed[key]
        if document is None:
            raise KeyError(key)
        return document

    def __setitem__(self, key: str, document: Mapping[str, Any]) -> None:
        """Set a document."""
        self._changed[key] = dict(document)

    def __delitem__(self, key: str) -> None:
        """Remove a document."""
        if key not in self:
            raise KeyError(key)
        self._changed[key] = None

    def __contains__(self, key: object) -> bool:
        """Whether such a document exists."""
        if key in self._changed:
            return self._changed[key] is not None
        return key in self._rows

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys, new ones last."""
        yield from (key for key in self._rows if self._changed.get(key, {}) is not None)
        yield from (key for key, doc in self._changed.items() if doc is not None and key not in self._rows)

    def __len__(self) -> int:
        """Return how many documents there are."""
        return sum(1 for _ in self)

    def changes(self) -> dict[str, dict[str, Any] | None]:
        """Return the documents that differ from the rows."""
        return {key: document for key, document in self._changed.items() if document != self._rows.get(key)}


class JournalTable(Table):
    """A table with string keys that writes only the documents that change."""

    document_id_class = str  # type: ignore[assignment]  # the base class annotates int

    def _read_table(self) -> Mapping[str, Document]:  # type: ignore[override]  # the base class annotates a dict
        return DecodedRows(cast("JournalStorage", self._storage).texts.get(self.name, {}))

    def _update_table(self, updater: Callable[[Any], None]) -> None:
        overlay = Overlay(self._read_table())
        updater(overlay)
        changes = overlay.changes()
        if changes:
            cast("JournalStorage", self._storage).append({self.name: changes})
            self.clear_cache()


class JournalDB(TinyDB):
    """A TinyDB whose tables share one journal, and can change together."""

    table_class = JournalTable

    def commit(self, writes: Writes) -> None:
        """Change documents of several tables in one atomic record.

        Raises:
            StateUnwritable: nothing was changed.
        """
        cast("JournalStorage", self.storage).append(writes)
        for name in writes:
            self.table(name).clear_cache()
