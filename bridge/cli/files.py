"""Files that a command writes: whole or not at all, and never over another unless that is asked for."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from bridge.errors import BridgeError


def refuse_existing(path: Path, hint: str) -> None:
    """Go on if there is nothing at ``path``.

    Raises:
        BridgeError: there is; the message ends with ``hint``.
    """
    if path.is_symlink() or path.exists():
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
        raise BridgeError(f"{path} cannot be written: {error.strerror}") from None


def _write(path: Path, text: str, mode: int, *, replaces: bool) -> None:
    number, name = tempfile.mkstemp(prefix=".mlflow-bridge-", dir=path.parent)
    beside = Path(name)
    try:
        with os.fdopen(number, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fchmod(stream.fileno(), mode & ~_umask())
            os.fsync(stream.fileno())
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
        path.chmod(beside.stat().st_mode)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
