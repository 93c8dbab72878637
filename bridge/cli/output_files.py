"""Files that a command writes: whole or not at all, and never over another unless that is asked for."""

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from bridge.errors import BridgeError
from bridge.store.durable_files import flush
from bridge.store.file_errors import UNSUPPORTED, mend_of, word_of


def refuse_existing(path: Path, hint: str) -> None:
    """Go on if there is nothing at ``path``.

    Raises:
        BridgeError: there is; the message ends with ``hint``.
    """
    if os.path.lexists(path):
        raise BridgeError(f"{path} is there already: {hint}")


def write_new(path: Path, text: str, mode: int, hint: str, *, replaces: bool = False) -> None:
    """Write ``text`` to ``path``, whole or not at all.

    Args:
        path: where to; a link is followed.
        text: what to.
        mode: its permissions, less what the umask takes.
        hint: what to do where there is a file already.
        replaces: whether that file is replaced.

    Raises:
        BridgeError: there is a file already, or it cannot be written.
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
    """Return the whole path of a file.

    Raises:
        BridgeError: it begins at the working directory, which is gone.
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
    """Give the file ``beside`` the name ``path``; unlike a rename, this fails where there is a file.

    Raises:
        OSError: there is, or it cannot be written.
    """
    try:
        path.hardlink_to(beside)
    except FileExistsError:
        raise
    except OSError:  # a file system without links (FAT, some mounts): at least nothing is overwritten
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
    """Give a file its mode, where its file system keeps modes: what is made here is private at first."""
    with suppress(OSError):
        os.chmod(file, mode)  # noqa: PTH101 - of a descriptor as well


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
