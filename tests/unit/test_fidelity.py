"""The judge of the fidelity test finds what it is there to find."""

from dataclasses import replace

import pytest
from support.fidelity import THERE, Delivered, Model, judge_deliveries, replay
from support.history import History, judge_history
from support.mutations import ANY_VERSION, Effect

VERSION = {
    ("version", "1", None): THERE,
    ("version description", "1", None): "",
    ("status", "1", None): "READY",
    ("stage", "1", None): "None",
}
BASELINE = {"m": Model("m", {("description", None, None): "", **VERSION})}


def transition(before, after, name="m"):
    return {
        "event": "MODEL_VERSION_TRANSITIONED_STAGE",
        "model_name": name,
        "model_version": "1",
        "from_stage": before,
        "to_stage": after,
    }


def tagged(before, after):
    names = {"key": "k", "value": after, "previous_value": before}
    return {"event": "REGISTERED_MODEL_TAG_SET", "model_name": "m", **names}


RENAMED = {"event": "REGISTERED_MODEL_RENAMED", "model_name": "n", "previous_name": "m"}
DELETED = {"event": "REGISTERED_MODEL_DELETED", "model_name": "n"}
CREATED = {"event": "REGISTERED_MODEL_CREATED", "model_name": "n", "description": "again #9"}
ALIASED = {
    "event": "MODEL_VERSION_ALIAS_SET",
    "model_name": "n",
    "model_version": "1",
    "alias": "a",
    "previous_version": None,
}
VERSION_CREATED = {
    "event": "MODEL_VERSION_CREATED",
    "model_name": "n",
    "model_version": "1",
    "description": "",
    "source": "s3://1",
    "status": "READY",
}
VERSION_DELETED = {"event": "MODEL_VERSION_DELETED", "model_name": "n", "model_version": "1"}

BODIES = [
    transition("None", "Staging"),
    tagged(None, "x #1"),
    RENAMED,
    transition("Staging", "Archived", "n"),
    DELETED,
    CREATED,
    VERSION_CREATED,
    ALIASED,
]
FINAL = {"n": Model("n", {("description", None, None): "again #9", ("alias", None, "a"): "1", **VERSION})}

EFFECTS = [
    Effect("stage", "m", "1", None, "Staging", 1, 2),
    Effect("tag", "m", None, "k", "x #1", 2, 3),
    Effect("name", "m", None, None, "n", 3, 4),
    Effect("stage", "n", ANY_VERSION, None, "Archived", 4, 5),
    Effect("model", "n", None, None, None, 5, 6),
    Effect("model", "n", None, None, THERE, 6, 7),
    Effect("description", "n", None, None, "again #9", 6, 7),
    Effect("version", "n", "1", None, "s3://1", 7, 8),
    Effect("alias", "n", None, "a", "1", 8, 9),
]


def arrived(bodies):
    return [Delivered(str(number), "m", body, 10.0 + number) for number, body in enumerate(bodies)]


def faults(deliveries, final=FINAL, effects=EFFECTS):
    return [*replay(BASELINE, deliveries, final), *judge_history(deliveries, History(effects))]


def test_what_happened_is_found_to_have_happened() -> None:
    assert faults(arrived(BODIES)) == []


def test_what_nobody_told_of_stays_as_it_was() -> None:
    assert faults([], BASELINE) == []


def test_a_repeat_under_the_same_id_is_no_fault() -> None:
    once = arrived(BODIES)
    assert faults([*once[:3], once[1], *once[3:]]) == []


@pytest.mark.parametrize("dropped", range(len(BODIES)))
def test_a_dropped_event_is_found(dropped) -> None:
    deliveries = arrived(BODIES)
    del deliveries[dropped]
    # What a deletion takes along leaves no trace: only the bridge's own record tells of it.
    assert faults(deliveries) or judge_deliveries(deliveries, [str(number) for number in range(8)])
    assert bool(faults(deliveries)) == (dropped not in {1, 3})


@pytest.mark.parametrize("repeated", range(len(BODIES)))
def test_a_change_told_twice_under_two_ids_is_found(repeated) -> None:
    deliveries = arrived(BODIES)
    again = replace(deliveries[repeated], id="another")
    assert faults([*deliveries[: repeated + 1], again, *deliveries[repeated + 1 :]])


@pytest.mark.parametrize("first", range(len(BODIES) - 1))
def test_two_events_in_the_wrong_order_are_found(first) -> None:
    bodies = list(BODIES)
    bodies[first : first + 2] = reversed(bodies[first : first + 2])
    independent = {0}  # a transition and a tag of the model: either may have come first
    assert bool(faults(arrived(bodies))) == (first not in independent)


def test_a_value_that_never_was_is_found() -> None:
    invented = [*BODIES[:1], transition("Staging", "Production"), transition("Production", "Staging")]
    assert [*judge_history(arrived(invented), History(EFFECTS))]


def test_a_value_is_found_to_be_told_before_anyone_set_it() -> None:
    early = [replace(one, at=1.5) for one in arrived(BODIES[:2])]
    assert [fault for fault in judge_history(early, History(EFFECTS)) if "x #1" in fault]


def test_values_in_an_order_in_which_they_cannot_have_been_set_are_found() -> None:
    effects = [
        Effect("tag", "m", None, "k", "x #1", 1, 2),
        Effect("tag", "m", None, "k", "y #2", 3, 4),
    ]
    assert not judge_history(arrived([tagged(None, "x #1"), tagged("x #1", "y #2")]), History(effects))
    assert judge_history(arrived([tagged(None, "y #2"), tagged("y #2", "x #1")]), History(effects))
    overlapping = [effects[0], replace(effects[1], began=1.9)]
    assert not judge_history(arrived([tagged(None, "y #2"), tagged("y #2", "x #1")]), History(overlapping))


def test_a_value_of_another_model_is_found() -> None:
    elsewhere = [replace(EFFECTS[0], model="other"), *EFFECTS[1:]]
    assert judge_history(arrived(BODIES), History(elsewhere))


def test_an_alias_told_to_point_to_what_was_never_announced_is_found() -> None:
    assert replay(BASELINE, arrived([*BODIES[:6], ALIASED]), {})[0].startswith("lane 'm'")


def test_a_version_told_to_be_gone_before_its_alias_is_found() -> None:
    deletion = Effect("version", "n", "1", None, None, 9.5, 9.8)
    deliveries = arrived([*BODIES, VERSION_DELETED])
    assert any(
        "before its alias" in fault for fault in judge_history(deliveries, History([*EFFECTS, deletion]))
    )
    raced = replace(deletion, began=8.5)  # MLflow itself lets an alias outlive its version then
    assert not judge_history(deliveries, History([*EFFECTS, raced]))


def test_an_id_that_stands_for_two_bodies_is_found() -> None:
    one, other = arrived(BODIES[:2])
    assert judge_deliveries([one, replace(other, id=one.id)], ["0"])
    assert not judge_deliveries([one, one], ["0"])
    assert judge_deliveries([one], ["0", "1"]) == ["1 was recorded and never came"]
