"""Requests and decisions, over a registry in memory."""

from contextlib import suppress

import pytest
from support.governed_world import CHECK, GovernedWorld
from support.values import request

from bridge.errors import BridgeError, InvalidArgument, InvalidState, LimitExceeded, NotAllowed, NotFound
from bridge.events.event_types import GovernanceKind as G
from bridge.governance.movement import Application, Move, Movement, Standing, next_move
from bridge.governance.request_decisions import approved, judged
from bridge.governance.request_steps import Step, next_step
from bridge.governance.transition_request import Approval, RequestStatus, TransitionRequest
from bridge.governance.transition_target import Target
from bridge.operations.request_execution import Requester

GATE = {"checks": [CHECK]}


@pytest.fixture
def world():
    found = GovernedWorld()
    yield from _begun(found)


@pytest.fixture
def gated():
    found = GovernedWorld(GATE)
    yield from _begun(found)


def _begun(found: GovernedWorld):
    for version, accuracy in (("1", 0.95), ("2", 0.85), ("3", None)):
        found.registry.add("m", version, accuracy, "Production" if version == "1" else "None")
    found.polled()
    yield found
    found.close()


def kinds(world: GovernedWorld) -> list[str]:
    return [event.type.value for event in world.told()]


def test_a_request_is_made_decided_and_applied_and_each_is_told(world) -> None:
    asked = world.ask("m", "2", comment="please")
    world.decide("approve", asked, comment="fine")
    world.processed()
    world.polled()

    assert world.stage("m", "2") == "Production"
    assert kinds(world) == [
        "TRANSITION_REQUEST_CREATED",
        "TRANSITION_REQUEST_APPROVED",
        "MODEL_VERSION_TRANSITIONED_STAGE",
    ]
    (created, told, transition) = world.told()
    assert (created.user_id, created.changed["comment"]) == ("ann", "please")
    assert (told.user_id, told.changed["comment"]) == ("bob", "fine")
    assert (transition.user_id, transition.changed["transition_request_id"]) == ("bob", asked)
    assert world.shown(asked).status is RequestStatus.APPLIED
    assert TransitionRequest.from_document(world.shown(asked).to_document()) == world.shown(asked)


def test_archiving_is_passed_on_where_mlflow_takes_it(world) -> None:
    asked = world.ask("m", "2", archive_existing_versions="true")
    world.decide("approve", asked)
    world.processed()

    assert (world.stage("m", "1"), world.stage("m", "2")) == ("Archived", "Production")


def test_the_same_request_again_is_the_same_and_so_is_its_repetition_after_the_decision(world) -> None:
    asked = world.ask("m", "2")
    again = world.ask("m", "2")
    other = world.ask("m", "2", by="cid")
    world.decide("approve", asked)
    world.processed()
    world.polled()
    repeated = world.ask("m", "2")

    assert asked == again == repeated
    assert other != asked
    assert world.shown(other).status is RequestStatus.CANCELLED
    assert asked in world.shown(other).system_comment


def test_a_decision_is_repeated_without_effect_and_its_opposite_refused(world) -> None:
    asked = world.ask("m", "2")
    world.decide("reject", asked)
    world.decide("reject", asked, by="cid")
    with pytest.raises(InvalidState, match="was rejected by bob"):
        world.decide("approve", asked)
    with pytest.raises(InvalidState):
        world.decide("cancel", asked)

    assert kinds(world) == ["TRANSITION_REQUEST_CREATED", "TRANSITION_REQUEST_REJECTED"]


def test_nobody_decides_on_their_own_and_only_its_maker_or_a_decider_takes_it_back(world) -> None:
    asked = world.ask("m", "2")
    for verb in ("approve", "reject"):
        with pytest.raises(NotAllowed, match="nobody decides on their own"):
            world.decide(verb, asked, by="ann")
    world.decide("cancel", asked, by="ann")
    world.decide("cancel", asked, by="ann")

    assert world.shown(asked).status is RequestStatus.CANCELLED


