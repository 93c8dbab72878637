"""Write a file atomically, and replace an existing one only on request."""

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from bridge.errors import BridgeError
from bridge.store.durable_files import flush
from bridge.store.file_error_advice import UNSUPPORTED, mend_of, word_of


def refuse_existing(path: Path, hint: str) -> None:
    """Check that no file exists at ``path``.

    Raises:
        BridgeError: a file exists; the message ends with ``hint``.
    """
    if os.path.lexists(path):
        raise BridgeError(f"{path} is there already: {hint}")


def write_new(path: Path, text: str, mode: int, hint: str, *, replaces: bool = False) -> None:
    """Write ``text`` to ``path``, completely or not at all.

    Args:
        path: the file to write; with ``replaces``, a symbolic link is followed.
        text: the content.
        mode: the file's permissions, reduced by the umask.
        hint: what the error message advises if the file exists already.
        replaces: whether an existing file is replaced.

    Raises:
        BridgeError: the file exists already, or cannot be written.
    """
    target = path.resolve() if replaces else path
    if not replaces:
        refuse_existing(path, hint)
    try:
        _write(target, text, mode, replaces=replaces)
    except FileExistsError:
        raise BridgeError(f"{path} is there already: {hint}") from None
    except OSError as error:
        raise BridgeError(f"{path} cannot be written: {word_of(error)}: {mend_of(error)}") from None


def absolute(path: Path) -> Path:
    """Return the absolute path of a file.

    Raises:
        BridgeError: the path is relative, and the working directory does not exist any more.
    """
    try:
        return path.absolute()
    except OSError as error:
        raise BridgeError(
            f"{path}: the working directory cannot be told ({word_of(error)}): name a whole path"
        ) from None


def _write(path: Path, text: str, mode: int, *, replaces: bool) -> None:
    number, name = tempfile.mkstemp(prefix=".mlflow-bridge-", dir=path.parent)
    beside = Path(name)
    try:
        with os.fdopen(number, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            _set_mode(stream.fileno(), mode & ~_umask())
            _flush(stream.fileno())
        if replaces:
            beside.replace(path)
        else:
            _place(beside, path)
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()


def _place(beside: Path, path: Path) -> None:
    """Link the file ``beside`` to the name ``path``; unlike a rename, this fails if a file exists there.

    Raises:
        OSError: a file exists there, or it cannot be written.
    """
    try:
        path.hardlink_to(beside)
    except FileExistsError:
        raise
    except (
        OSError
    ):  # a file system without hard links (FAT, some mounts): not atomic, but nothing is overwritten
        with path.open("xb") as stream:
            stream.write(beside.read_bytes())
        _set_mode(path, stat.S_IMODE(beside.stat().st_mode))


def _flush(descriptor: int) -> None:
    try:
        flush(descriptor)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise


def _set_mode(file: int | Path, mode: int) -> None:
    """Set the mode of a file, if its file system supports modes; the temporary file is private until then."""
    with suppress(OSError):
        os.chmod(file, mode)  # noqa: PTH101 - also takes a descriptor


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
