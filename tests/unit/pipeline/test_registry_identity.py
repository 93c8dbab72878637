"""Whether a registry is the one that is known: holds that lift, and databases that were replaced."""

from dataclasses import replace

import pytest
from support.polled import MINUTE, Polled
from support.values import model

from bridge.diff.known_snapshot import PlainModels
from bridge.diff.snapshot import ModelVersion
from bridge.errors import RegistryUnreachable, StateForeign
from bridge.pipeline.incremental_read import Read
from bridge.pipeline.registry_identity import Likeness, are_back, compare_models, compare_versions
from bridge.registry.base import Deadline


def told(world, polled) -> list[str]:
    events = {one.event_id: world.state.event(one.event_id) for one in polled.entries}
    return [f"{event.model_name} {event.type.name}" for event in events.values()]


def born(name: str, at: int):
    return replace(model(name), created=at, updated=at)


async def soon() -> Deadline:
    return Deadline.after(60_000)


# A hold over vanished models


async def test_a_fast_read_that_finds_the_vanished_models_lifts_the_hold_without_waiting() -> None:
    world = await Polled().baseline()
    kept = dict(world.registry.models)
    world.registry.models = {"m9": kept["m9"]}
    assert (await world.poll.run(Read.FULL)).held

    world.registry.models = kept
    polled = await world.poll.run(Read.FAST)

    assert (polled.held, polled.read, told(world, polled)) == (None, Read.FULL, [])
    assert world.state.last_poll.outcome == "ok"


async def test_a_hold_stands_while_models_are_missing_or_are_others_of_their_names() -> None:
    world = await Polled().baseline()
    kept = dict(world.registry.models)
    world.registry.models = {"m9": kept["m9"]}
    assert (await world.poll.run(Read.FULL)).held
    scans = world.registry.scans

    for others in ({}, {name: born(name, world.now) for name in ("m1", "m2")}):
        world.registry.models = {"m9": kept["m9"], **others}
        assert (await world.poll.run(Read.FAST)).held
    assert world.registry.scans == scans


async def test_what_accepting_a_hold_does_is_part_of_what_is_said() -> None:
    world = await Polled().baseline()
    world.registry.models = {"m9": world.registry.models["m9"]}

    held = str((await world.poll.run(Read.FULL)).held)

    assert "accepting it tells receivers that these models were deleted" in held


# A registry with another database, and the same fingerprint


@pytest.mark.parametrize("number", [1, 3, 5])
async def test_a_small_registry_that_was_replaced_is_held_however_few_its_models_are(number) -> None:
    world = Polled()
    world.registry.models = {f"m{n}": world.registry.models[f"m{n}"] for n in range(number)}
    await world.baseline()
    world.registry.models = {"other": born("other", world.now - 50 * MINUTE)}

    polled = await world.poll.run(Read.FULL)

    gone = "the only known model is gone" if number == 1 else f"all {number} known models are gone"
    assert gone in str(polled.held)
    assert "as in another registry" in str(polled.held)
    assert told(world, polled) == []
    again = await world.poll.run(Read.FULL, accepted=frozenset(polled.held.digest.split("+")))
    assert told(world, again)[:1] == ["m0 MODEL_DELETED"]


async def test_so_are_models_that_were_replaced_under_their_own_names() -> None:
    world = Polled()
    world.registry.models = {"m0": world.registry.models["m0"]}
    await world.baseline()
    world.registry.models = {"m0": born("m0", world.now - 50 * MINUTE)}

    assert (await world.poll.run(Read.FULL)).held


async def test_a_small_registry_may_change_wholly_in_its_own_time() -> None:
    world = Polled()
    world.registry.models = {"m0": world.registry.models["m0"]}
    await world.baseline()
    world.registry.models = {"fresh": born("fresh", world.now)}

    polled = await world.poll.run(Read.FULL)

    assert polled.held is None
    assert {"m0 MODEL_DELETED", "fresh MODEL_CREATED"} <= set(told(world, polled))


# Another fingerprint


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda models, _now: models, "10 of 10 known models that were asked for are there"),
        (lambda models, _now: {"m1": models["m1"]}, "1 of 10 known models"),
        (lambda _models, _now: {}, "0 of 10 known models"),
        (
            lambda models, now: {name: born(name, now) for name in models},
            "0 of 10 known .*, 10 of the names stand for other models",
        ),
    ],
    ids=["all the same", "one the same", "none", "others under the same names"],
)
async def test_a_poll_tells_how_far_a_registry_with_another_fingerprint_is_the_same(change, expected) -> None:
    world = await Polled().baseline()
    world.registry.print = "2"
    world.registry.models = change(world.registry.models, world.now)

    with pytest.raises(StateForeign, match=expected) as refused:
        await world.poll.run(Read.FULL)

    is_lost = expected.startswith("0 of")
    assert ("mlflow-bridge state rebind --accept" in str(refused.value)) != is_lost
    assert ("is not the one that" in str(refused.value)) == is_lost
    assert len(list(world.state.known())) == 10


async def test_a_registry_that_does_not_tell_is_refused_all_the_same(monkeypatch) -> None:
    world = await Polled().baseline()
    world.registry.print = "2"

    def down(names, deadline):
        raise RegistryUnreachable("down")

    monkeypatch.setattr(world.registry, "rows", down)
    with pytest.raises(StateForeign, match="another fingerprint: that of the Default experiment\\)"):
        await world.poll.run(Read.FULL)


# What is compared


async def test_models_are_compared_by_name_and_creation_their_versions_too() -> None:
    world = await Polled().baseline()
    known, models = PlainModels(dict(world.registry.models)), world.registry.models
    models["m0"] = replace(models["m0"], versions={"1": ModelVersion("1", 7, 7)})
    models["m1"] = replace(models["m1"], versions={})
    models["m2"] = born("m2", world.now)
    del models["m3"]

    assert compare_models(world.registry, known, await soon()) == Likeness(10, 8, 1)
    found = compare_versions(world.registry, known, await soon())
    assert found == Likeness(10, 8, 1, versions=8, same_versions=6)
    assert found.versions_told() == "6 of 8 versions of these"


async def test_where_nothing_is_known_nothing_speaks_against_it() -> None:
    found = compare_versions(Polled().registry, PlainModels(), await soon())

    assert (found.is_nothing_alike, found.versions_told()) == (False, "")
    assert found.models_told() == "no model is known to compare with"
    assert Likeness(3, 0).is_nothing_alike


async def test_of_many_models_some_are_asked_for_others_at_each_turn() -> None:
    world = Polled()
    many = {f"m{n:04}": born(f"m{n:04}", 1) for n in range(1000)}
    world.registry.models = dict(many)
    known = PlainModels(many)

    assert compare_models(world.registry, known, await soon()).asked == 50
    del world.registry.models["m0003"]
    answers = [are_back(world.registry, known, turn, await soon()) for turn in range(100)]
    assert {True, False} == set(answers)
    assert are_back(world.registry, PlainModels(), 7, await soon())
