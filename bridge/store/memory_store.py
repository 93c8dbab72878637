"""A store in memory that is lost at the end: for tests, and for dry runs."""

from bridge.store.document_store_protocol import Writes
from bridge.store.document_tables import DocumentTables
from bridge.store.encoded_documents import Texts, apply_writes, encode_writes


class MemoryDocuments(DocumentTables):
    """Documents in memory."""

    def __init__(self) -> None:
        """Start empty."""
        self._documents: Texts = {}

    @property
    def _texts(self) -> Texts:
        return self._documents

    async def commit(self, writes: Writes) -> None:
        """Apply all of ``writes``, as `write` does."""
        self.write(writes)

    def write(self, writes: Writes) -> None:
        """Apply all of ``writes``; a value that is not JSON is refused before anything is applied."""
        apply_writes(self._documents, encode_writes(writes))

    def is_owned(self) -> bool:
        """Whether this process owns the documents: nobody else can."""
        return True

    def size(self) -> int:
        """Return the number of characters of all documents."""
        return sum(len(text) for rows in self._documents.values() for text in rows.values())

    def close(self) -> None:
        """Do nothing: there is nothing to close."""
