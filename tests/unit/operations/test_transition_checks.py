"""What is let through before MLflow makes it."""

from dataclasses import replace

import pytest
from support.clock import HandClock
from support.done import done
from support.hooks import settings_of
from support.values import commit, model, request

from bridge.errors import InvalidArgument, StateUnwritable
from bridge.governance.direct_transition import DirectStatus, DirectTransition
from bridge.governance.movement import Application, Movement
from bridge.governance.transition_request import RequestStatus
from bridge.governance.transition_target import Target
from bridge.operations.request_execution import Requester
from bridge.operations.transition_checks import CheckArguments, TransitionChecks
from bridge.store.base import GovernanceCommit
from bridge.store.document_state import DocumentState
from bridge.store.memory_store import MemoryDocuments

ANN = Requester("ann (token mlflow)", "ann")
CHECK = {"name": "accuracy", "require": "run.metrics.accuracy >= `0.9`", "message": "below 0.9"}
GATE = {
    "name": "quality",
    "mode": "enforce",
    "models": ["m*"],
    "to_stages": ["Production"],
    "aliases": ["champ.*"],
    "checks": [CHECK],
}


@pytest.fixture
def state() -> DocumentState:
    state = DocumentState(MemoryDocuments())
    done(state.commit_poll(commit(models=[model()])))
    return state


def checks(state, *gates, **registry) -> TransitionChecks:
    settings = settings_of(
        gates=gates or [GATE], registry={"tracking_uri": "http://registry", **registry}, webhooks=None
    )
    return TransitionChecks(state, settings, HandClock())


async def ask(found: TransitionChecks, accuracy=None, **given):
    given = {"name": "m", "version": "1", **given}
    if "alias" not in given:
        given.setdefault("stage", "Production")
    run = None if accuracy is None else {"metrics": {"accuracy": accuracy}}
    facts = {"run": run, "gaps": [] if run else ["version 1 has no run"]}
    answer = await found.check(CheckArguments.model_validate({**given, "facts": facts}), ANN)
    return answer["allowed"], answer["reasons"]


async def test_what_passes_is_let_through_and_what_fails_or_cannot_be_told_is_not(state) -> None:
    found = checks(state)
    assert await ask(found, 0.95) == (True, [])
    assert await ask(found, 0.8) == (False, ["gate quality: accuracy: below 0.9"])
    assert await ask(found) == (
        False,
        ["gate quality: accuracy: run.metrics.accuracy is missing", "gate quality: version 1 has no run"],
    )
    assert await ask(found, float("nan")) == (
        False,
        [
            "gate quality: accuracy: run.metrics.accuracy is missing",
            "gate quality: run.metrics.accuracy is nan",
        ],
    )


async def test_only_what_an_enforcing_gate_guards_is_judged(state) -> None:
    found = checks(state, GATE, {**GATE, "name": "told", "mode": "audit", "to_stages": ["Staging"]})
    assert await ask(found, 0.1, stage="Staging") == (True, [])
    assert await ask(found, 0.1, alias="other") == (True, [])
    assert await ask(found, 0.1, name="free") == (True, [])
    assert (await ask(found, 0.1, alias="champion"))[0] is False
    assert (await ask(found, 0.1, stage="production"))[0] is False
    assert found.guards(None)["guards"] == [
        {"gate": "quality", "models": ["m*"], "to_stages": ["Production"], "aliases": ["champ.*"]}
    ]


async def test_where_people_have_to_approve_nobody_goes_past_them(state) -> None:
    allowed, (reason,) = await ask(checks(state, {**GATE, "approvals": 1}), 0.95)
    assert allowed is False
    assert "make a request" in reason


async def test_an_approved_request_is_let_through_until_it_was_used_up(state) -> None:
    found = checks(state)
    approved = request(target=Target("Production"), status=RequestStatus.APPROVED)
    for one, allowed in (
        (approved, True),
        (replace(approved, status=RequestStatus.PENDING), False),
        (replace(approved, target=Target("Staging")), False),
        (replace(approved, status=RequestStatus.APPLIED), False),
    ):
        await state.commit_governance(GovernanceCommit(3_000, requests=[one]))
        assert (await ask(found, 0.1))[0] is allowed, one.status
        assert (await ask(found, 0.1, version="2"))[0] is False


async def test_an_approval_is_not_for_another_version_of_the_same_number(state) -> None:
    one = request(target=Target("Production"), status=RequestStatus.APPROVED)
    await state.commit_governance(GovernanceCommit(3_000, requests=[one]))
    found = checks(state)
    for created, allowed in ((one.version_created, True), (one.version_created + 1, False)):
        given = {
            "name": "m",
            "version": "1",
            "stage": "Production",
            "facts": {"version": {"created": created}},
        }
        assert (await found.check(CheckArguments.model_validate(given), ANN))["allowed"] is allowed


async def test_what_undoes_a_refused_transition_is_let_through_once(state) -> None:
    back = Movement("m", "2", 102, Target("Production"), "Archived", Application(updated=1))
    direct = DirectTransition(
        id="dt_1",
        model_name="m",
        version="3",
        lane="m",
        version_created=103,
        target=Target("Production"),
        before="None",
        changed_at=1,
        observed_at=2,
        status=DirectStatus.REVERTING,
        undoing=(back,),
    )
    await state.commit_governance(GovernanceCommit(3_000, direct=[direct]))
    found = checks(state)
    assert (await ask(found, 0.1, version="2"))[0] is True
    assert (await ask(found, 0.1, version="3"))[0] is False
    made = replace(back, application=replace(back.application, made=5))
    await state.commit_governance(GovernanceCommit(3_000, direct=[replace(direct, undoing=(made,))]))
    assert (await ask(found, 0.1, version="2"))[0] is False


async def test_a_refusal_is_in_the_trail_with_who_was_refused(state) -> None:
    found = checks(state)
    for accuracy in (0.1, 0.99, 0.1):  # the same is noted once a minute
        await ask(found, accuracy)
    (note,) = [one for _, one in state.notes_before(None) if one.kind == "transition_refused"]
    assert (note.model, note.version, note.by) == ("m", "1", "ann (token mlflow)")
    assert note.detail == "Production, before it was made: gate quality: accuracy: below 0.9"


async def test_it_is_refused_also_if_that_cannot_be_recorded(state, monkeypatch) -> None:
    async def full(_commit):
        raise StateUnwritable("the disk is full")

    monkeypatch.setattr(state, "commit_governance", full)
    assert (await ask(checks(state), 0.1))[0] is False


@pytest.mark.parametrize(
    ("polled", "of_server", "governed"),
    [(None, None, True), (None, "default", True), (None, "a", False), ("a", "a", True), ("a", "b", False)],
)
async def test_only_the_workspace_that_the_bridge_polls_is_governed(
    state, polled, of_server, governed
) -> None:
    found = checks(state, **({"workspace": polled} if polled else {}))
    assert (await ask(found, 0.1, workspace=of_server))[0] is not governed
    assert found.guards(of_server)["is_polled"] is bool(found.guards(of_server)["guards"]) is governed


async def test_a_transition_to_nothing_cannot_be_checked(state) -> None:
    with pytest.raises(InvalidArgument, match="stage: is missing"):
        await checks(state).check(CheckArguments(name="m", version="1"), ANN)
