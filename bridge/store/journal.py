"""An append-only journal file that survives kills, full disks and torn writes.

Appending: one record, written behind the last good one and flushed with fdatasync before
anything else happens. After a failed write the file is cut back to the last good length;
after a failed flush nobody knows what the disk holds, so the file must be written anew
before the next append. Opening: a broken record at the end is the commit that was under way
when the power went; it was never acknowledged, and is cut off. A broken record anywhere
else is damage, and refused (a torn append is one line: no record holds a line break). Rewriting: a new file beside the old one, flushed, renamed
over it, and the folder flushed.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from bridge.errors import StateDamaged, StateNewer, StateUnwritable
from bridge.store.records import FORMAT, RECORD_START, Record, decode, encode

_flush = getattr(os, "fdatasync", os.fsync)


class Journal:
    """One journal file. Only one process may have it open for writing."""

    def __init__(self, path: Path) -> None:
        """Name the file; nothing is opened yet."""
        self.path = path
        self.length = 0
        self.torn = 0
        self._sequence = 0
        self._descriptor: int | None = None
        self._must_rewrite = False
        self._closed = False

    def read(self) -> Iterator[dict[str, Any]]:
        """Yield the content of every acknowledged record, in order. An absent file has none.

        Raises:
            StateDamaged: a record before the end is broken.
            StateNewer: a later version of the bridge wrote the file.
        """
        try:
            stream = self.path.open("rb")
        except FileNotFoundError:
            return
        except OSError as error:
            raise StateUnwritable(_why(self.path, "cannot be read", error)) from error
        try:
            with stream:
                yield from self._read(stream)
        except OSError as error:
            raise StateUnwritable(_why(self.path, "cannot be read", error)) from error

    def _read(self, stream: BinaryIO) -> Iterator[dict[str, Any]]:
        """Read up to the length that the file has now: its owner may be appending to it."""
        self.length, self._sequence = 0, 0
        size = os.fstat(stream.fileno()).st_size
        if size == 0:  # a journal comes into being with its header
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
            yield record.content

    def _check_tail(self, tail: bytes) -> None:
        """Refuse a torn tail that holds a whole record: then what precedes it is damaged."""
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
        version = header.content.get("format")
        if not isinstance(version, int):
            raise StateDamaged(self._damage())
        if version > FORMAT:
            msg = (
                f"{self.path} has format {version}, and this version of mlflow-bridge knows up to "
                f"{FORMAT}: use the version that wrote it, or a later one"
            )
            raise StateNewer(msg)

    def open(self) -> None:
        """Open for appending, after `read` ran to its end; a torn tail is cut off.

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
            raise StateUnwritable(_why(self.path, "cannot be opened for writing", error)) from error
        if self.length == 0:
            self.rewrite(())

    def append(self, content: dict[str, Any]) -> None:
        """Make one record durable.

        Raises:
            StateUnwritable: it isn't, and the journal is as it was.
        """
        line = encode(Record(self._sequence + 1, content))
        if self._descriptor is None or self._must_rewrite:
            msg = f"{self.path} cannot be appended to before it is rewritten"
            raise StateUnwritable(msg)
        try:
            _write_all(self._descriptor, line, self.length)
        except OSError as error:
            self._cut_back()
            raise StateUnwritable(_why(self.path, "cannot be written", error)) from error
        try:
            _flush(self._descriptor)
        except OSError as error:
            self._cut_back()  # or the next process would build on pages that may never get there
            self._must_rewrite = True
            raise StateUnwritable(_why(self.path, "cannot be flushed", error)) from error
        self._sequence += 1
        self.length += len(line)

    @property
    def must_rewrite(self) -> bool:
        """Whether a failure left the file in doubt, so that it has to be written anew."""
        return self._must_rewrite

    def _cut_back(self) -> None:
        try:
            os.ftruncate(self._descriptor or -1, self.length)
        except OSError:
            self._must_rewrite = True

    def rewrite(self, contents: Iterable[dict[str, Any]]) -> None:
        """Replace the whole journal by these records, atomically.

        Raises:
            StateUnwritable: it could not be done, and the journal is as it was.
        """
        if self._closed:
            msg = f"{self.path} is closed: another process may own it now"
            raise StateUnwritable(msg)
        beside = self.path.with_name(self.path.name + ".new")
        try:
            descriptor, length, sequence = _write_new(beside, contents)
        except OSError as error:
            with suppress(OSError):
                beside.unlink()
            raise StateUnwritable(_why(beside, "cannot be written", error)) from error
        try:
            beside.rename(self.path)
            _flush_folder(self.path.parent)
        except OSError as error:
            os.close(descriptor)
            self._must_rewrite = True
            raise StateUnwritable(_why(self.path, "cannot be replaced", error)) from error
        self._release()
        self._descriptor, self.length, self._sequence = descriptor, length, sequence
        self._must_rewrite = False

    def close(self) -> None:
        """Close the file for good: a late write must not reach its next owner's file."""
        self._closed = True
        self._release()

    def _release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _write_new(path: Path, contents: Iterable[dict[str, Any]]) -> tuple[int, int, int]:
    """Write and flush a new journal; return its descriptor, length and last sequence number."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
        give_to_owner(descriptor, path.parent)
        length = _write_all(descriptor, encode(Record(0, {"format": FORMAT})), 0)
        sequence = 0
        for content in contents:
            sequence += 1
            length += _write_all(descriptor, encode(Record(sequence, content)), length)
        os.fsync(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, length, sequence


def give_to_owner(file: int | Path, folder: Path) -> None:
    """Where root works on a service's folder, leave files that the service can use."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.chown(file, owner.st_uid, owner.st_gid)


def _write_all(descriptor: int, data: bytes, offset: int) -> int:
    """Write all of ``data`` at ``offset``; return how much that was."""
    view = memoryview(data)
    written = 0
    while written < len(data):
        written += os.pwrite(descriptor, view[written:], offset + written)
    return written


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _why(path: Path, what: str, error: OSError) -> str:
    return (
        f"{path} {what}: {error.strerror or error}; nothing was changed: free space or mend the permissions"
    )
