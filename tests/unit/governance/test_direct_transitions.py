"""What goes past an enforcing gate: judged, undone, told; over a registry in memory."""

import pytest
from support.governed_world import CHECK, GovernedWorld

from bridge.governance.direct_transition import DirectStatus, DirectTransition
from bridge.governance.transition_request import RequestStatus

GATE = {"mode": "enforce", "aliases": ["champion"], "checks": [CHECK]}


def world_of(**gate):
    found = GovernedWorld({**GATE, **gate}, most_reverts=2)
    for version, accuracy in (("1", 0.95), ("2", 0.85), ("3", None), ("4", 0.96)):
        found.registry.add("m", version, accuracy, "Production" if version == "1" else "None")
    found.registry.set_alias("m", "champion", "1")
    found.polled()
    return found


@pytest.fixture
def world():
    found = world_of()
    yield found
    found.close()


def direct(world: GovernedWorld) -> list[DirectTransition]:
    return world.do(world.state.load_direct("m"))


def kinds(world: GovernedWorld) -> list[str]:
    return [event.type.value for event in world.told()]


def test_it_is_undone_what_left_comes_back_and_no_poll_tells_of_either(world) -> None:
    world.registry.transition("m", "2", "Production", archives=True)
    world.polled()
    before = kinds(world)
    world.processed()
    world.polled()
    world.polled()

    assert before == []
    assert (world.stage("m", "1"), world.stage("m", "2")) == ("Production", "None")
    assert kinds(world) == ["GATE_FAILED", "TRANSITION_REVERTED"]
    (failed, reverted) = world.told()
    assert failed.changed == {
        "to_stage": "Production",
        "gate": "quality",
        "reasons": "accuracy: below 0.9",
    }
    assert reverted.changed["from_stage"] == "None"
    (one,) = direct(world)
    assert one.status is DirectStatus.REVERTED
    assert DirectTransition.from_document(one.to_document()) == one


def test_one_that_passes_is_told_after_its_verdict_and_what_followed_after_it(world) -> None:
    world.registry.transition("m", "4", "Production", archives=True)
    world.polled()
    world.registry.transition("m", "1", "None")
    world.polled()
    waiting = [one.waits_for for one in sorted(world.state.entries(), key=lambda one: one.id)]
    world.processed()

    assert [bool(one) for one in waiting] == [True, True, False]
    assert [(event.model_version, event.changed["to_stage"]) for event in world.told()] == [
        ("1", "Archived"),
        ("4", "Production"),
        ("1", "None"),
    ]


def test_an_alias_goes_back_or_away(world) -> None:
    world.registry.set_alias("m", "champion", "2")
    world.polled()
    world.processed()
    back = dict(world.registry.models["m"].aliases)
    world.registry.set_alias("m", "champion", None)
    world.polled()
    world.registry.set_alias("m", "champion", "2")
    world.polled()
    world.processed()
    world.polled()

    assert back == {"champion": "1"}
    assert dict(world.registry.models["m"].aliases) == {}
    assert kinds(world) == [
        "GATE_FAILED",
        "TRANSITION_REVERTED",
        "MODEL_VERSION_ALIAS_DELETED",
        "GATE_FAILED",
        "TRANSITION_REVERTED",
    ]


def test_it_stops_after_so_many_times_an_hour_and_tells_then(world) -> None:
    for _ in range(3):
        world.registry.transition("m", "2", "Production")
        world.polled()
        world.processed()
    kept = direct(world)[-1]
    world.clock.sleep(3_700)
    world.registry.transition("m", "2", "None")
    world.polled()
    world.registry.transition("m", "2", "Production")
    world.polled()
    world.processed()

    assert kept.status is DirectStatus.KEPT
    assert "governance.most_reverts" in kept.system_comment
    assert [one.status for one in direct(world)][-1] is DirectStatus.REVERTED
    transitions = [event for event in world.told() if event.type.value == "MODEL_VERSION_TRANSITIONED_STAGE"]
    assert [event.changed["to_stage"] for event in transitions] == ["Production", "None"]


def test_what_cannot_be_told_waits_or_is_undone_where_that_is_asked_for(world) -> None:
    world.registry.transition("m", "3", "Production")
    world.polled()
    world.processed()
    waiting = direct(world)[0].status
    world.registry.accuracy["m", "3"] = 0.99
    world.clock.sleep(61)
    world.processed()
    strict = world_of(on_inconclusive="reject")
    strict.registry.transition("m", "3", "Production")
    strict.polled()
    strict.processed()
    strict.close()

    assert waiting is DirectStatus.PENDING
    assert direct(world)[0].status is DirectStatus.PASSED
    assert strict.stage("m", "3") == "None"


