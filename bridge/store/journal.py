"""An append-only journal file that survives kills, full disks and torn writes.

Appending: one record is written behind the last good one and flushed with fdatasync before anything else
happens. After a failed write, the file is cut back to the last good length. After a failed flush, the content
of the disk is unknown, so the file must be rewritten before the next append.

Opening: a broken record at the end belongs to a commit that was interrupted; it was never acknowledged, and
is cut off. A broken record anywhere else is damage, and the file is refused. (A torn append is one line,
because no record holds a line break.)

Rewriting: a new file is written beside the old one, flushed, and renamed over it; then the folder is flushed.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bridge.errors import StateDamaged, StateNewer, StateUnwritable
from bridge.store.durable_files import (
    close,
    flush,
    flush_folder,
    give_to_owner,
    keep_private,
    remove,
    write_all,
)
from bridge.store.encoded_documents import TextWrites
from bridge.store.file_error_advice import mend_of, word_of
from bridge.store.journal_records import FORMAT, RECORD_START, Record, decode, encode

_UNCHANGED = "nothing was changed"
_IN_DOUBT = "whether the change is kept is not known, and the file is written anew before the next one"


class Journal:
    """One journal file. Only one process may have it open for writing."""

    def __init__(self, path: Path) -> None:
        """Store the path; nothing is opened yet."""
        self.path = path
        self.length = 0
        self.torn = 0
        self._sequence = 0
        self._descriptor: int | None = None
        self._must_rewrite = False
        self._closed = False

    def read(self) -> Iterator[TextWrites]:
        """Yield what every acknowledged record writes, in order. A missing file has none.

        Raises:
            StateDamaged: a record before the end is broken.
            StateNewer: a later version of the bridge wrote the file.
        """
        try:
            stream = self.path.open("rb")
        except FileNotFoundError:
            return
        except OSError as error:
            raise StateUnwritable(_told(self.path, "cannot be read", error)) from error
        try:
            with stream:
                yield from self._read(stream)
        except OSError as error:
            raise StateUnwritable(_told(self.path, "cannot be read", error)) from error

    def _read(self, stream: BinaryIO) -> Iterator[TextWrites]:
        """Read up to the present length of the file: its owner may be appending to it."""
        self.length, self._sequence = 0, 0
        size = os.fstat(stream.fileno()).st_size
        if size == 0:  # a journal is created with its header
            raise StateDamaged(self._damage())
        for line in stream:
            record = decode(line)
            end = self.length + len(line)
            if end > size or (record is None and self.length > 0 and end == size):
                self._check_tail(line)
                self.torn = size - self.length
                return
            if record is None or not self._follows(record):
                raise StateDamaged(self._damage())
            self._sequence = record.sequence
            self.length = end
            yield record.writes

    def _check_tail(self, tail: bytes) -> None:
        """Refuse a torn tail that contains a whole record: then the part before that record is damaged."""
        if any(decode(tail[start.start() :]) for start in RECORD_START.finditer(tail, 1)):
            raise StateDamaged(self._damage())

    def _follows(self, record: Record) -> bool:
        if self.length > 0:
            return record.sequence == self._sequence + 1
        self._check_format(record)
        return True

    def _damage(self) -> str:
        return (
            f"{self.path} is damaged at byte {self.length}, before its end, so it is left untouched: "
            "restore it from a backup, or move it away to begin with a new baseline"
        )

    def _check_format(self, header: Record) -> None:
        if header.format is None:
            raise StateDamaged(self._damage())
        if header.format > FORMAT:
            msg = (
                f"{self.path} has format {header.format}, and this version of mlflow-bridge knows up to "
                f"{FORMAT}: use the version that wrote it, or a later one"
            )
            raise StateNewer(msg)

    def open(self) -> None:
        """Open for appending, after `read` has run to its end; a torn tail is cut off.

        Raises:
            StateUnwritable: the file cannot be opened, created or cut.
        """
        try:
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
            if os.fstat(self._descriptor).st_size != self.length:
                os.ftruncate(self._descriptor, self.length)
                os.fsync(self._descriptor)
        except FileNotFoundError:
            self.rewrite(())
        except OSError as error:
            raise StateUnwritable(_told(self.path, "cannot be opened for writing", error)) from error
        if self.length == 0:
            self.rewrite(())

    def append(self, writes: TextWrites) -> None:
        """Make one record durable.

        Raises:
            StateUnwritable: the record is not durable, and the journal is unchanged.
        """
        line = encode(Record(self._sequence + 1, writes))
        if self._descriptor is None or self._must_rewrite:
            msg = f"{self.path} cannot be appended to before it is rewritten"
            raise StateUnwritable(msg)
        self._check_place(self._descriptor)
        try:
            write_all(self._descriptor, line, self.length)
        except OSError as error:
            left = self._cut_back(self._descriptor)
            raise StateUnwritable(_told(self.path, "cannot be written", error, left)) from error
        try:
            flush(self._descriptor)
        except OSError as error:
            # Otherwise the next process would build on pages that may be lost.
            left = self._cut_back(self._descriptor)
            self._must_rewrite = True
            raise StateUnwritable(_told(self.path, "cannot be flushed", error, left)) from error
        self._sequence += 1
        self.length += len(line)

    @property
    def must_rewrite(self) -> bool:
        """Whether a failure left the file's content unknown, so that it has to be rewritten."""
        return self._must_rewrite

    def _check_place(self, descriptor: int) -> None:
        """Refuse to write to a file that was moved or removed, or that another process wrote to.

        Raises:
            StateUnwritable: the file at the path is not the one written last.
        """
        try:
            there, ours = self.path.stat(), os.fstat(descriptor)
        except OSError as error:
            raise StateUnwritable(_moved(self.path, word_of(error))) from error
        size = there.st_size if self._must_rewrite else self.length  # after a failure, any size is possible
        if (there.st_ino, there.st_size) != (ours.st_ino, size):
            raise StateUnwritable(_moved(self.path, "another file is there, or other content"))

    def _cut_back(self, descriptor: int) -> str:
        """Cut off what a failed append may have left; return in words what is known about the change."""
        try:
            os.ftruncate(descriptor, self.length)
        except OSError:
            self._must_rewrite = True
            return _IN_DOUBT
        return _UNCHANGED

    def rewrite(self, records: Iterable[TextWrites]) -> None:
        """Replace the whole journal by these records, atomically.

        Raises:
            StateUnwritable: that failed, and the journal is unchanged.
        """
        self._check_open()
        self.replace(self.write_beside(records), ())

    def write_beside(self, records: Iterable[TextWrites]) -> "NewJournal":
        """Write these records, flushed, to a new file beside the journal. A thread may do this while records are appended.

        Raises:
            StateUnwritable: that failed, and no new file is left.
        """
        beside = self.path.with_name(self.path.name + ".new")
        try:
            return _write_new(beside, self.path, records)
        except OSError as error:
            remove(beside)
            raise StateUnwritable(_told(beside, "cannot be written", error)) from error

    def replace(self, new: "NewJournal", more: Iterable[TextWrites]) -> None:
        """Add the records ``more`` to a file of `write_beside`, and replace the journal by it, atomically.

        Raises:
            StateUnwritable: that failed, and the journal is unchanged.
        """
        try:
            self._check_open()
            new.add(more)
            new.path.rename(self.path)
        except StateUnwritable:
            new.discard()
            raise
        except OSError as error:
            new.discard()
            raise StateUnwritable(_told(self.path, "cannot be replaced", error)) from error
        self._release()
        self._descriptor, self.length, self._sequence = new.descriptor, new.length, new.sequence
        try:
            flush_folder(self.path.parent)
        except OSError as error:
            self._must_rewrite = True
            raise StateUnwritable(_told(self.path, "cannot be replaced", error, _IN_DOUBT)) from error
        self._must_rewrite = False

    def _check_open(self) -> None:
        if self._closed:
            msg = f"{self.path} is closed: another process may own it now"
            raise StateUnwritable(msg)
        if self._descriptor is not None:
            self._check_place(self._descriptor)

    def close(self) -> None:
        """Close the file permanently: a late write must not reach its next owner's file."""
        self._closed = True
        self._release()

    def _release(self) -> None:
        if self._descriptor is not None:
            close(self._descriptor)
            self._descriptor = None


