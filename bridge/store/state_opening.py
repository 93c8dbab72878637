"""Opens the state that the settings name, as its owner or for reading beside its owner."""

import hashlib
import json
import os
import socket
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bridge import __version__
from bridge.config import Settings, workspace_of
from bridge.errors import (
    ConfigurationError,
    StateError,
    StateForeign,
    StateMoved,
    StateOwned,
    StateUnwritable,
)
from bridge.store.document_state import DocumentState
from bridge.store.document_store_protocol import Documents
from bridge.store.folder_lock import LOCK, has_owner
from bridge.store.poll_commit import META, MOVED
from bridge.store.state_metadata import Binding
from bridge.store.state_reader import StateReader
from bridge.store.tinydb_store import JOURNAL, TinyDocuments

if TYPE_CHECKING:
    from bridge.store.postgresql.shared_state import Replica, StateDatabase

_OTHERS = stat.S_IRGRP | stat.S_IROTH


def binding_of(settings: Settings) -> Binding:
    """Return the registry that the settings name; its fingerprint is not known yet."""
    return Binding(settings.registry.shown_uri, workspace_of(settings.registry.workspace))


@asynccontextmanager
async def owned_state(settings: Settings) -> AsyncIterator[DocumentState]:
    """Own the state during the context; refuse the state of another registry.

    Raises:
        StateError: another process owns it, it belongs to another registry, or it cannot be used.
    """
    async with any_owned_state(settings) as state:
        check_binding(state, settings)
        yield state


@asynccontextmanager
async def any_owned_state(settings: Settings, *, also_moved: bool = False) -> AsyncIterator[DocumentState]:
    """Own the state during the context, whatever registry it belongs to; ``also_moved``: even if it goes on elsewhere.

    Raises:
        StateError: another process owns it, or it cannot be used.
    """
    if settings.state.is_database:
        async with joined(settings) as replica:
            if not await replica.take():
                raise StateOwned(
                    f"another mlflow-bridge owns the state in {settings.state.place}: stop it first, or wait until it has ended"
                )
            state = await replica.load()
            if not also_moved:
                check_place(state.documents, settings)
            yield state
            return
    documents = TinyDocuments.open(Path(settings.state.folder))
    if documents.torn:
        _warn_of_torn_end(documents.torn)
    state = DocumentState(documents)
    try:
        if not also_moved:
            check_place(documents, settings)
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
    documents = stored_documents(settings)
    state = DocumentState(documents)
    try:
        check_place(documents, settings)
        yield state
    finally:
        state.close()


def joined(
    settings: Settings, present: Callable[[], Settings] | None = None
) -> "AbstractAsyncContextManager[Replica]":
    """Be one of the bridges that share the state in a database, during the context.

    ``present`` returns the settings that are in force, which a reload may change.

    Raises:
        StateError: the database cannot be used.
        ConfigurationError: the extra for PostgreSQL is not installed.
    """
    with _extra_installed():
        from bridge.store.postgresql.membership import Member  # noqa: PLC0415 - needs the extra, and is slow to import
        from bridge.store.postgresql.shared_state import Replica  # noqa: PLC0415 - as above

    def digest() -> str:
        now = settings if present is None else present()
        return configuration_digest(now)

    member = Member(f"{socket.gethostname()}:{os.getpid()}", __version__, digest)
    return Replica.joined(settings.state, member)


def configuration_digest(settings: Settings) -> str:
    """Return a digest by which two bridges find that their configurations differ.

    Secrets are not in it, only their places; nor is the address that each listens on, which differs on one machine.
    """
    plain = settings.model_dump(warnings=False, exclude={"server": {"listen"}})
    text = json.dumps(plain, sort_keys=True, default=_as_text)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _as_text(value: object) -> object:
    """Return what is no JSON in a form that is the same in every process: an expression by its text, a set in order."""
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    return getattr(value, "expression", None) or type(value).__name__


async def make_tables(settings: Settings) -> None:
    """Make the tables of a state in a database, if they are not there yet.

    Raises:
        StateError: the database cannot be used, or the role may not make them.
        ConfigurationError: the extra for PostgreSQL is not installed.
    """
    with _extra_installed():
        from bridge.store.postgresql.shared_state import make_tables as make  # noqa: PLC0415 - as above

    await make(settings.state)


def state_database(settings: Settings) -> "StateDatabase":
    """Return the state in a database, to look at.

    Raises:
        ConfigurationError: the extra for PostgreSQL is not installed.
    """
    with _extra_installed():
        from bridge.store.postgresql.shared_state import StateDatabase  # noqa: PLC0415 - as above

    return StateDatabase(settings.state)


@contextmanager
def _extra_installed() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        msg = (
            f"state.url: a state in PostgreSQL needs psycopg ({error}): python -m pip install 'mlflow-bridge[postgresql]', "
            "where the bridge is"
        )
        raise ConfigurationError([msg]) from None


def check_place(documents: Documents, settings: Settings) -> None:
    """Refuse a state that goes on elsewhere.

    Raises:
        StateMoved: it does.
        StateError: it is a copy that was broken off.
    """
    moved = documents.get(META, MOVED)
    if moved is not None and moved["to"] == settings.state.place:
        msg = f"the copy in {settings.state.place} was broken off: give the command 'mlflow-bridge state copy' again"
        raise StateError(msg)
    if moved is not None:
        msg = (
            f"the state in {settings.state.place} was copied to {_as_url(moved['to'])}, and goes on there: set [state] to that, or "
            "copy it back (mlflow-bridge state copy)"
        )
        raise StateMoved(msg)


def _as_url(place: str) -> str:
    return place if "://" in place else f"tinydb:{place}"


def stored_documents(settings: Settings) -> Documents:
    """Return the documents as they are stored now, whoever owns them.

    Raises:
        StateError: they cannot be used.
    """
    if settings.state.is_database:
        return state_database(settings).documents()
    return TinyDocuments.read(Path(settings.state.folder))


def is_owned(settings: Settings) -> bool:
    """Whether a process owns the state now."""
    if settings.state.is_database:
        return state_database(settings).has_owner()
    return has_owner(Path(settings.state.folder))


def check_writable(settings: Settings) -> None:
    """Check that the state can be written, or created, without changing anything.

    Raises:
        StateUnwritable: it cannot.
    """
    if settings.state.is_database:
        state_database(settings).check()
        return
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
    if settings.state.is_database:
        return False
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
        f"the state in {settings.state.place} was taken from {place_of(head.binding)}, and the configuration "
        f"names {place_of(wanted)}: if the registry moved, run 'mlflow-bridge state rebind'; "
        f"if it is another one, choose a new {_elsewhere(settings)}"
    )
    raise StateForeign(msg)


def _elsewhere(settings: Settings) -> str:
    return "schema in state.schema" if settings.state.is_database else "folder in state.url"


def place_of(binding: Binding) -> str:
    """Return the address of the registry, for people."""
    return binding.uri + (f" (workspace {binding.workspace})" if binding.workspace else "")
