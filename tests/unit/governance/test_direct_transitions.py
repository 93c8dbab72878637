"""What goes past an enforcing gate: judged, undone, told; over a registry in memory."""

import asyncio

import pytest
from support.governed_world import CHECK, GovernedWorld
from support.patience import patience

from bridge.delivery.outbox_entry import Status
from bridge.delivery.resend import Resend
from bridge.governance.direct_transition import DirectStatus, DirectTransition
from bridge.governance.transition_request import RequestStatus
from bridge.operations.outbox_execution import Operations

GATE = {"mode": "enforce", "aliases": ["champion"], "checks": [CHECK]}


def world_of(**gate):
    found = GovernedWorld({**GATE, **gate}, most_reverts=2)
    for version, accuracy in (("1", 0.95), ("2", 0.85), ("3", None), ("4", 0.96)):
        found.registry.add("m", version, accuracy, "Production" if version == "1" else "None")
    found.registry.set_alias("m", "champion", "1")
    found.polled()
    return found


def settings_of(gate=None, **more):
    found = GovernedWorld(gate, **more)
    found.close()
    return found.settings


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


def test_what_came_back_after_it_was_seen_elsewhere_is_told_and_not_taken_for_the_undoing(world) -> None:
    world.registry.transition("m", "2", "Production")
    world.polled()
    world.registry.fault = "down"
    world.processed()
    world.registry.transition("m", "2", "Staging")
    world.polled()
    world.registry.transition("m", "2", "None")
    world.clock.sleep(3_600)
    world.processed()
    world.polled()

    (one,) = direct(world)
    assert (one.status, one.system_comment) == (DirectStatus.OVERTAKEN, "the version is in Staging")
    moves = [event.changed["to_stage"] for event in world.told() if event.type.name == "TRANSITIONED"]
    assert moves == ["Staging", "None"]


@pytest.mark.parametrize("fault", ["lost", "down"])
def test_a_poll_that_sees_it_come_back_from_elsewhere_tells_so_while_it_is_still_to_be_undone(
    world, fault
) -> None:
    """It was taken for the undoing, of which the answer was lost, so that what was told last was not where it is."""
    world.registry.transition("m", "2", "Production")
    world.polled()
    world.registry.fault = fault
    world.processed()
    world.registry.transition("m", "2", "Staging")
    world.polled()
    world.registry.transition("m", "2", "None")
    world.polled()
    world.clock.sleep(3_600)
    world.processed()
    world.polled()

    moves = [event.changed["to_stage"] for event in world.told() if event.type.name == "TRANSITIONED"]
    assert moves == ["Staging", "None"]


@pytest.mark.parametrize("polls", [0, 1])
def test_an_alias_that_came_back_after_it_was_seen_elsewhere_is_told(world, polls) -> None:
    world.registry.set_alias("m", "champion", "2")
    world.polled()
    world.registry.fault = "down"
    world.processed()
    world.registry.set_alias("m", "champion", "4")
    world.polled()
    world.registry.set_alias("m", "champion", "1")
    for _ in range(polls):
        world.polled()
    world.clock.sleep(3_600)
    world.processed()
    world.polled()
    world.processed()

    assert direct(world)[0].status is (DirectStatus.REVERTED if polls else DirectStatus.OVERTAKEN)
    assert [event.model_version for event in world.told() if event.type.name == "ALIAS_SET"][-1] == "1"


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

    assert direct(world)[0].status is DirectStatus.OVERTAKEN
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
    world.settings = settings_of()
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


def pending_versions(world: GovernedWorld) -> list[str]:
    return [world.state.event(one.event_id).model_version for one in world.state.entries() if one.waits_for]


@pytest.mark.parametrize("gone", [False, True])
def test_one_that_was_moved_on_before_it_could_be_judged_holds_nothing_up(world, gone) -> None:
    world.registry.transition("m", "3", "Production", archives=True)
    world.polled()
    world.processed()
    if gone:
        world.registry.drop("m", "3")
    else:
        world.registry.transition("m", "3", "None")
    world.polled()
    world.clock.sleep(61)
    world.processed()

    assert direct(world)[0].status is DirectStatus.OVERTAKEN
    assert pending_versions(world) == []
    told = [(event.model_version, event.changed.get("to_stage")) for event in world.told()]
    assert told[0] == ("1", "Archived")
    assert ("3", "Production") not in told


def test_a_new_name_is_no_way_past_a_gate(world) -> None:
    world.settings = settings_of({**GATE, "models": ["m"]})
    world.start()
    world.registry.transition("m", "2", "Production")
    world.polled()
    world.registry.rename("m", "n")
    world.polled()
    world.processed()
    (one,) = world.do(world.state.load_direct("n"))

    assert one.status is DirectStatus.REVERTED
    assert world.stage("n", "2") == "None"


def test_a_new_name_between_the_verdict_and_the_undoing_is_waited_for(world) -> None:
    world.registry.transition("m", "2", "Production")
    world.polled()
    world.registry.fault = "down"
    world.processed()
    world.registry.rename("m", "n")
    world.clock.sleep(5)
    world.processed()
    waiting = direct(world)[0].status
    world.polled()
    world.clock.sleep(5)
    world.processed()
    world.clock.sleep(60)
    world.processed()

    assert waiting is DirectStatus.REVERTING
    assert world.stage("n", "2") == "None"