@dataclass(slots=True)
class NewJournal:
    """A journal that is written beside the old one: its open file, its length, and the number of its last record."""

    path: Path
    descriptor: int
    length: int = 0
    sequence: int = -1
    flushed: int = 0

    def begin(self) -> None:
        """Write the first record, with the format; raises `OSError`."""
        self._write(Record(0, format=FORMAT))

    def add(self, records: Iterable[TextWrites]) -> None:
        """Append records, and flush the file; raises `OSError`."""
        for writes in records:
            self._write(Record(self.sequence + 1, writes))
        if self.length > self.flushed:
            os.fsync(self.descriptor)
            self.flushed = self.length

    def _write(self, record: Record) -> None:
        self.length += write_all(self.descriptor, encode(record), self.length)
        self.sequence = record.sequence

    def discard(self) -> None:
        """Close and remove the file, unless another one is at its path: the folder may be another's by now."""
        with suppress(OSError):
            if self.path.stat().st_ino == os.fstat(self.descriptor).st_ino:
                remove(self.path)
        close(self.descriptor)


def _write_new(path: Path, before: Path, records: Iterable[TextWrites]) -> NewJournal:
    """Write and flush a new journal that will replace ``before``."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    new = NewJournal(path, descriptor)
    try:
        keep_private(descriptor)
        give_to_owner(descriptor, path.parent, before)
        new.begin()
        new.add(records)
    except BaseException:
        close(descriptor)
        raise
    return new


def _told(path: Path, what: str, error: OSError, left: str = _UNCHANGED) -> str:
    return f"{path} {what}: {word_of(error)}; {left}: {mend_of(error)}"


def _moved(path: Path, why: str) -> str:
    return (
        f"{path} was moved, removed or written to under the running bridge ({why}); {_UNCHANGED}: put it back, or "
        "restart the bridge to go on with what is there now"
    )