def test_requests_are_named_by_version_and_stage_too(world) -> None:
    asked = world.ask("m", "2")
    other = world.ask("m", "2", by="cid")
    named = {"name": "m", "version": "2", "stage": "PRODUCTION"}
    answer = world.do(world.requests.reject(named, Requester("bob", "bob")))
    again = world.do(world.requests.reject(named, Requester("bob", "bob")))
    listed = world.do(world.requests.open_ones({"name": "m", "version": 2}))
    with pytest.raises(NotFound, match="nobody asked for Staging"):
        world.do(world.requests.approve({**named, "stage": "Staging"}, Requester("bob", "bob")))
    with pytest.raises(NotFound, match="has no request"):
        world.do(world.requests.cancel({**named, "creator": "zoe"}, Requester("zoe", "zoe")))

    assert answer["activity"]["activity_type"] == "REJECTED_REQUEST"
    assert again["activity"]["status"] == "rejected"
    assert {world.shown(one).status for one in (asked, other)} == {RequestStatus.REJECTED}
    assert listed == {"requests": []}


def test_whoever_asked_for_the_same_as_somebody_else_decides_on_the_request_of_the_other(world) -> None:
    own = world.ask("m", "2", by="bob")
    other = world.ask("m", "2", by="ann")
    named = {"name": "m", "version": "2", "stage": "Production"}
    world.do(world.requests.approve(named, Requester("bob", "bob")))

    assert (world.shown(other).status, world.shown(own).status) == (
        RequestStatus.APPROVED,
        RequestStatus.CANCELLED,
    )


