"""What a state can tell of the past, and how far back."""

from dataclasses import replace

import pytest
from support.done import done
from support.values import commit, model, transition

from bridge.store.document_state import DocumentState
from bridge.store.memory_store import MemoryDocuments
from bridge.store.recorded_history import Held, holds_in, reach_of, recorded_in
from bridge.store.state_metadata import Note


@pytest.fixture
def state() -> DocumentState:
    return DocumentState(MemoryDocuments())


def noted(*notes: Note, **fields):
    return replace(commit(**fields), notes=notes)


def test_a_new_state_knows_nothing_of_the_past(state) -> None:
    assert reach_of(state) is None


def test_it_reaches_back_to_the_baseline(state) -> None:
    done(state.commit_poll(commit(at=7_000, baseline_at=5_000)))

    reach = reach_of(state)

    assert (reach.since, reach.until, "baseline" in reach.why) == (5_000, 7_000, True)


def test_it_reaches_back_to_what_is_still_kept(state) -> None:
    done(state.commit_poll(commit(*(transition(n, observed_at=n * 1_000) for n in range(1, 9)), sinks=())))
    done(state.prune(delivered_before=6_000, dead_before=0, now_ms=9_000))
    reach = reach_of(state)
    done(state.prune(delivered_before=4_000, dead_before=0, now_ms=9_500))

    assert (reach.since, "no longer kept" in reach.why) == (6_000, True)
    assert [event.observed_at for event in state.events()] == [6_000, 7_000, 8_000]
    assert reach_of(state).since == 6_000, "what was forgotten does not come back"


def test_it_reaches_back_to_a_rebaseline(state) -> None:
    done(state.commit_poll(noted(Note(8_000, "rebaselined"), Note(9_000, "appeared", "m"))))

    assert reach_of(state).since == 8_000


def test_a_state_pruned_by_an_earlier_version_reaches_back_to_then_alone(state) -> None:
    done(state.commit_poll(commit()))
    state._documents.write({"meta": {"pruned": {"at": 9_000}}})

    assert reach_of(state).since == 9_000


def test_what_came_into_view_is_recorded_as_far_as_it_reaches(state) -> None:
    notes = [Note(3_000, "appeared", "old"), Note(6_000, "appeared", "m"), Note(7_000, "surfaced", "m", "2")]
    done(
        state.commit_poll(noted(*notes, Note(8_000, "missed", "m", "1"), models=[model()], baseline_at=5_000))
    )

    found = recorded_in(state, reach_of(state))

    assert [(one.at, one.model, one.version) for one in found.late] == [(6_000, "m", ""), (7_000, "m", "2")]
    assert (list(found.models), found.identities["m"].lane, found.since) == (["m"], "m", 5_000)


def test_events_come_in_the_order_in_which_they_were_observed(state) -> None:
    done(state.commit_poll(commit(transition(2, observed_at=9), transition(1, observed_at=9))))
    done(state.commit_poll(commit(transition(3, observed_at=5), revision=1)))  # the clock was set back

    assert [event.id for event in state.events()] == ["event-2", "event-1", "event-3"]


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ([], []),
        (["held"], [Held(0, None)]),
        (["held", "held", "accepted"], [Held(0, 2)]),
        (["missed", "held", "lifted", "lifted", "held"], [Held(1, 2), Held(4, None)]),
    ],
)
def test_a_hold_lasts_until_it_is_accepted_or_lifted(kinds, expected) -> None:
    assert holds_in(Note(at, kind) for at, kind in enumerate(kinds)) == expected
