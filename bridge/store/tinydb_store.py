"""The default store: a folder with a TinyDB journal, owned by one process at a time."""

from contextlib import suppress
from pathlib import Path
from typing import Self, cast

from bridge.errors import StateUnwritable
from bridge.store.document_store_protocol import Writes
from bridge.store.document_tables import DocumentTables
from bridge.store.durable_files import keep_folder_private
from bridge.store.encoded_documents import Texts
from bridge.store.file_error_advice import mend_of, word_of
from bridge.store.folder_lock import FolderLock
from bridge.store.journal import Journal
from bridge.store.tinydb_journal_storage import JournalDB, JournalStorage

JOURNAL = "journal"


class TinyDocuments(DocumentTables):
    """`bridge.store.document_store_protocol.Documents` in a folder."""

    def __init__(self, database: JournalDB, lock: FolderLock | None) -> None:
        """Wrap an open database; use `open` or `read` to get one."""
        self._database = database
        self._lock = lock

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Take ownership of ``folder``, create it if it is missing, and open the state in it.

        Raises:
            StateOwned: another process owns it.
            StateUnwritable: it cannot be created or written.
            StateError: its content cannot be used.
        """
        _make(folder)
        lock = FolderLock(folder)
        try:
            with suppress(OSError):  # left by a killed process; the next rewrite replaces it
                (folder / f"{JOURNAL}.new").unlink(missing_ok=True)
            return cls(_database(folder, read_only=False), lock)
        except BaseException:
            lock.release()
            raise

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the present content of ``folder``, whoever owns it; nothing in it is changed.

        Raises:
            StateError: its content cannot be used.
        """
        return cls(_database(folder, read_only=True), None)

    @property
    def _texts(self) -> Texts:
        """What TinyDB's tables read from: they would decode and copy a document at every read."""
        return cast("JournalStorage", self._database.storage).texts

    async def commit(self, writes: Writes) -> None:
        """Make all of ``writes`` durable, as `write` does; it waits for nothing but the disk."""
        self.write(writes)

    def write(self, writes: Writes) -> None:
        """Make all of ``writes`` durable, or none of them.

        Raises:
            StateUnwritable: none of them took effect.
        """
        if self._lock is not None:
            self._lock.check()
        self._database.commit(writes)

    def is_owned(self) -> bool:
        """Whether this process still owns the folder: its lock ends with the process."""
        return True

    def size(self) -> int:
        """Return the journal's length in bytes."""
        return cast("JournalStorage", self._database.storage).length

    @property
    def torn(self) -> int:
        """How many bytes of an unacknowledged commit were cut off on opening."""
        return cast("JournalStorage", self._database.storage).torn

    def close(self) -> None:
        """Close the journal, then release the folder."""
        self._database.close()
        if self._lock is not None:
            self._lock.release()


def exists(folder: Path) -> bool:
    """Whether ``folder`` holds a state."""
    with suppress(OSError):
        return (folder / JOURNAL).exists()
    return False


def _database(folder: Path, *, read_only: bool) -> JournalDB:
    return JournalDB(Journal(folder / JOURNAL), read_only=read_only, storage=JournalStorage)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        keep_folder_private(folder)
    except OSError as error:
        msg = f"the state folder {folder} cannot be made: {word_of(error)}: {mend_of(error)}, or choose another in state.url"
        raise StateUnwritable(msg) from error
