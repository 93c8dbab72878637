"""The interface of a document store: tables of JSON documents that change together or not at all."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

Document = Mapping[str, Any]
"""A JSON object."""

Writes = Mapping[str, Mapping[str, Document | None]]
"""For each table, the documents by key; ``None`` removes a document."""


class Documents(Protocol):
    """Tables of documents with string keys.

    Implementations: `bridge.store.tinydb_store` (TinyDB over a journal), `bridge.store.postgresql.documents`, and
    `bridge.store.memory_store`.
    Callers must not change a returned document.
    """

    def tables(self) -> list[str]:
        """Return the names of the tables that hold documents."""
        ...

    def get(self, table: str, key: str) -> Document | None:
        """Return one document, or None."""
        ...

    def keys(self, table: str) -> list[str]:
        """Return the keys of a table's documents, in the order in which they were first written."""
        ...

    def texts(self, table: str) -> list[str]:
        """Return a table's documents as JSON text, in the order in which their keys were first written."""
        ...

    def items(self, table: str) -> Iterator[tuple[str, Document]]:
        """Yield a table's keys and documents, in the order in which the keys were first written."""
        ...

    def newest(self, table: str, count: int) -> list[Document]:
        """Return the ``count`` documents whose keys were written last, newest first.

        The cost does not grow with the table.
        """
        ...

    def backwards(self, table: str, before: str | None) -> Iterator[tuple[str, Document]]:
        """Yield a table's keys and documents, newest first, from the one before the key ``before`` on; None: from the end.

        Without such a key, nothing is yielded. Nothing may be committed meanwhile.
        """
        ...

    def count(self, table: str) -> int:
        """Return how many documents a table holds."""
        ...

    async def commit(self, writes: Writes) -> None:
        """Make all of ``writes`` durable, or none of them.

        Raises:
            StateUnwritable: none of them took effect; the previous documents are unchanged.
        """
        ...

    def is_owned(self) -> bool:
        """Whether this process still owns the store for certain; otherwise another may be its owner already."""
        ...

    def size(self) -> int:
        """Return the size of the documents, in bytes."""
        ...

    def close(self) -> None:
        """Close the store. No other call may follow."""
        ...


def before_key(rows: Iterable[tuple[str, T]], key: str | None) -> Iterator[tuple[str, T]]:
    """Return the ``rows`` after the one with ``key``; all of them if it is None."""
    rest = iter(rows)
    if key is not None:
        next((None for found, _ in rest if found == key), None)
    return rest