def test_what_could_not_be_undone_is_not_told_but_what_left_with_it_is() -> None:
    world = world_of()
    world.registry.refusal = "you may not"
    world.registry.transition("m", "2", "Production", archives=True)
    world.polled()
    world.processed()
    (one,) = direct(world)
    told = [(event.type.value, event.model_version) for event in world.told()]
    world.close()

    assert (one.status, one.system_comment) == (DirectStatus.KEPT, "you may not")
    assert ("MODEL_VERSION_TRANSITIONED_STAGE", "1") in told
    assert ("MODEL_VERSION_TRANSITIONED_STAGE", "2") not in told


def test_a_version_that_changed_since_it_left_does_not_come_back_and_its_leaving_is_told(world) -> None:
    world.registry.transition("m", "2", "Production", archives=True)
    world.polled()
    world.registry.touch("m", "1")
    world.processed()

    assert direct(world)[0].status is DirectStatus.REVERTED
    assert (world.stage("m", "1"), world.stage("m", "2")) == ("Archived", "None")
    assert [event.model_version for event in world.told()][-1] in {"1", "2"}
    assert ("1", "Archived") in [(one.model_version, one.changed.get("to_stage")) for one in world.told()]
    assert pending_versions(world) == []


def test_what_was_archived_by_hand_or_for_a_grant_stays_archived(world) -> None:
    world.registry.transition("m", "1", "Archived")
    world.registry.transition("m", "2", "Production")
    world.polled()
    world.processed()

    assert (world.stage("m", "1"), world.stage("m", "2")) == ("Archived", "None")


def test_an_alias_whose_former_holder_is_gone_is_removed(world) -> None:
    world.registry.set_alias("m", "champion", "2")
    world.polled()
    world.registry.drop("m", "1")
    world.processed()
    world.polled()

    assert dict(world.registry.models["m"].aliases) == {}
    assert direct(world)[0].status is DirectStatus.REVERTED


def test_a_grant_covers_its_transition_also_if_the_version_was_changed_since() -> None:
    world = world_of(approvals=1)
    asked = world.ask("m", "4")
    world.processed()
    world.clock.sleep(1)
    world.decide("approve", asked)
    world.processed()
    world.registry.touch("m", "4")
    world.polled()
    world.processed()
    stage, found = world.stage("m", "4"), world.shown(asked)
    world.close()

    assert stage == "Production"
    assert found.event_id


def test_a_grant_that_was_undone_before_a_poll_saw_it_covers_nothing_later() -> None:
    world = world_of(approvals=1)
    for stage, alias in (("Production", None), (None, "champion")):
        asked = world.ask("m", "4", stage, alias=alias)
        world.processed()
        world.clock.sleep(1)
        world.decide("approve", asked)
        world.processed()
        if alias:
            world.registry.set_alias("m", "champion", "1")
        else:
            world.registry.transition("m", "4", "None")
        world.clock.sleep(2 * 3_600)
        world.polled()
        assert world.shown(asked).is_lapsed
    world.registry.transition("m", "4", "Production")
    world.registry.set_alias("m", "champion", "4")
    world.polled()
    world.processed()
    after = world.stage("m", "4"), dict(world.registry.models["m"].aliases)
    world.close()

    assert after == ("None", {"champion": "1"})


def test_undoing_that_waits_for_a_poll_holds_up_no_request(world) -> None:
    async def never(call) -> None:
        await asyncio.Event().wait()

    world.registry.transition("m", "2", "Production")
    world.polled()
    world.governance.take_turns_with_polls(never)
    asked = world.ask("m", "3", "Staging")
    world.decide("approve", asked)
    until = world.clock.monotonic() + 1

    async def both() -> None:
        stop = asyncio.Event()
        running = asyncio.create_task(world.governance.run(stop))
        async with asyncio.timeout(patience()):
            while world.shown(asked).status is not RequestStatus.APPLIED:  # noqa: ASYNC110 - the state has no event
                await asyncio.sleep(0.01)
        stop.set()
        await running

    world.do(both())

    assert world.stage("m", "3") == "Staging"
    assert until > 0


def test_a_failed_gate_is_told_once_however_often_it_is_asked() -> None:
    audit = {"name": "accuracy", "require": "run.metrics.validation_accuracy >= `0.99`"}
    other = {"name": "other", "require": "run.metrics.other > `1`"}
    world = GovernedWorld({"mode": "decide", "checks": [audit, other]})
    world.registry.add("m", "1", 0.5)
    world.polled()
    world.settings = settings_of(
        {"mode": "decide", "checks": [other]}, gates=[{"name": "audit", "mode": "audit", "checks": [audit]}]
    )
    world.start()
    world.ask("m", "1")
    for _ in range(5):
        world.processed()
        world.clock.sleep(61)
    world.close()

    assert kinds(world).count("GATE_FAILED") == 1


