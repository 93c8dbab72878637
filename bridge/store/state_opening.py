"""Opens the state folder that the settings name, as its owner or for reading beside its owner."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bridge.config import Settings, workspace_of
from bridge.errors import StateForeign, StateUnwritable
from bridge.store.document_state import DocumentState
from bridge.store.folder_lock import LOCK, has_owner
from bridge.store.state_metadata import Binding
from bridge.store.state_reader import StateReader
from bridge.store.tinydb_store import JOURNAL, TinyDocuments

_OTHERS = stat.S_IRGRP | stat.S_IROTH


def binding_of(settings: Settings) -> Binding:
    """Return the registry that the settings name; its fingerprint is not known yet."""
    return Binding(settings.registry.shown_uri, workspace_of(settings.registry.workspace))


@contextmanager
def owned_state(settings: Settings) -> Iterator[DocumentState]:
    """Own the state folder during the context; refuse the state of another registry.

    Raises:
        StateError: another process owns it, it belongs to another registry, or it cannot be used.
    """
    with any_owned_state(settings) as state:
        check_binding(state, settings)
        yield state


@contextmanager
def any_owned_state(settings: Settings) -> Iterator[DocumentState]:
    """Own the state folder during the context, whatever registry it belongs to.

    Raises:
        StateError: another process owns it, or it cannot be used.
    """
    documents = TinyDocuments.open(Path(settings.state.folder))
    if documents.torn:
        _warn_of_torn_end(documents.torn)
    state = DocumentState(documents)
    try:
        yield state
    finally:
        state.close()


def _warn_of_torn_end(size: int) -> None:
    import structlog  # noqa: PLC0415 - keeps the start of read commands quick

    structlog.get_logger(__name__).warning("state.tail_cut", bytes=size)


@contextmanager
def read_state(settings: Settings) -> Iterator[DocumentState]:
    """Read the state as it is now, whoever owns it.

    Raises:
        StateError: it cannot be used.
    """
    state = DocumentState(TinyDocuments.read(Path(settings.state.folder)))
    try:
        yield state
    finally:
        state.close()


def is_owned(settings: Settings) -> bool:
    """Whether a process owns the state folder now."""
    return has_owner(Path(settings.state.folder))


def check_writable(settings: Settings) -> None:
    """Check that the state folder can be written, or created, without changing anything.

    Raises:
        StateUnwritable: it cannot.
    """
    folder = Path(settings.state.folder)
    place = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not place.is_dir():
        msg = f"the state folder {folder} cannot be made: {place} is no folder: choose another in state.url, or mend it"
        raise StateUnwritable(msg)
    for path in (place, folder / LOCK, folder / JOURNAL):
        if os.path.lexists(path) and not os.access(path, os.R_OK | os.W_OK):
            is_fixed = os.statvfs(path).f_flag & os.ST_RDONLY
            mend = f"mount {path} for writing" if is_fixed else f"mend the permissions of {path}"
            msg = f"the state folder {folder} cannot be written by this user: choose another in state.url, or {mend}"
            raise StateUnwritable(msg)


def has_readers(settings: Settings) -> bool:
    """Whether other users can read the state, on file systems without permissions, for example."""
    folder = Path(settings.state.folder)
    with suppress(OSError):
        return all(path.stat().st_mode & _OTHERS for path in (folder, folder / JOURNAL))
    return False


def check_binding(state: StateReader, settings: Settings) -> None:
    """Refuse a state that was taken from another registry.

    Raises:
        StateForeign: it was.
    """
    head, wanted = state.head, binding_of(settings)
    if head is None or (head.uri, head.workspace) == (wanted.uri, wanted.workspace):
        return
    msg = (
        f"the state in {settings.state.folder} was taken from {place_of(head.binding)}, and the configuration "
        f"names {place_of(wanted)}: if the registry moved, run 'mlflow-bridge state rebind'; "
        "if it is another one, choose a new folder in state.url"
    )
    raise StateForeign(msg)


def place_of(binding: Binding) -> str:
    """Return the address of the registry, for people."""
    return binding.uri + (f" (workspace {binding.workspace})" if binding.workspace else "")
