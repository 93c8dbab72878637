"""What `test_machine.py` found: registries that change while they are read."""

from functools import partial

import pytest
from support.paging_mutations import Mutation
from support.watched import WatchedBridge

from bridge.diff.registry_changes import ChangeKind as K
from bridge.diff.registry_changes import Flag
from bridge.pipeline.incremental_read import Read

RENAME = partial(Mutation, "rename_registered_model")
CREATE = Mutation("create_registered_model")
VERSION = Mutation("create_model_version")


@pytest.fixture
def bridge():
    with WatchedBridge() as bridge:
        yield bridge


def told(changes) -> list[str]:
    return [f"{change.model} {change.kind.name}" for change in changes]


def meanwhile(bridge: WatchedBridge, request: int, mutation: Mutation) -> None:
    bridge.client.schedule(request, partial(bridge.mutate, mutation))


@pytest.mark.parametrize("request_number", range(1, 12))
def test_a_model_renamed_during_the_baseline_is_known_once(bridge, request_number) -> None:
    """It was kept under both names, and the old one was told as deleted; its versions counted twice."""
    for mutation in (CREATE, VERSION, CREATE):
        bridge.mutate(mutation)
    meanwhile(bridge, request_number, RENAME())
    bridge.baseline()

    assert told(bridge.run(Read.FULL)) in ([], ["c MODEL_RENAMED"])
    assert list(bridge.state.known()) in (["b", "c"], ["c", "b"])


def test_a_model_that_the_pages_of_the_baseline_skipped_is_not_announced(bridge) -> None:
    for _ in range(3):
        bridge.mutate(CREATE)
    bridge.wait(600)
    bridge.registry.update_registered_model("b", "news")  # tells what time it is
    meanwhile(bridge, 7, Mutation("delete_registered_model"))
    bridge.baseline()
    assert "c" not in bridge.state.known()

    assert "c MODEL_CREATED" not in told(bridge.run(Read.FULL))
    assert "c" in bridge.state.known()


@pytest.mark.parametrize("read", list(Read))
@pytest.mark.parametrize("request_number", range(1, 12))
@pytest.mark.parametrize("versions", [0, 2])
def test_a_model_renamed_while_it_is_read_is_no_deletion(bridge, read, request_number, versions) -> None:
    """Whatever has been read by then: some reads show it under both names, and some under neither."""
    for mutation in (*[CREATE] * 4, *[Mutation("create_model_version", 3)] * versions):
        bridge.mutate(mutation)
        bridge.wait(1)
    bridge.registry.rename_registered_model("a", "z")  # the new name sorts before what is read by then
    bridge.baseline()
    bridge.registry.update_registered_model("z", "news")
    bridge.client.schedule(request_number, lambda: bridge.registry.rename_registered_model("z", "a"))

    bridge.run(read)
    bridge.rest()

    assert all(change.kind is not K.MODEL_DELETED for change in bridge.run(Read.FULL))


@pytest.mark.parametrize("request_number", range(1, 10))
def test_a_model_renamed_back_while_it_is_asked_for_is_no_deletion(bridge, request_number) -> None:
    bridge.mutate(CREATE)
    bridge.mutate(CREATE)
    bridge.baseline()
    bridge.registry.rename_registered_model("a", "z")
    bridge.client.schedule(request_number, lambda: bridge.registry.rename_registered_model("z", "a"))

    assert set(told(bridge.run(Read.FAST))) <= {"z MODEL_RENAMED"}


def test_a_hidden_model_is_not_taken_for_a_twin_that_was_renamed(bridge) -> None:
    """Both were made in the same millisecond: what is hidden was told as deleted."""
    for mutation in (CREATE, CREATE, Mutation("create_model_version", 1)):
        bridge.mutate(mutation)
    bridge.baseline()
    bridge.revoke("a")
    bridge.mutate(RENAME(1))

    assert told(bridge.run(Read.FAST)) == ["c MODEL_RENAMED"]
    assert sorted(bridge.state.known()) == ["a", "c"]


def test_a_hold_keeps_both_halves_of_what_may_have_been_a_rename() -> None:
    """The deletion was told alone, and as if it were certain."""
    with WatchedBridge(max_events=3) as bridge:
        bridge.mutate(CREATE)
        bridge.mutate(CREATE)
        bridge.baseline()
        bridge.registry.rename_registered_model("a", "x")
        bridge.registry.rename_registered_model("b", "y")

        assert bridge.run(Read.FULL) == []
        changes = bridge.run(Read.FULL, bridge.held)

    assert {change.flags for change in changes} == {(Flag.AMBIGUOUS_RENAME,)}


def test_who_took_the_name_of_a_model_whose_deletion_is_held_waits_under_its_own() -> None:
    """It was told as deleted itself, past the hold."""
    with WatchedBridge(max_events=2) as bridge:
        for _ in range(4):
            bridge.mutate(CREATE)
            bridge.wait(1)
        bridge.baseline()
        for name in ("a", "c", "d'\"e"):
            bridge.registry.delete_registered_model(name)
        bridge.registry.rename_registered_model("b", "a")

        assert bridge.run(Read.FULL) == []
        assert len(bridge.state.known()) == 4
        changes = bridge.run(Read.FULL, bridge.held)

    assert sorted(told(changes)) == [
        "a MODEL_DELETED",
        "a MODEL_RENAMED",
        "c MODEL_DELETED",
        "d'\"e MODEL_DELETED",
    ]


def test_a_version_made_between_two_pages_of_the_baseline_is_counted_once(bridge) -> None:
    for mutation in (CREATE, CREATE, *[Mutation("create_model_version", 1)] * 3):
        bridge.mutate(mutation)
    for request in range(6, 10):
        meanwhile(bridge, request, VERSION)
    bridge.baseline()
    bridge.run(Read.FAST)

    known = bridge.state.known().values()
    assert bridge.state.last_poll.versions == sum(len(model.versions) for model in known) == 7
