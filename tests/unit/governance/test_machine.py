"""Requests, decisions and direct transitions in any order, with kills at any commit and answers that get lost."""

from contextlib import suppress

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.governed_world import CHECK, GovernedWorld, Killed

from bridge.diff.registry_changes import ChangeKind
from bridge.errors import BridgeError
from bridge.governance.transition_request import RequestStatus

MODELS = ("a", "b")
VERSIONS = ("1", "2", "3", "4")
GOOD = {"1": 0.95, "2": 0.85, "3": 0.97, "4": None}
"""The accuracy of each version; only 1 and 3 may be in Production."""

names, versions = st.sampled_from(MODELS), st.sampled_from(VERSIONS)
stages = st.sampled_from(("Production", "Production", "Staging", "None", "Archived"))
people = st.sampled_from(("ann", "bob", "cid"))


class GovernanceMachine(RuleBasedStateMachine):
    """An enforcing gate before Production; everything else is decided by people."""

    def __init__(self) -> None:
        super().__init__()
        gate = {"mode": "enforce", "checks": [CHECK], "on_inconclusive": "reject"}
        self.world = GovernedWorld(gate, most_reverts=1_000, tags=True)
        self.asked: list[str] = []
        self.rejected: set[str] = set()

    def teardown(self) -> None:
        self.world.close()

    @initialize()
    def begin(self) -> None:
        for name in MODELS:
            for version in VERSIONS:
                self.world.registry.add(
                    name, version, GOOD[version], "Production" if version == "1" else "None"
                )
        self.world.polled()

    def _survive(self, call) -> None:
        """Do something in a process that may be killed meanwhile, and is started again then."""
        try:
            with suppress(BridgeError):
                call()
        except Killed:
            self.world.start()

    @rule(left=st.integers(1, 4), late=st.booleans())
    def be_killed_soon(self, left, late) -> None:
        self.world.documents.commits_left, self.world.documents.is_late = left, late

    @rule(fault=st.sampled_from(("lost", "down")))
    def lose_an_answer(self, fault) -> None:
        self.world.registry.fault = fault

    @rule(is_unreadable=st.booleans())
    def go_down_or_up(self, is_unreadable) -> None:
        self.world.registry.is_unreadable = is_unreadable

    @rule(name=names, version=versions, stage=stages, by=people, archives=st.booleans())
    def ask(self, name, version, stage, by, archives) -> None:
        def call() -> None:
            self.asked.append(self.world.ask(name, version, stage, by, archive_existing_versions=archives))

        self._survive(call)

    @precondition(lambda self: self.asked)
    @rule(
        number=st.integers(0, 30), verb=st.sampled_from(("approve", "approve", "reject", "cancel")), by=people
    )
    def decide(self, number, verb, by) -> None:
        wanted = self.asked[-1 - number % len(self.asked)]
        self._survive(lambda: self.world.decide(verb, wanted, by))
        found = self.world.shown(wanted)
        if found is not None and found.status in {RequestStatus.REJECTED, RequestStatus.CANCELLED}:
            self.rejected.add(wanted)

    @rule(name=names, version=versions, stage=stages, archives=st.booleans())
    def move_directly(self, name, version, stage, archives) -> None:
        if version in self.world.registry.models[name].versions:
            takes = archives and stage in {"Production", "Staging"}
            self.world.registry.transition(name, version, stage, archives=takes)

    @rule(name=names, version=st.sampled_from(("3", "4")))
    def delete(self, name, version) -> None:
        if version in self.world.registry.models[name].versions:
            self.world.registry.drop(name, version)

    @rule()
    def poll(self) -> None:
        self._survive(self.world.polled)

    @rule()
    def process(self) -> None:
        self._survive(self.world.processed)

    @rule(seconds=st.sampled_from((1, 90, 4_000, 8 * 86_400)))
    def wait(self, seconds) -> None:
        self.world.clock.sleep(seconds)

    @rule()
    def settle(self) -> None:
        """Once everything has come to rest, the registry is as the decisions say."""
        self.world.documents.commits_left = None
        self.world.settle()
        state, registry = self.world.state, self.world.registry
        assert not [one for one in state.requests() if one.status is RequestStatus.APPROVED]
        assert self.world.do(state.load_direct()) == []
        assert not [entry for entry in state.entries() if entry.waits_for]
        for name in MODELS:
            for version, one in registry.models[name].versions.items():
                assert one.stage != "Production" or (GOOD[version] or 0) >= 0.9, (name, version)
                assert state.known().get(name).versions[version].stage == one.stage

    @invariant()
    def no_sink_hears_of_a_refused_promotion(self) -> None:
        for event in self.world.told():
            if event.type is ChangeKind.TRANSITIONED and event.changed["to_stage"] == "Production":
                assert (GOOD[event.model_version] or 0) >= 0.9, event

    @invariant()
    def nothing_is_made_without_its_grant_and_no_grant_is_used_twice(self) -> None:
        requests = list(self.world.state.requests())
        used = [one.event_id for one in requests if one.event_id]
        assert len(used) == len(set(used))
        for one in requests:
            if one.id in self.rejected:
                assert one.status in {RequestStatus.REJECTED, RequestStatus.CANCELLED}, one
                assert one.application.attempts == 0, one

    @invariant()
    def what_the_bridge_makes_was_approved_or_undoes_something(self) -> None:
        granted = {
            (one.model_name, one.version, one.target.stage)
            for one in self.world.state.requests()
            if one.application.attempts
        }
        undone = {
            (step.model_name, step.version, step.target.stage)
            for name in MODELS
            for one in self.world.do(self.world.state.load_direct(name))
            for step in one.undoing
        }
        made = {(one.model_name, one.version, one.target.stage) for one in self.world.registry.made}
        assert made <= granted | undone


GovernanceMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestGovernance = GovernanceMachine.TestCase
