"""Operations in the midst of scans, commits, settles and rebinds: nothing that was acknowledged is overwritten."""

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from support.done import done
from support.interleaved_bridge import SINKS, Interleaved
from support.values import commit, model, transition

from bridge.delivery.attempt_outcome import Reason, delivered, rejected
from bridge.delivery.outbox_entry import Status
from bridge.errors import StateChanged

STAGES = ["Staging", "Production", "Archived"]
OUTCOMES = [delivered(204), rejected(Reason.REFUSED, "HTTP 400", 400)]


@pytest.fixture
def bridge():
    bridge = Interleaved()
    yield bridge
    bridge.close()


def test_what_is_replayed_during_a_scan_keeps_its_number_and_is_sent(bridge) -> None:
    """The scan's commit gave its own entry the same number: one was lost, and the other counted as delivered."""
    bridge.promote("a", "Production")
    bridge.begin_poll()
    bridge.end_poll()
    bridge.promote("b", "Production")
    bridge.begin_poll()
    bridge.replay(bridge.entries[1][0], "ci")
    bridge.end_poll()

    bridge.check()
    assert len(bridge.entries) == 5


def test_what_is_noted_during_a_scan_is_in_the_audit_trail_after_it(bridge) -> None:
    bridge.begin_poll()
    bridge.pause("ci")
    bridge.resume("ci")
    bridge.end_poll()

    bridge.check()


def test_what_is_replayed_while_the_registry_is_asked_about_a_rebind_keeps_its_number(bridge) -> None:
    bridge.promote("a", "Production")
    bridge.begin_poll()
    bridge.end_poll()
    head = bridge.state.head
    bridge.replay(bridge.entries[1][0], "ci")
    bridge.write_head(head)
    bridge.replay(bridge.entries[1][0], "deploy")

    bridge.check()
    assert bridge.state.head.uri == "http://registry+"


def test_a_poll_that_began_from_another_state_commits_nothing(state) -> None:
    done(state.commit_poll(commit(models=[model()])))
    done(state.commit_poll(commit(transition(1), revision=1)))
    before = (state.head, dict(state.known()))

    with pytest.raises(StateChanged, match="revision 1, now 2"):
        done(state.commit_poll(commit(transition(2), removed=["m"], revision=1)))

    assert before == (state.head, dict(state.known()))
    assert [one.event_id for one in state.entries()] == ["event-1"]


def test_facts_made_from_others_are_not_written(state) -> None:
    done(state.commit_poll(commit(models=[model()])))
    stale = state.head
    done(state.write_head(replace(stale, uri="http://moved")))

    with pytest.raises(StateChanged):
        done(state.write_head(replace(stale, uri="http://elsewhere")))

    assert state.head.uri == "http://moved"


def test_a_poll_that_finds_nothing_leaves_the_revision_as_it_is(state) -> None:
    done(state.commit_poll(commit(models=[model()])))
    done(state.commit_poll(commit(at=3_000, revision=1)))

    assert (state.head.revision, state.last_poll.attempted_at) == (1, 3_000)


@pytest.mark.parametrize("change", [{"event_id": "another"}, {"sink": "another"}, {"id": 99}])
def test_what_became_of_an_attempt_is_not_noted_of_another_entry(state, change) -> None:
    (entry,) = done(state.commit_poll(commit(transition())))

    with pytest.raises(StateChanged, match=r"entry \d+ is no longer in the outbox"):
        done(state.settle([replace(entry, status=Status.DELIVERED, attempts=1, **change)]))

    assert state.pending() == [entry]


def test_details_found_by_two_that_ask_at_once_are_kept_together(state) -> None:
    done(state.commit_poll(commit(transition())))
    done(state.keep_details("event-1", {"run": {"id": "r"}}))

    told = done(state.keep_details("event-1", {"model": None, "missing": {"model": "gone"}}))

    assert told == state.details("event-1")
    assert told == {"run": {"id": "r"}, "model": None, "missing": {"model": "gone"}}


def test_nothing_is_kept_of_an_event_that_was_pruned_while_the_registry_was_asked(state) -> None:
    done(state.commit_poll(commit(transition(), sinks=())))
    done(state.prune(9_000, 9_000, 9_000))

    assert done(state.keep_details("event-1", {"run": None})) == {"run": None}
    assert state.details("event-1") == {}


