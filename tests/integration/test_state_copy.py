"""A state that is copied can be used in one place at a time, wherever the copy is broken off."""

import asyncio

import pytest
from support.shared_state import state_settings
from support.values import commit, model, transition

from bridge.config import Settings, StateSettings
from bridge.errors import InvalidArgument, StateError
from bridge.operations.state_copy import copy_state
from bridge.store.postgresql.documents import PostgresDocuments
from bridge.store.state_opening import any_owned_state, read_state
from bridge.store.tinydb_store import TinyDocuments


class BrokenOff(Exception):
    """The command was ended here."""


@pytest.fixture
def places(tmp_path, cluster) -> tuple[Settings, Settings]:
    """A folder with a state, and an empty schema."""
    plain = Settings.model_validate({"registry": {"tracking_uri": "http://127.0.0.1:1"}})
    folder = plain.model_copy(
        update={"state": StateSettings.model_validate({"url": f"tinydb:{tmp_path}/state"})}
    )
    there = plain.model_copy(update={"state": state_settings(cluster.state_url("states"))})

    async def fill() -> None:
        async with any_owned_state(folder) as state:
            await state.commit_poll(commit(transition(1), models=[model("a\x00", versions=3)]))

    asyncio.run(fill())
    return folder, there


def usable(*places: Settings) -> list[bool]:
    """Return in which of the places a bridge would find the state."""
    found = []
    for place in places:
        try:
            with read_state(place) as state:
                found.append(state.head is not None)
        except StateError:
            found.append(False)
    return found


@pytest.mark.parametrize("breaks_after", range(5))
def test_at_no_moment_can_both_be_used_and_the_same_command_goes_on(
    places, monkeypatch, breaks_after
) -> None:
    folder, there = places
    left = breaks_after

    def until_it_breaks(real):
        async def counted(self, writes) -> None:
            nonlocal left
            if left == 0:
                raise BrokenOff
            left -= 1
            await real(self, writes)

        return counted

    with monkeypatch.context() as patched:
        for kind in (TinyDocuments, PostgresDocuments):
            patched.setattr(kind, "commit", until_it_breaks(kind.commit))
        try:
            asyncio.run(copy_state(folder, there))
        except BrokenOff:
            assert usable(folder, there) in ([True, False], [False, False])

    if left == 0 and breaks_after < 4:
        asyncio.run(copy_state(folder, there))
    assert usable(folder, there) == [False, True]
    with read_state(there) as state:
        assert (len(state.pending()), [len(one.versions) for one in state.known().values()]) == (1, [3])


def test_a_state_in_use_is_not_overwritten_and_nothing_is_not_copied(places) -> None:
    folder, there = places
    with pytest.raises(InvalidArgument, match="there is no state"):
        asyncio.run(copy_state(there, folder))
    asyncio.run(copy_state(folder, there))
    with pytest.raises(StateError):
        asyncio.run(copy_state(folder, folder))

    async def fill() -> None:
        async with any_owned_state(there) as state, any_owned_state(folder, also_moved=True) as old:
            await old.documents.commit({"meta": {"moved": None}})
            assert state.head is not None

    asyncio.run(fill())
    with pytest.raises(InvalidArgument, match="holds a state already"):
        asyncio.run(copy_state(folder, there))


def test_a_copy_that_differs_from_what_was_read_moves_nothing(places, monkeypatch) -> None:
    folder, there = places
    real = PostgresDocuments.commit

    async def forgetful(self, writes) -> None:
        await real(self, {table: rows for table, rows in writes.items() if table != "models"})

    monkeypatch.setattr(PostgresDocuments, "commit", forgetful)
    with pytest.raises(StateError, match="not what was read"):
        asyncio.run(copy_state(folder, there))
    assert usable(folder, there) == [True, False]