def test_a_repeated_decision_is_answered_with_who_decided(world) -> None:
    asked = world.ask("m", "2")
    world.decide("reject", asked, comment="too slow")
    again = world.decide("reject", asked, by="cid")

    assert (again["activity"]["user_id"], again["activity"]["comment"]) == ("bob", "too slow")


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ({"version": "9"}, NotFound, "has no version 9"),
        ({"name": "nobody"}, NotFound, "has no model 'nobody'"),
        ({"stage": "@champion"}, InvalidArgument, "give alias instead of stage"),
        ({"stage": "Produktion"}, InvalidArgument, "did you mean 'Production'"),
        ({"version": "1"}, InvalidArgument, "already"),
        ({"stage": None}, InvalidArgument, "stage: is missing"),
        ({"alias": "x"}, InvalidArgument, "goes without alias"),
        ({"comment": "x" * 65_536}, InvalidArgument, "at most 65535 characters"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_with_a_sentence(world, given, error, told) -> None:
    asked = {"name": "m", "version": "2", "stage": "Production", **given}
    with pytest.raises(error, match=told):
        world.ask(asked.pop("name"), asked.pop("version"), asked.pop("stage"), **asked)


def test_a_version_that_no_poll_has_seen_is_looked_for(world) -> None:
    world.registry.add("m", "4", 0.9)

    assert world.shown(world.ask("m", "4")).status is RequestStatus.PENDING


def test_there_is_a_limit_of_open_requests() -> None:
    world = GovernedWorld(max=1)
    for _ in _begun(world):
        world.ask("m", "2")
        with pytest.raises(LimitExceeded, match=r"governance\.max is 1"):
            world.ask("m", "3")


def test_what_was_overtaken_is_closed_by_the_poll_or_at_the_decision(world) -> None:
    moved, gone = world.ask("m", "2"), world.ask("m", "3")
    alias = world.ask("m", "2", None, alias="champion")
    world.registry.transition("m", "2", "Staging")
    world.registry.drop("m", "3")
    world.registry.set_alias("m", "champion", "1")
    world.polled()

    assert {world.shown(one).status for one in (moved, gone, alias)} == {RequestStatus.CANCELLED}
    assert "is in Staging now" in world.shown(moved).system_comment
    assert "was deleted" in world.shown(gone).system_comment
    assert "was moved" in world.shown(alias).system_comment


def test_a_request_expires(world) -> None:
    asked = world.ask("m", "2")
    world.clock.sleep(8 * 86_400)
    world.processed()

    assert world.shown(asked).status is RequestStatus.EXPIRED
    assert kinds(world)[-1] == "TRANSITION_REQUEST_EXPIRED"


def test_an_alias_is_asked_for_and_given(world) -> None:
    asked = world.ask("m", "2", None, alias="@champion")
    world.decide("approve", asked)
    world.processed()
    world.polled()

    assert dict(world.registry.models["m"].aliases) == {"champion": "2"}
    assert world.shown(asked).event_id


def test_a_gate_rejects_approves_or_waits(gated) -> None:
    bad, unknown = gated.ask("m", "2"), gated.ask("m", "3")
    gated.registry.transition("m", "1", "None")
    gated.polled()
    good = gated.ask("m", "1")
    gated.processed()
    gated.polled()

    assert gated.shown(bad).status is RequestStatus.REJECTED
    assert gated.shown(bad).decision_comment == "accuracy: below 0.9"
    assert gated.shown(unknown).status is RequestStatus.PENDING
    assert gated.shown(good).status is RequestStatus.APPLIED
    gated.registry.accuracy["m", "3"] = 0.99
    gated.clock.sleep(61)
    gated.processed()
    assert gated.shown(unknown).status is RequestStatus.APPLIED


def test_a_registry_that_does_not_answer_decides_nothing() -> None:
    world = GovernedWorld({**GATE, "on_inconclusive": "reject"})
    for _ in _begun(world):
        world.registry.is_unreadable = True
        bad, unknown = world.ask("m", "2"), world.ask("m", "3")
        world.processed()
        statuses = {world.shown(one).status for one in (bad, unknown)}
        reasons = world.shown(bad).verdicts[0].reasons
        world.registry.is_unreadable = False
        world.clock.sleep(61)
        world.processed()

        assert (statuses, reasons) == ({RequestStatus.PENDING}, ("nobody answers",))
        assert {world.shown(one).status for one in (bad, unknown)} == {RequestStatus.REJECTED}


def test_as_many_people_approve_as_the_gate_asks_for_and_it_is_judged_again() -> None:
    world = GovernedWorld({**GATE, "approvals": 2})
    for _ in _begun(world):
        world.registry.transition("m", "1", "None")
        world.polled()
        asked = world.ask("m", "1")
        world.processed()
        world.clock.sleep(1)
        world.decide("approve", asked, by="bob")
        world.decide("approve", asked, by="bob")
        world.processed()
        after_one = world.shown(asked).status
        world.registry.accuracy["m", "1"] = 0.1
        world.clock.sleep(1)
        world.decide("approve", asked, by="cid")
        world.processed()

        assert after_one is RequestStatus.PENDING
        assert world.shown(asked).status is RequestStatus.REJECTED
        assert [one.by for one in world.shown(asked).approvals] == ["bob", "cid"]


def test_a_gate_that_only_audits_tells_and_decides_nothing() -> None:
    world = GovernedWorld({**GATE, "mode": "audit"})
    for _ in _begun(world):
        asked = world.ask("m", "2")
        world.processed()
        world.clock.sleep(120)
        world.processed()
        failures = [event for event in world.told() if event.type is G.GATE_FAILED]
        world.decide("approve", asked)
        world.processed()

        assert len(failures) == 1
        assert failures[0].changed["reasons"] == "accuracy: below 0.9"
        assert world.stage("m", "2") == "Production"


@pytest.mark.parametrize("fault", ["lost", "down"])
def test_an_answer_that_is_lost_makes_nothing_twice(world, fault) -> None:
    asked = world.ask("m", "2")
    world.decide("approve", asked)
    world.registry.fault = fault
    world.processed()
    waiting = world.shown(asked)
    world.polled()
    world.clock.sleep(5)
    world.processed()
    world.polled()

    assert (waiting.status, waiting.application.attempts) == (RequestStatus.APPROVED, 1)
    assert world.shown(asked).status is RequestStatus.APPLIED
    assert len(world.registry.made) == 1
    assert world.shown(asked).event_id


def test_what_changed_after_a_lost_answer_is_left_alone(world) -> None:
    asked = world.ask("m", "2")
    world.decide("approve", asked)
    world.registry.fault = "lost"
    world.processed()
    world.registry.transition("m", "2", "None")
    world.clock.sleep(5)
    world.processed()

    assert world.shown(asked).status is RequestStatus.FAILED
    assert "cannot be told" in world.shown(asked).system_comment


def test_a_transition_that_is_never_answered_is_given_up(world) -> None:
    asked = world.ask("m", "2")
    world.decide("approve", asked)
    world.registry.is_unreadable = True
    world.processed()
    world.clock.sleep(4 * 86_400)
    world.processed()

    assert world.shown(asked).status is RequestStatus.FAILED
    assert "given up: nobody answers" in world.shown(asked).system_comment


def test_before_the_baseline_nothing_can_be_asked_for() -> None:
    world = GovernedWorld()
    with pytest.raises(BridgeError), suppress(NotFound):
        world.do(world.ledger.add(request(), "ann"))
    world.close()


MOVEMENT = Movement("m", "1", 5, Target("Production"), "Staging")


@pytest.mark.parametrize(
    ("movement", "found", "move"),
    [
        (MOVEMENT, None, Move.REFUSE),
        (MOVEMENT, Standing(6, 9, "Staging"), Move.REFUSE),
        (MOVEMENT, Standing(5, 9, "Production"), Move.DONE),
        (MOVEMENT, Standing(5, 9, "None"), Move.REFUSE),
        (MOVEMENT, Standing(5, 9, "Staging"), Move.MAKE),
        (Movement("m", "", 0, Target(alias="a"), "1"), Standing(0, 0, "None", "1"), Move.MAKE),
        (Movement("m", "", 0, Target(alias="a"), "1"), Standing(0, 0, "None"), Move.DONE),
        (Movement("m", "2", 0, Target(alias="a"), "1"), Standing(0, 0, "None", "3"), Move.REFUSE),
        (
            Movement("m", "1", 5, Target("Production"), "Staging", Application(updated=8)),
            Standing(5, 9, "Staging"),
            Move.REFUSE,
        ),
    ],
)
def test_it_is_looked_before_anything_is_made(movement, found, move) -> None:
    assert next_move(movement, found)[0] is move


def test_a_clock_that_was_wrong_neither_hastens_nor_stalls_a_request() -> None:
    asked = request(created_at=10_000_000, expires_at=10_600_000)

    assert next_step(asked, (), 10_000_000).wait_ms == 600_000
    assert next_step(asked, (), 1).wait_ms == 600_000
    assert next_step(asked, (), 99_000_000).step is Step.EXPIRE


def test_when_the_gate_that_waited_for_more_approvals_is_gone_one_is_enough() -> None:
    waiting = request(approvals=(Approval("bob", 4, "fine"),))

    assert next_step(waiting, (), 5).step is Step.JUDGE
    assert judged(waiting, (), (), 6).status is RequestStatus.APPROVED
    assert approved(waiting, "bob", "", 6, gates=(), self_approval=False).status is RequestStatus.APPROVED


def test_where_the_bridge_may_only_read_that_is_told_once_if_a_gate_decides(gated, capsys) -> None:
    gated.registry.is_writable = False
    gated.start()
    gated.processed()
    audit = GovernedWorld({**GATE, "mode": "audit"})
    audit.registry.is_writable = False
    for _ in _begun(audit):
        audit.start()
        audit.processed()
    told = capsys.readouterr().out

    assert told.count("registry.read_only") == 1
    assert "may not change this model" in told
