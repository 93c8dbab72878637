"""Documents that are held in memory, table by table, whatever makes them durable."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import islice
from typing import Any

from bridge.store.document_store_protocol import Document, before_key


class DocumentTables(ABC):
    """The reading half of `bridge.store.document_store_protocol.Documents`."""

    @abstractmethod
    def _rows(self, table: str) -> dict[str, Any]:
        """Return a table's documents themselves, in the order in which their keys were first written."""

    @abstractmethod
    def tables(self) -> list[str]:
        """Return the names of the tables that hold documents."""

    def get(self, table: str, key: str) -> Document | None:
        """Return one document, or None."""
        return self._rows(table).get(key)

    def items(self, table: str) -> Iterator[tuple[str, Document]]:
        """Yield a table's keys and documents."""
        yield from list(self._rows(table).items())

    def newest(self, table: str, count: int) -> list[Document]:
        """Return a table's last documents, newest first."""
        return list(islice(reversed(self._rows(table).values()), count))

    def backwards(self, table: str, before: str | None) -> Iterator[tuple[str, Document]]:
        """Yield a table's keys and documents, newest first, from the one before the key ``before`` on."""
        return before_key(reversed(self._rows(table).items()), before)

    def count(self, table: str) -> int:
        """Return how many documents a table holds."""
        return len(self._rows(table))