def test_where_people_have_to_approve_nothing_passes_directly() -> None:
    world = world_of(approvals=1)
    world.registry.transition("m", "4", "Production")
    world.polled()
    world.processed()
    (one,) = direct(world)
    world.close()

    assert one.status is DirectStatus.REVERTED
    assert "nobody was asked" in one.reasons[0]


def test_what_was_moved_on_since_is_left_alone(world) -> None:
    world.registry.transition("m", "2", "Production")
    world.polled()
    world.registry.transition("m", "2", "Staging")
    world.processed()
    world.polled()

    assert direct(world)[0].status is DirectStatus.KEPT
    assert world.stage("m", "2") == "Staging"
    (event,) = [one for one in world.told() if one.type.value == "MODEL_VERSION_TRANSITIONED_STAGE"]
    assert event.changed["to_stage"] == "Staging"


def test_a_version_that_was_itself_refused_does_not_come_back_but_what_left_with_it(world) -> None:
    world.registry.transition("m", "2", "Production", archives=True)
    world.polled()
    world.registry.transition("m", "3", "Production", archives=True)
    world.registry.accuracy["m", "3"] = 0.1
    world.polled()
    world.processed()
    world.polled()

    assert {n: one.stage for n, one in world.registry.models["m"].versions.items()} == {
        "1": "Production",
        "2": "Archived",
        "3": "None",
        "4": "None",
    }


@pytest.mark.parametrize("fault", ["lost", "down"])
def test_an_undoing_of_which_the_answer_is_lost_is_completed_and_told_of_by_no_poll(world, fault) -> None:
    world.registry.transition("m", "2", "Production", archives=True)
    world.polled()
    world.registry.fault = fault
    world.processed()
    world.polled()
    world.clock.sleep(5)
    world.processed()
    world.polled()

    assert (world.stage("m", "1"), world.stage("m", "2")) == ("Production", "None")
    assert kinds(world) == ["GATE_FAILED", "TRANSITION_REVERTED"]


def test_what_was_approved_meanwhile_stays(world) -> None:
    world.registry.transition("m", "2", "Production")
    world.polled()
    world.registry.is_unreadable = True
    world.processed()
    world.registry.is_unreadable = False
    (one,) = direct(world)
    assert one.status is DirectStatus.PENDING
    world.registry.fault = "down"
    world.clock.sleep(61)
    world.processed()
    world.registry.transition("m", "2", "None")
    world.polled()
    world.registry.accuracy["m", "2"] = 0.95
    asked = world.ask("m", "2")
    world.processed()
    world.polled()
    world.clock.sleep(5)
    world.processed()
    world.polled()

    assert world.shown(asked).status is RequestStatus.APPLIED
    assert world.stage("m", "2") == "Production"


def test_without_a_gate_that_guards_it_any_more_it_is_told(world) -> None:
    world.registry.transition("m", "2", "Production")
    world.polled()
    ungated = GovernedWorld()
    world.settings = ungated.settings
    ungated.close()
    world.start()
    world.processed()

    assert direct(world)[0].status is DirectStatus.PASSED
    assert kinds(world) == ["MODEL_VERSION_TRANSITIONED_STAGE"]


def test_a_first_version_that_was_promoted_at_once_is_judged_too(world) -> None:
    world.registry.add("m", "5", 0.1, "Production")
    world.polled()
    world.processed()
    world.polled()

    assert world.stage("m", "5") == "None"
    assert kinds(world) == ["MODEL_VERSION_CREATED", "GATE_FAILED", "TRANSITION_REVERTED"]


def test_the_incumbent_is_the_one_that_left() -> None:
    check = {"name": "beats", "require": "incumbent == null || incumbent.version != '1'"}
    world = world_of(checks=[check])
    world.registry.transition("m", "4", "Production", archives=True)
    world.polled()
    world.processed()
    world.close()

    assert direct_of(world) == ["beats: incumbent == null || incumbent.version != '1' is false"]


def direct_of(world: GovernedWorld) -> list[str]:
    documents = [one for _, one in world.documents.items("direct_transitions")]
    return [reason for one in documents for reason in DirectTransition.from_document(one).reasons]


def test_history_is_pruned_and_what_is_open_is_not(world) -> None:
    world.registry.transition("m", "2", "Production")
    world.polled()
    world.processed()
    asked = world.ask("m", "4")
    world.decide("reject", asked)
    late = world.ask("m", "2")
    far = world.clock.now_ms() + 1
    world.do(world.state.prune(far, far, far))

    assert direct(world) == []
    assert (world.shown(asked), world.shown(late).status) == (None, RequestStatus.PENDING)
