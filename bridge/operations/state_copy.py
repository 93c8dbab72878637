"""Copies a state into an empty place, a folder or a database, and marks the old place as moved."""

import hashlib
import json
from dataclasses import dataclass

from bridge.config import Settings
from bridge.errors import InvalidArgument, StateError
from bridge.store.document_store_protocol import Documents, Writes
from bridge.store.poll_commit import META, MOVED
from bridge.store.state_opening import any_owned_state, check_place, stored_documents


@dataclass(frozen=True, slots=True)
class Copied:
    """How many documents of each table were copied, and the digest of all of them."""

    counts: dict[str, int]
    digest: str


async def copy_state(source: Settings, target: Settings) -> Copied:
    """Copy the state that ``source`` names to the place that ``target`` names; both are owned meanwhile.

    Until the old state is marked as moved, the copy is marked as not complete, so at no moment can both be used. A copy
    that was broken off is made again by the same command.

    Raises:
        InvalidArgument: there is nothing to copy, or the target is not empty.
        StateError: one of them is owned by a running bridge, or cannot be used; the source is unchanged.
    """
    async with (
        any_owned_state(source, also_moved=True) as old,
        any_owned_state(target, also_moved=True) as new,
    ):
        found, made = old.documents, new.documents
        _check_source(found, source, target)
        _check_target(found, made, target)
        copied = _facts(found)
        await _clear(made)
        await made.commit(_writes(found, target))
        if _facts(stored_documents(target)) != copied:
            msg = f"what was written to {target.state.place} is not what was read: nothing was moved"
            raise StateError(msg)
        await found.commit({META: {MOVED: {"to": target.state.place}}})
        await made.commit({META: {MOVED: None}})
    return copied


def _check_source(found: Documents, source: Settings, target: Settings) -> None:
    moved = found.get(META, MOVED)
    if moved is None or moved["to"] != target.state.place:
        check_place(found, source)
    if not found.tables():
        raise InvalidArgument(f"there is no state in {source.state.place}: name the place that has one")


def _check_target(found: Documents, made: Documents, target: Settings) -> None:
    """Refuse a target that holds a state in use; the copy that was broken off, and a state that went on elsewhere, are not."""
    if not made.tables() or made.get(META, MOVED) is not None:
        return
    if found.get(META, MOVED) is not None:
        raise InvalidArgument(
            f"the state was copied to {target.state.place} already, and goes on there: nothing is left to do"
        )
    raise InvalidArgument(
        f"{target.state.place} holds a state already: name an empty folder, or another schema"
    )


def _writes(found: Documents, target: Settings) -> Writes:
    writes = {table: dict(found.items(table)) for table in found.tables()}
    writes.setdefault(META, {})[MOVED] = {"to": target.state.place}
    return writes


async def _clear(documents: Documents) -> None:
    """Remove a state that went on elsewhere, or a copy that was broken off."""
    rest = {table: dict.fromkeys(documents.keys(table)) for table in documents.tables()}
    rest.get(META, {}).pop(MOVED, None)
    await documents.commit(rest)


def _facts(documents: Documents) -> Copied:
    digest = hashlib.sha256()
    counts = {}
    for table in sorted(documents.tables()):
        rows = [(key, one) for key, one in documents.items(table) if (table, key) != (META, MOVED)]
        counts[table] = len(rows)
        for key, document in rows:
            digest.update(json.dumps([table, key, document], sort_keys=True).encode())
    return Copied(counts, digest.hexdigest())