class Interleaving(RuleBasedStateMachine):
    """Whatever an operator may do, wherever a scan, an attempt or a rebind stands."""

    waits = False

    def __init__(self) -> None:
        super().__init__()
        self.bridge = Interleaved(waits=self.waits)
        self.read = None

    def pick(self, number: int) -> int | None:
        known = sorted(self.bridge.entries)
        return known[number % len(known)] if known else None

    def webhook(self, number: int) -> str:
        known = [one.id for one in self.bridge.state.webhooks()]
        return known[number % len(known)]

    @rule(name=st.sampled_from(["a", "b"]), stage=st.sampled_from(STAGES))
    def promote(self, name, stage) -> None:
        self.bridge.promote(name, stage)

    @precondition(lambda self: self.bridge.polling is None and self.read is None)
    @rule()
    def begin_poll(self) -> None:
        self.bridge.begin_poll()

    @precondition(lambda self: self.bridge.polling is not None)
    @rule()
    def end_poll(self) -> None:
        self.bridge.end_poll()

    @precondition(lambda self: self.bridge.polling is None and self.read is None)
    @rule()
    def begin_rebind(self) -> None:
        self.read = self.bridge.state.head

    @precondition(lambda self: self.read is not None)
    @rule()
    def end_rebind(self) -> None:
        self.bridge.write_head(self.read)
        self.read = None

    @precondition(lambda self: self.bridge.entries)
    @rule(number=st.integers(0, 9), sink=st.sampled_from(SINKS))
    def replay(self, number, sink) -> None:
        event_id, _ = self.bridge.entries[self.pick(number)]
        self.bridge.replay(event_id, sink)

    @precondition(lambda self: self.bridge.entries)
    @rule(number=st.integers(0, 9))
    def redrive(self, number) -> None:
        _, sink = self.bridge.entries[self.pick(number)]
        if not self.bridge.is_deleted(sink):
            self.bridge.redrive(self.pick(number))

    @rule(model_name=st.sampled_from([None, "a"]))
    def create_webhook(self, model_name) -> None:
        self.bridge.create_webhook(model_name)

    @precondition(lambda self: self.bridge.state.webhooks())
    @rule(number=st.integers(0, 3), status=st.sampled_from(["ACTIVE", "DISABLED"]))
    def switch_webhook(self, number, status) -> None:
        self.bridge.switch_webhook(self.webhook(number), status)

    @precondition(lambda self: self.bridge.state.webhooks())
    @rule(number=st.integers(0, 3))
    def pause_webhook(self, number) -> None:
        self.bridge.pause(self.webhook(number))

    @precondition(lambda self: self.bridge.state.webhooks())
    @rule(number=st.integers(0, 3))
    def delete_webhook(self, number) -> None:
        self.bridge.delete_webhook(self.webhook(number))

    @precondition(lambda self: self.bridge.entries)
    @rule(number=st.integers(0, 9))
    def drop(self, number) -> None:
        self.bridge.drop(self.pick(number))

    @rule(sink=st.sampled_from(SINKS))
    def pause(self, sink) -> None:
        self.bridge.pause(sink)

    @rule(sink=st.sampled_from(SINKS))
    def resume(self, sink) -> None:
        self.bridge.resume(sink)

    @precondition(lambda self: any(sink.waiting for sink in self.bridge.sinks.values()))
    @rule(first=st.booleans(), outcome=st.sampled_from(OUTCOMES))
    def answer(self, first, outcome) -> None:
        names = list(self.bridge.sinks) if first else list(self.bridge.sinks)[::-1]
        self.bridge.answer(next(name for name in names if self.bridge.sinks[name].waiting), outcome)

    @precondition(lambda self: self.bridge.entries)
    @rule(number=st.integers(0, 9), part=st.sampled_from(["run", "version"]))
    def tell(self, number, part) -> None:
        self.bridge.tell(self.bridge.entries[self.pick(number)][0], part)

    @invariant()
    def nothing_is_overwritten(self) -> None:
        self.bridge.check()

    def teardown(self) -> None:
        self.bridge.close()


Interleaving.TestCase.settings = settings(
    max_examples=settings.default.max_examples // 5, stateful_step_count=30
)
TestInterleaving = Interleaving.TestCase


class WaitingInterleaving(Interleaving):
    """The same over a state whose calls wait, so that whatever else is to be done runs between them."""

    waits = True


WaitingInterleaving.TestCase.settings = Interleaving.TestCase.settings
TestWaitingInterleaving = WaitingInterleaving.TestCase
