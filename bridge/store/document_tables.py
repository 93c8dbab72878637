"""Documents that are held in memory as text, table by table, whatever makes them durable."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import islice

from bridge.store.document_store_protocol import Document, before_key
from bridge.store.encoded_documents import Texts, decode_document


class DocumentTables(ABC):
    """The reading half of `bridge.store.document_store_protocol.Documents`."""

    @property
    @abstractmethod
    def _texts(self) -> Texts:
        """The documents of each table as text, in the order in which their keys were first written."""

    def _table(self, name: str) -> dict[str, str]:
        return self._texts.get(name, {})

    def tables(self) -> list[str]:
        """Return the names of the tables that hold documents."""
        return [name for name, rows in self._texts.items() if rows]

    def get(self, table: str, key: str) -> Document | None:
        """Return one document, or None."""
        text = self._table(table).get(key)
        return None if text is None else decode_document(text)

    def keys(self, table: str) -> list[str]:
        """Return the keys of a table's documents."""
        return list(self._table(table))

    def texts(self, table: str) -> list[str]:
        """Return a table's documents as text."""
        return list(self._table(table).values())

    def items(self, table: str) -> Iterator[tuple[str, Document]]:
        """Yield a table's keys and documents."""
        for key, text in list(self._table(table).items()):
            yield key, decode_document(text)

    def newest(self, table: str, count: int) -> list[Document]:
        """Return a table's last documents, newest first."""
        return [decode_document(text) for text in islice(reversed(self._table(table).values()), count)]

    def backwards(self, table: str, before: str | None) -> Iterator[tuple[str, Document]]:
        """Yield a table's keys and documents, newest first, from the one before the key ``before`` on."""
        rows = before_key(reversed(self._table(table).items()), before)
        return ((key, decode_document(text)) for key, text in rows)

    def count(self, table: str) -> int:
        """Return how many documents a table holds."""
        return len(self._table(table))
