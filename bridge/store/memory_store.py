"""A store in memory that is lost at the end: for tests, and for dry runs."""

import json
from collections.abc import Iterator
from itertools import islice

from bridge.store.document_store_protocol import Document, Writes, before_key


class MemoryDocuments:
    """Documents in memory, held as the JSON that a durable store would write."""

    def __init__(self) -> None:
        """Start empty."""
        self._tables: dict[str, dict[str, str]] = {}

    def tables(self) -> list[str]:
        """Return the names of the tables that hold documents."""
        return [name for name, rows in self._tables.items() if rows]

    def get(self, table: str, key: str) -> Document | None:
        """Return one document, or None."""
        text = self._tables.get(table, {}).get(key)
        return None if text is None else json.loads(text)

    def items(self, table: str) -> Iterator[tuple[str, Document]]:
        """Yield a table's keys and documents."""
        for key, text in list(self._tables.get(table, {}).items()):
            yield key, json.loads(text)

    def newest(self, table: str, count: int) -> list[Document]:
        """Return a table's last documents, newest first."""
        texts = islice(reversed(self._tables.get(table, {}).values()), count)
        return [json.loads(text) for text in texts]

    def backwards(self, table: str, before: str | None) -> Iterator[tuple[str, Document]]:
        """Yield a table's keys and documents, newest first, from the one before the key ``before`` on."""
        rows = ((key, json.loads(text)) for key, text in reversed(self._tables.get(table, {}).items()))
        return before_key(rows, before)

    def count(self, table: str) -> int:
        """Return how many documents a table holds."""
        return len(self._tables.get(table, {}))

    async def commit(self, writes: Writes) -> None:
        """Apply all of ``writes``, as `write` does."""
        self.write(writes)

    def write(self, writes: Writes) -> None:
        """Apply all of ``writes``; a value that is not JSON is refused before anything is applied."""
        encoded = {
            table: {key: None if doc is None else json.dumps(doc) for key, doc in documents.items()}
            for table, documents in writes.items()
        }
        for table, documents in encoded.items():
            rows = self._tables.setdefault(table, {})
            for key, text in documents.items():
                if text is None:
                    rows.pop(key, None)
                else:
                    rows[key] = text

    def is_owned(self) -> bool:
        """Whether this process owns the documents: nobody else can."""
        return True

    def size(self) -> int:
        """Return the number of characters of all documents."""
        return sum(len(text) for rows in self._tables.values() for text in rows.values())

    def close(self) -> None:
        """Do nothing: there is nothing to close."""