def test_its_verdict_is_written_to_the_version_where_that_is_asked_for() -> None:
    found = GovernedWorld(GATE, tags=True)
    for version, accuracy in (("1", 0.95), ("2", 0.85)):
        found.registry.add("m", version, accuracy)
    found.polled()
    found.registry.transition("m", "1", "Production")
    found.polled()
    found.processed()
    found.polled()
    found.registry.transition("m", "2", "Production", archives=True)
    found.polled()
    found.processed()
    found.settle()
    stages = found.stage("m", "1"), found.stage("m", "2")
    found.close()

    key = "mlflow_bridge.gate.quality"
    assert found.registry.tags == {
        ("m", "1", key): "passed",
        ("m", "2", key): "failed; accuracy: below 0.9",
    }
    assert stages == ("Production", "None")


def test_the_tag_of_a_gate_with_approvals_does_not_say_that_the_refused_one_passed(capsys) -> None:
    found = GovernedWorld({**GATE, "approvals": 1}, tags=True)
    found.registry.add("m", "1", 0.95)
    found.polled()
    found.registry.transition("m", "1", "Production")
    found.polled()
    found.processed()
    stage = found.stage("m", "1")
    found.close()

    (told,) = found.registry.tags.values()
    assert stage == "None"
    assert told.startswith("failed; approvals are needed (1)")
    assert "verdict=passed" not in capsys.readouterr().out


def test_what_a_gate_refused_or_has_yet_to_judge_is_neither_replayed_nor_redriven(world) -> None:
    world.registry.transition("m", "2", "Production")
    world.polled()
    (waiting,) = [one for one in world.state.entries() if one.waits_for]
    operations = Operations(world.state, world.clock)
    resend = [Resend(waiting.event_id, "ci", "MODEL_VERSION_TRANSITIONED_STAGE")]

    early = world.do(operations.replay(resend, new_ids=False))
    world.processed()
    late = world.do(operations.replay(resend, new_ids=False))
    ended = world.state.entry(waiting.id)
    redriven = world.do(operations.redrive([waiting.id]))
    (of_the_refusal, *_) = world.told()
    told = world.do(operations.replay([Resend(of_the_refusal.id, "ci", "GATE_FAILED")], new_ids=False))

    assert (early, late, redriven) == ([], [], [])
    assert ended is None or ended.status is Status.DEAD
    assert len(told) == 1


def test_what_passed_its_gate_is_replayed(world) -> None:
    world.registry.transition("m", "4", "Production")
    world.polled()
    world.processed()
    (passed,) = world.told()

    assert (
        len(
            world.do(
                Operations(world.state, world.clock).replay(
                    [Resend(passed.id, "ci", "MODEL_VERSION_TRANSITIONED_STAGE")], new_ids=False
                )
            )
        )
        == 1
    )


@pytest.mark.parametrize("is_seen", [False, True])
@pytest.mark.parametrize("alias", [False, True])
def test_an_undoing_that_comes_late_does_not_bring_back_what_was_left_long_ago(world, alias, is_seen) -> None:
    """The version was seen elsewhere, and came again before it was undone: it goes back to where it was seen last."""

    def promote(version: str, stage: str = "Production", *, polls: bool = True) -> None:
        world.clock.sleep(10)
        if alias:
            world.registry.set_alias("m", "champion", version)
        else:
            world.registry.transition("m", "2", stage)
        if polls:
            world.polled()

    promote("2")
    world.registry.fault = "down"
    world.processed()
    (first,) = direct(world)
    promote("4", "Staging")
    promote("2", polls=is_seen)
    world.registry.fault = ""
    for _ in range(3):
        world.clock.sleep(3_600)
        world.processed()
        world.polled()

    told = [event for event in world.told() if event.type.value.startswith("MODEL_VERSION")]
    holder = dict(world.registry.models["m"].aliases)["champion"]
    if alias and is_seen:  # version 4 was overtaken before it was judged: nobody was told of it
        assert (holder, told) == ("1", [])
    elif alias:
        assert holder == told[-1].model_version == "4"
    else:
        assert world.stage("m", "2") == told[-1].changed["to_stage"] == "Staging"
    assert first.status.is_open
    assert [one.status for one in direct(world) if one.version == "2"] == [
        DirectStatus.OVERTAKEN,
        DirectStatus.REVERTED,
    ]


def test_two_quick_moves_do_not_pass_the_gates_of_either() -> None:
    """The first is overtaken before it is judged: what undoes the second must not bring it back."""
    world = world_of(to_stages=["Staging", "Production"])
    world.registry.accuracy["m", "3"] = 0.5
    for version, stage in (("2", "Staging"), ("2", "Production")):
        world.clock.sleep(10)
        world.registry.transition("m", version, stage)
        world.polled()
    for version in ("2", "3"):
        world.clock.sleep(10)
        world.registry.set_alias("m", "champion", version)
        world.polled()
    world.processed()
    world.clock.sleep(100)
    world.processed()
    world.polled()

    assert world.stage("m", "2") == "None"
    assert dict(world.registry.models["m"].aliases)["champion"] == "1"
    assert not [event for event in world.told() if event.type.value.startswith("MODEL_VERSION")]
    world.close()
