"""The contract of the store, over every kind of documents."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.done import done
from support.shared_state import SharedState, state_settings
from support.strategies import snapshots
from support.values import commit, entry, head, model, onto, transition

from bridge.delivery.outbox_entry import Status
from bridge.delivery.webhook import Webhook
from bridge.diff.snapshot_packing import count_versions, pack_model, unpack_model
from bridge.errors import InvalidState
from bridge.events.event_synthesis import Identity
from bridge.store.cancellation import finish
from bridge.store.document_state import DocumentState
from bridge.store.memory_store import MemoryDocuments
from bridge.store.sink_summaries import SinkSummaries
from bridge.store.state_metadata import Note, PollRecord
from bridge.store.tinydb_store import TinyDocuments


class Kept:
    """A state that can be closed and opened again."""

    def __init__(self, kind: str, folder, cluster) -> None:
        self.kind, self.folder, self.memory = kind, folder, MemoryDocuments()
        self.shared = (
            SharedState(state_settings(cluster().state_url("states"))) if kind == "postgresql" else None
        )
        self.state = self._open()

    def _open(self) -> DocumentState:
        if self.shared is not None:
            return self.shared.open()
        return DocumentState(self.memory if self.kind == "memory" else TinyDocuments.open(self.folder))

    def done(self, call):
        return done(call) if self.shared is None else self.shared.done(call)

    def run(self, call):
        """Return the result of a call that lets the event loop go on."""
        return asyncio.run(call) if self.shared is None else self.shared.done(call)

    def reopen(self) -> DocumentState:
        self.state.close()
        if self.shared is not None:
            self.shared.leave()
        self.state = self._open()
        return self.state

    def close(self) -> None:
        self.state.close()
        if self.shared is not None:
            self.shared.close()


@pytest.fixture(params=["memory", "tinydb", "postgresql"])
def kept(request, tmp_path):
    kept = Kept(request.param, tmp_path / "state", lambda: request.getfixturevalue("cluster"))
    yield kept
    kept.close()


def test_a_new_state_knows_nothing(kept) -> None:
    state = kept.state

    assert (state.head, state.last_poll, dict(state.known()), state.pending()) == (None, None, {}, [])


def test_notes_of_webhooks_before_the_baseline_stay_and_later_ones_come_after_them(kept) -> None:
    webhook = Webhook("0" * 32, ("MODEL_VERSION_CREATED",), "https://ci.example.com/")
    noted = [Note(at, f"kind {at}", "") for at in range(5)]
    kept.done(kept.state.keep_webhooks([webhook], noted[:1]))
    kept.done(kept.reopen().delete_webhook(webhook.id, noted[1:2]))
    kept.done(kept.reopen().commit_poll(replace(commit(models=[model()]), notes=noted[2:4])))
    kept.done(kept.reopen().keep_webhooks([webhook], noted[4:]))
    state = kept.reopen()

    assert list(state.notes()) == noted
    assert [number for number, _ in state.notes_before(None)] == ["5", "4", "3", "2", "1"]
    assert state.head.noted == 5


def test_a_poll_is_committed_as_one_and_outlives_the_process(kept) -> None:
    event = transition()
    (made,) = kept.done(kept.state.commit_poll(commit(event, models=[model()])))

    state = kept.reopen()

    assert {"m": model()} == dict(state.known())
    assert [made] == state.pending()
    assert event == state.event(made.event_id)
    assert Identity("m", 0) == state.identities().by_name["m"]
    assert (head(sequence=1, revision=1), "ok") == (state.head, state.last_poll.outcome)


def test_entry_ids_rise_over_polls_and_restarts(kept) -> None:
    kept.done(kept.state.commit_poll(commit(transition(1), sinks=("a", "b"))))
    state = kept.reopen()
    kept.done(state.commit_poll(commit(transition(2), revision=1)))

    assert [(one.id, one.sink) for one in state.pending()] == [(1, "a"), (2, "b"), (3, "ci")]


def test_a_rename_replaces_a_model_and_a_swap_keeps_both(kept) -> None:
    kept.done(kept.state.commit_poll(commit(models=[model("a"), model("b", versions=2)])))
    kept.done(
        kept.state.commit_poll(
            commit(models=[model("b"), model("a", versions=2)], removed=["a", "b"], revision=1)
        )
    )

    assert {"a": model("a", versions=2), "b": model("b")} == dict(kept.state.known())


def test_a_removed_model_is_not_known_any_more(kept) -> None:
    kept.done(kept.state.commit_poll(commit(models=[model("a"), model("b")])))
    kept.done(kept.state.commit_poll(commit(removed=["a"], revision=1)))

    known = kept.reopen().known()

    assert (list(known), len(known), "a" in known) == (["b"], 1, False)


def test_settled_entries_are_no_longer_pending(kept) -> None:
    entries = kept.done(kept.state.commit_poll(commit(transition(1), transition(2))))
    kept.done(kept.state.settle([replace(entries[0], status=Status.DELIVERED, last_attempt_at=5)]))

    assert [entries[1]] == kept.reopen().pending()


def test_a_failed_poll_is_recorded_without_touching_anything_else(kept) -> None:
    kept.done(kept.state.commit_poll(commit(models=[model()])))
    kept.done(kept.state.record_poll(PollRecord(9, "failed", error="gone")))

    state = kept.reopen()

    assert (state.last_poll.outcome, state.last_poll.error, len(state.known())) == ("failed", "gone", 1)


def test_history_is_pruned_but_never_what_waits_or_died_lately(kept) -> None:
    entries = kept.done(kept.state.commit_poll(commit(*(transition(n) for n in range(1, 5)))))
    fates = [
        replace(entries[0], status=Status.DELIVERED, last_attempt_at=10),
        replace(entries[1], status=Status.DEAD, last_attempt_at=10),
        replace(entries[2], status=Status.DELIVERED, last_attempt_at=9_000),
    ]
    kept.done(kept.state.settle(fates))

    kept.done(kept.state.prune(delivered_before=5_000, dead_before=5, now_ms=9_999))

    state = kept.reopen()
    assert sorted(one.id for one in state.entries()) == [2, 3, 4]
    assert [state.event(f"event-{n}") and True for n in range(1, 5)] == [None, True, True, True]
    assert kept.done(state.load_upkeep()).pruned_at == 9_999


def test_pruning_forgets_dead_letters_when_their_time_has_come(kept) -> None:
    (made,) = kept.done(kept.state.commit_poll(commit(transition())))
    kept.done(kept.state.settle([replace(made, status=Status.DEAD, last_attempt_at=10)]))

    assert kept.done(kept.state.prune(5_000, 5_000, 9_999)) == 2
    assert list(kept.state.entries()) == []


def test_counting_needs_no_unpacking_of_other_members(kept) -> None:
    kept.done(kept.state.commit_poll(commit(models=[model("a", versions=3), model("b", versions=0)])))

    assert kept.state.count_models() == (2, 3)


def test_versions_are_counted_whatever_their_tags_hold(kept) -> None:
    tags = (("k", "],[\ud800"),)
    versions = {number: replace(one, tags=tags) for number, one in model("a", versions=3).versions.items()}
    kept.done(kept.state.commit_poll(commit(models=[replace(model("a"), versions=versions)])))

    assert kept.reopen().count_models() == (1, 3)


@given(snapshots())
def test_a_model_survives_its_document(snapshot) -> None:
    for name, one in snapshot.items():
        document = pack_model(one)
        assert one == unpack_model(name, document)
        assert len(one.versions) == count_versions(document)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@pytest.mark.parametrize("kind", ["tinydb", "postgresql"])
@given(history=st.lists(snapshots(), max_size=5), reopen=st.booleans())
def test_whatever_is_committed_is_known_afterwards(tmp_path_factory, request, kind, history, reopen) -> None:
    kept = Kept(kind, tmp_path_factory.mktemp("state"), lambda: request.getfixturevalue("cluster"))
    before = {}
    for after in history:
        made = commit(removed=list(before), models=list(after.values()))
        kept.done(kept.state.commit_poll(onto(kept.state, made)))
        before = after
        if reopen:
            kept.reopen()
    assert before == dict(kept.reopen().known())
    kept.close()


@pytest.mark.parametrize("name", ["a\x00b", "lone \ud800", "\U0001f600" * 256, "quote' \" \\ {schema}", "%s"])
def test_every_name_that_a_registry_may_have_is_kept(kept, name) -> None:
    kept.done(kept.state.commit_poll(commit(models=[model(name)])))
    assert list(kept.reopen().known()) == [name]

    kept.done(kept.state.commit_poll(onto(kept.state, commit(removed=[name]))))
    assert list(kept.reopen().known()) == []


def test_after_a_restore_all_numbers_go_on_above_those_of_any_earlier_life(kept) -> None:
    kept.done(kept.state.commit_poll(commit(transition(1), models=[model()])))
    kept.done(kept.state.lift_numbers(1_800_000_000_000, Note(5, "restored")))
    state = kept.reopen()
    lifted = state.identities()
    (entry, *_) = kept.done(state.enqueue([replace(state.entry(1), id=0)]))
    kept.done(
        state.lift_numbers(1_700_000_000_000, Note(6, "restored"))
    )  # a clock that is behind lowers nothing

    assert (lifted.by_name["m"].generation, lifted.floor) == (1_800_000_000, 1_800_000_000)
    assert entry.id == 1_800_000_000_001
    assert kept.state.identities().by_name["m"] == lifted.by_name["m"]
    assert (state.head.sequence, state.head.noted) == (entry.id, 2)
    assert [note.kind for note in state.notes()] == ["restored", "restored"]


def test_before_the_baseline_there_is_nothing_to_lift(kept) -> None:
    with pytest.raises(InvalidState):
        kept.done(kept.state.lift_numbers(1, Note(1, "restored")))


def test_a_summary_tells_backlog_age_and_last_outcome() -> None:
    entries = [
        entry(1, status=Status.DELIVERED, last_attempt_at=50, reason="ok", http_status=204),
        entry(2, status=Status.PENDING, last_attempt_at=70, reason="timeout", detail="slow"),
        entry(3, status=Status.DEAD, last_attempt_at=60, reason="refused"),
        entry(4, sink="other"),
    ]

    found = SinkSummaries(entries).summaries()

    assert (
        found["ci"].pending,
        found["ci"].dead,
        found["ci"].delivered,
        found["ci"].oldest_pending_at,
        found["ci"].last_attempt_at,
        found["ci"].last_reason,
        found["ci"].last_detail,
    ) == (1, 1, 1, 2_000, 70, "timeout", "slow")
    assert (found["other"].pending, found["other"].last_attempt_at) == (1, None)


def test_the_newest_are_found_without_the_others(kept) -> None:
    for number in range(1, 6):
        kept.done(
            kept.state.commit_poll(onto(kept.state, commit(transition(number), sinks=("ci", "deploy"))))
        )
    state = kept.reopen()

    assert [event.id for event in state.newest_events(2)] == ["event-5", "event-4"]
    assert [entry.id for entry in state.newest_entries(3)] == [10, 9, 8]
    assert (len(state.newest_events(9)), state.count_entries()) == (5, 10)


def test_what_died_last_is_found_without_the_others(kept) -> None:
    entries = kept.done(kept.state.commit_poll(commit(*map(transition, range(1, 6)), sinks=("ci", "deploy"))))
    assert kept.state.newest_dead(3) == []
    for at, number in enumerate((9, 2, 5, 4)):
        died = replace(entries[number], status=Status.DEAD, last_attempt_at=5_000 + at)
        kept.done(kept.state.settle([died]))

    assert [entry.id for entry in kept.state.newest_dead(3)] == [5, 6, 3]
    kept.done(kept.state.settle([replace(entries[5], status=Status.PENDING)]))  # redriven
    kept.done(kept.state.drop([kept.state.entry(5)]))
    assert [entry.id for entry in kept.state.newest_dead(3)] == [3, 10]
    assert [entry.id for entry in kept.reopen().newest_dead(3)] == [3, 10]


async def test_a_large_outbox_is_taken_up_in_parts_between_which_the_loop_goes_on() -> None:
    state = DocumentState(MemoryDocuments())
    entries = await state.commit_poll(commit(*map(transition, range(1, 5_001))))
    await state.settle([replace(one, status=Status.DELIVERED) for one in entries[::2]])
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count_turns())
    backlog = await state.take(lambda _news: None)
    taken = turns
    assert [one.id for one in await state.load_pending(lambda header: header.id > 4_997)] == [4_998, 5_000]
    loaded = turns
    assert await state.prune(0, 0, 1) == 0
    counting.cancel()

    assert taken >= 2
    assert loaded >= taken + 2
    assert turns >= loaded + 2
    assert backlog.pending == [one.id for one in entries[1::2]]
    assert (state.summaries()["ci"].pending, state.pending()) == (2_500, entries[1::2])


def test_the_entries_of_an_event_are_found_in_order(kept) -> None:
    entries = kept.done(kept.state.commit_poll(commit(*map(transition, range(1, 4)), sinks=("ci", "deploy"))))
    wanted = [one for one in entries if one.event_id == "event-2"]
    kept.done(kept.state.settle([replace(wanted[0], status=Status.DEAD)]))

    assert [(one.id, one.status) for one in kept.state.entries_of("event-2")] == [
        (wanted[0].id, Status.DEAD),
        (wanted[1].id, Status.PENDING),
    ]
    assert kept.reopen().entries_of("none") == []


@given(
    st.lists(st.tuples(st.integers(1, 8), st.sampled_from(["come", "go", "drop", "look"]), st.integers(1, 5)))
)
def test_what_waits_longest_is_always_known(story) -> None:
    tally, waiting = SinkSummaries(), {}
    for number, what, at in story:
        one = entry(number, lane=str(number))
        if what == "come" and number not in waiting:
            waiting[number] = at
            tally.update([replace(one, created_at=at)])
        elif what == "go" and number in waiting:
            tally.update([replace(one, created_at=waiting.pop(number), status=Status.DELIVERED)])
        elif what == "drop" and number in waiting:
            tally.remove([replace(one, created_at=waiting.pop(number))])
        elif what == "look":
            _check_oldest(tally, waiting)
    _check_oldest(tally, waiting)


def test_a_sink_without_entries_is_forgotten_as_if_it_was_never_there() -> None:
    tally = SinkSummaries([entry(1), entry(2)])
    tally.update([replace(entry(1), status=Status.DEAD, last_attempt_at=5)])
    tally.remove([replace(entry(1), status=Status.DEAD)])
    one_left = tally.summaries()
    tally.remove([entry(2)])
    none_left = tally.summaries()
    tally.update([entry(3)])

    assert (one_left["ci"].pending, one_left["ci"].dead, none_left) == (1, 0, {})
    assert tally.summaries() == SinkSummaries([entry(3)]).summaries()


def _check_oldest(tally: SinkSummaries, waiting: dict[int, int]) -> None:
    summary = tally.summaries().get("ci")
    if summary is not None:
        assert summary.oldest_pending_at == min(waiting.values(), default=None)
        assert waiting.get(summary.oldest_pending) == summary.oldest_pending_at


def scan_of(*parts: str) -> dict:
    return {"began": [1, 1, "boot"], "progress": {"token": f"after {len(parts)}", "parts": list(parts)}}


def test_an_unfinished_scan_is_kept_in_parts_that_end_with_it(kept) -> None:
    kept.run(kept.state.keep_scan(scan_of("1.1", "1.2"), [("1.1", {"n": 1}), ("1.2", {"n": 2})]))
    state = kept.reopen()
    kept.run(state.keep_scan(scan_of("1.1", "1.2", "1.3"), [("1.3", {"n": 3})]))
    state = kept.reopen()

    assert state.unfinished_scan == scan_of("1.1", "1.2", "1.3")
    assert [state.scan_part(f"1.{n}") for n in (1, 2, 3)] == [{"n": 1}, {"n": 2}, {"n": 3}]
    kept.run(state.keep_scan(None))
    assert (state.unfinished_scan, state.documents.keys("scan")) == (None, [])


def test_parts_of_which_the_scan_was_never_stored_change_nothing_and_are_removed_by_the_next(kept) -> None:
    def broken():
        yield "2.1", {"n": "another scan"}
        raise KeyboardInterrupt

    kept.run(kept.state.keep_scan(scan_of("1.1"), [("1.1", {"n": 1})]))
    with pytest.raises(KeyboardInterrupt):
        kept.run(kept.state.keep_scan(scan_of("2.1"), broken()))
    state = kept.reopen()

    assert (state.unfinished_scan, state.scan_part("1.1")) == (scan_of("1.1"), {"n": 1})
    kept.run(state.keep_scan(scan_of("1.1", "1.2"), [("1.2", {"n": 2})]))
    assert sorted(state.documents.keys("scan")) == ["1.1", "1.2", "scan"]


def test_parts_of_which_the_scan_was_never_stored_are_removed_also_if_the_next_scan_ends_at_once(
    kept,
) -> None:
    def broken():
        yield "2.1", {}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept.run(kept.state.keep_scan(scan_of("2.1"), broken()))
    kept.run(kept.state.keep_scan(None))

    assert kept.reopen().documents.keys("scan") == []


async def test_a_scan_is_stored_to_its_end_when_that_is_cancelled() -> None:
    state, parts = DocumentState(MemoryDocuments()), [(f"1.{n}", {}) for n in range(10)]
    storing = asyncio.create_task(finish(state.keep_scan(scan_of(*dict(parts)), parts)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    storing.cancel()
    await asyncio.wait({storing})

    assert len(state.documents.keys("scan")) == 11
    assert state.unfinished_scan == scan_of(*dict(parts))


async def test_commits_come_between_the_parts_of_a_scan() -> None:
    state = DocumentState(MemoryDocuments())
    await state.commit_poll(commit())
    added = []

    async def settle() -> None:
        while len(added) < 3:
            await state.enqueue([entry(0)])
            added.append(len(state.documents.keys("scan")))
            await asyncio.sleep(0)

    parts = [(f"1.{n}", {}) for n in range(10)]
    await asyncio.gather(state.keep_scan(scan_of(*dict(parts)), parts), settle())
    assert added[0] < added[-1] < 11
