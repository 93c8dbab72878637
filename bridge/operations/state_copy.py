"""Copies a state into an empty place, a folder or a database, and marks the old place as moved."""

import hashlib
import json
from dataclasses import dataclass

from bridge.config import Settings
from bridge.errors import InvalidArgument, StateError
from bridge.store.document_store_protocol import Document, Documents
from bridge.store.poll_commit import META, MOVED
from bridge.store.state_opening import any_owned_state


@dataclass(frozen=True, slots=True)
class Copied:
    """How many documents of each table were copied, and the digest of all of them."""

    counts: dict[str, int]
    digest: str


async def copy_state(source: Settings, target: Settings) -> Copied:
    """Copy the state that ``source`` names to the place that ``target`` names; both are owned meanwhile.

    The copy is read back and compared, document by document in their order, before the old place is marked.

    Raises:
        InvalidArgument: there is nothing to copy, or the target is not empty.
        StateError: one of them is owned by a running bridge, or cannot be used; the source is unchanged.
    """
    async with any_owned_state(source) as old:
        found = old.documents
        if not found.tables():
            raise InvalidArgument(f"there is no state in {source.state.place}: name the place that has one")
        copied = _facts(found)
        async with any_owned_state(target, also_moved=True) as new:
            await _clear(new.documents, target)
            await new.documents.commit({table: dict(found.items(table)) for table in found.tables()})
        async with any_owned_state(target) as new:
            if _facts(new.documents) != copied:
                msg = f"what was written to {target.state.place} is not what was read: nothing was moved; remove the copy"
                raise StateError(msg)
        await found.commit({META: {MOVED: _mark(target)}})
    return copied


async def _clear(documents: Documents, target: Settings) -> None:
    """Remove a state that went on elsewhere: it may come back.

    Raises:
        InvalidArgument: it is one that is in use.
    """
    if documents.tables() and documents.get(META, MOVED) is None:
        raise InvalidArgument(
            f"{target.state.place} holds a state already: name an empty folder, or another schema"
        )
    await documents.commit(
        {table: {key: None for key, _ in documents.items(table)} for table in documents.tables()}
    )


def _mark(target: Settings) -> Document:
    return {"to": target.state.place}


def _facts(documents: Documents) -> Copied:
    digest = hashlib.sha256()
    counts = {}
    for table in sorted(documents.tables()):
        counts[table] = documents.count(table)
        for key, document in documents.items(table):
            digest.update(json.dumps([table, key, document], sort_keys=True).encode())
    return Copied(counts, digest.hexdigest())
