"""The poll: what it commits, what it refuses, and what it never invents."""

import threading
from dataclasses import replace

import pytest
from support.clock import HandClock
from support.registry import FakeRegistry
from support.until import eventually
from support.values import model

from bridge.config import PollSettings
from bridge.delivery.event_routing import Route
from bridge.diff.registry_changes import ChangeKind as K
from bridge.errors import RegistryUnreachable, StateForeign, StateUnwritable
from bridge.events.event_names import EVENT_NAMES
from bridge.events.jmespath_expressions import compile_expression
from bridge.pipeline.metrics_observer import NullObserver
from bridge.pipeline.poll import Poll
from bridge.pipeline.worker_threads import ThreadedCall
from bridge.store.document_state import DocumentState
from bridge.store.memory_store import MemoryDocuments
from bridge.store.state_metadata import Binding


class World:
    """A registry, a state, and a poll between them."""

    def __init__(self, **settings) -> None:
        self.registry = FakeRegistry()
        self.documents = MemoryDocuments()
        self.state = DocumentState(self.documents)
        self.settings = PollSettings(**settings)
        self.clock = HandClock()
        self.poll = self.make_poll()

    def make_poll(self) -> Poll:
        every = tuple(kind.value for kind in K)
        return Poll(
            self.registry,
            self.state,
            [Route("all", every), Route("ci", (K.TRANSITIONED.value,))],
            self.settings,
            Binding("http://registry"),
            self.clock,
            NullObserver(),
        )

    async def events(self) -> list[str]:
        before = {one.event_id for one in self.state.entries()}
        await self.poll.run()
        new = [one for one in self.state.pending() if one.event_id not in before and one.sink == "all"]
        return [self.state.event(one.event_id).type.name for one in new]


@pytest.fixture
def world() -> World:
    return World()


async def test_the_first_poll_takes_a_baseline_and_fires_nothing(world) -> None:
    world.registry.put(model("a", "Production", 3))

    assert await world.events() == []
    assert (dict(world.state.known()), world.state.head.fingerprint) == (world.registry.models, "1")


async def test_the_first_poll_announces_everything_when_asked_to() -> None:
    world = World(first_run="emit")
    world.registry.put(model("a", "Production"))

    assert await world.events() == ["MODEL_CREATED", "VERSION_CREATED", "TRANSITIONED"]


async def test_what_a_filter_cannot_decide_is_delivered_and_noted_once_a_sink(world) -> None:
    way = Route("ci", (K.VERSION_CREATED.value,), when=compile_expression("length(user_id) > `0`"))
    registry = (world.registry, world.state, [way], world.settings, Binding("http://registry"))
    poll = Poll(*registry, world.clock, NullObserver())
    world.registry.put(model("a"))
    await poll.run()
    world.registry.put(model("a", versions=3))

    entries = (await poll.run()).entries

    assert len(entries) == 2
    (note,) = [note for note in world.state.notes() if note.kind == "undecided"]
    assert (note.model, note.version) == ("a", "2")
    assert note.detail.startswith("ci: when: 'length(user_id) > `0`' has no value: length() takes")


async def test_a_transition_is_routed_to_whoever_asks(world) -> None:
    world.registry.put(model("a"))
    await world.poll.run()
    world.registry.move("a", "1", "Staging")

    entries = (await world.poll.run()).entries

    assert [(one.sink, one.lane) for one in entries] == [("all", "a"), ("ci", "a")]
    event = world.state.event(entries[0].event_id)
    assert event.changed == {"to_stage": "Staging", "from_stage": "None"}
    assert event.timestamp == 500


async def test_a_poll_that_was_lost_gives_the_same_ids_again(world) -> None:
    world.registry.put(model("a"))
    await world.poll.run()
    world.registry.move("a", "1", "Staging")
    lost = await world.poll.preview()

    entries = (await world.poll.run()).entries

    assert {event.id for event in lost.plan.events} == {one.event_id for one in entries}


async def test_an_unchanged_registry_commits_nothing_but_that_it_was_asked(world) -> None:
    world.registry.put(model("a"))
    await world.poll.run()
    head = world.state.head
    world.clock.sleep(60)

    assert await world.events() == []
    now = world.state.head
    looked = replace(head, scanned=now.scanned, vouched=now.vouched, revision=now.revision)
    assert (world.state.head, world.state.last_poll.attempted_at) == (looked, world.clock.now_ms())


async def test_a_row_that_a_page_skipped_is_no_deletion(world) -> None:
    world.registry.put(model("a"), model("b"))
    await world.poll.run()
    world.registry.hidden = {"a"}

    assert await world.events() == []
    assert world.registry.asked == ["a"]


async def test_a_revoked_grant_is_no_deletion(world) -> None:
    world.registry.put(model("a"))
    await world.poll.run()
    world.registry.hidden = world.registry.refused = {"a"}

    assert await world.events() == []
    assert list(world.state.known()) == ["a"]


async def test_a_confirmed_deletion_is_told(world) -> None:
    world.registry.put(model("a"))
    await world.poll.run()
    del world.registry.models["a"]

    assert await world.events() == ["MODEL_DELETED"]
    assert await world.events() == []


async def test_a_model_that_comes_into_view_late_is_not_announced(world) -> None:
    """Also where nothing was changed before the scan: what its rows tell of the time later counts backwards."""
    late = replace(model("late", "Production"), created=7_000_000)
    world.registry.put(model("a"), late)
    world.registry.hidden = {"late"}
    await world.poll.run()
    world.registry.hidden = set()
    world.clock.sleep(600)
    world.registry.move("a", "1", "None", at=10_000_000)

    assert await world.events() == []
    assert sorted(world.state.known()) == ["a", "late"]
    world.registry.move("late", "1", "Archived")
    assert await world.events() == ["TRANSITIONED"]


async def test_a_model_whose_row_became_visible_late_is_announced(world) -> None:
    world.registry.put(replace(model("b"), updated=10_000_000))
    await world.poll.run()
    world.registry.put(replace(model("a"), created=10_000_000 - 119_000))

    assert await world.events() == ["MODEL_CREATED", "VERSION_CREATED"]


async def test_a_model_that_a_scan_in_pages_skipped_at_birth_is_announced(world) -> None:
    """A scan in several pages vouches only for what the scan before it could see."""
    world.registry.atomic = False
    for moment in (1_000_000, 5_000_000):
        world.registry.put(replace(model("other"), updated=moment))
        await world.poll.run()
        world.clock.sleep(4_000)
    world.registry.put(replace(model("skipped"), created=4_000_000))

    assert await world.events() == ["MODEL_CREATED", "VERSION_CREATED"]


async def test_a_row_from_the_future_hides_nothing_that_comes_after_it(world) -> None:
    future = world.clock.now_ms() + 9_000 * 3_600_000
    world.registry.put(replace(model("a"), updated=future))
    await world.poll.run()
    world.registry.put(replace(model("b"), created=world.clock.now_ms()))

    assert await world.events() == ["MODEL_CREATED", "VERSION_CREATED"]


async def test_access_that_is_revoked_for_most_is_held_once_and_not_for_ever(world) -> None:
    world.registry.put(*(replace(model(f"m{n}"), created=n) for n in range(10)))
    await world.poll.run()
    world.registry.hidden = world.registry.refused = {f"m{n}" for n in range(9)}
    held = (await world.poll.run()).held
    await world.poll.run(accepted=frozenset({held.digest}))
    await world.poll.run()
    assert len(world.state.known()) == 10

    await world.poll.rebaseline()
    assert list(world.state.known()) == ["m9"]


async def test_a_first_storm_can_be_accepted() -> None:
    world = World(first_run="emit", max_events=2)
    world.registry.put(model("a"), model("b"))
    first = await world.poll.run()
    then = await world.poll.run(accepted=frozenset({first.held.digest}))

    told = [world.state.event(one.event_id).type.name for one in (*first.entries, *then.entries)]
    assert (told, then.held) == (["MODEL_CREATED"] * 2 + ["VERSION_CREATED"] * 2, None)


@pytest.mark.parametrize("failure", [RegistryUnreachable("down")])
async def test_a_failed_poll_changes_nothing_and_is_recorded(world, failure) -> None:
    world.registry.put(model("a"))
    await world.poll.run()
    world.registry.move("a", "1", "Staging")
    world.registry.failure = failure

    with pytest.raises(type(failure)):
        await world.poll.run()
    record = world.state.last_poll
    assert (record.outcome, record.error, record.models) == ("failed", "down", 1)
    assert record.succeeded_at is not None
    world.registry.failure = None
    assert await world.events() == ["TRANSITIONED"]


async def test_another_database_at_the_same_url_is_foreign(world) -> None:
    world.registry.put(model("a"))
    await world.poll.run()
    world.registry.models, world.registry.print = {}, "2"

    with pytest.raises(StateForeign, match="another fingerprint"):
        await world.poll.run()
    assert list(world.state.known()) == ["a"]


async def test_a_fingerprint_that_cannot_be_read_is_no_proof_and_is_learned_later(world) -> None:
    world.registry.print = None
    await world.poll.run()
    assert world.state.head.fingerprint is None
    world.registry.print = "7"
    await world.poll.run()
    assert world.state.head.fingerprint == "7"


async def test_a_registry_that_answers_with_nothing_is_held_before_any_point_read(world) -> None:
    world.registry.put(*(model(f"m{n}") for n in range(20)))
    await world.poll.run()
    kept, world.registry.models = world.registry.models, {}

    held = (await world.poll.run()).held
    assert "20 of 20 known models are gone" in str(held)
    assert (world.registry.asked, world.state.last_poll.outcome) == ([], "held")
    world.registry.models = kept
    assert await world.events() == []
    assert world.state.last_poll.outcome == "ok"


async def test_a_hold_is_accepted_by_its_digest_and_a_worse_one_is_held_anew(world) -> None:
    world.registry.put(*(model(f"m{n}") for n in range(20)))
    await world.poll.run()
    for n in range(15):
        del world.registry.models[f"m{n}"]
    held = (await world.poll.run()).held
    del world.registry.models["m15"]

    worse = (await world.poll.run(accepted=frozenset({held.digest}))).held
    entries = (await world.poll.run(accepted=frozenset({worse.digest}))).entries

    assert len({one.event_id for one in entries}) == 16


async def test_a_storm_is_held_and_two_holds_are_accepted_one_after_the_other() -> None:
    world = World(max_events=3)
    world.registry.put(*(model(f"m{n}") for n in range(20)))
    await world.poll.run()
    world.registry.models = {}
    accepted = frozenset()
    for _ in range(2):
        assert (await world.poll.run(accepted=accepted)).held
        accepted = frozenset(world.state.last_poll.held_digest.split("+"))

    assert len((await world.poll.run(accepted=accepted)).entries) == 20


async def test_a_rebaseline_records_everything_and_tells_nothing(world) -> None:
    world.registry.put(model("a"))
    await world.poll.run()
    world.registry.move("a", "1", "Production")

    await world.poll.rebaseline()

    assert await world.events() == []
    assert dict(world.state.known()) == world.registry.models
    assert [note.kind for note in world.state.notes()] == ["rebaselined"]


async def test_ids_are_not_reused_after_a_silent_change(world) -> None:
    world.registry.put(model("a"))
    await world.poll.run()
    world.registry.move("a", "1", "Staging")
    first = (await world.poll.run()).entries
    world.registry.move("a", "1", "None")
    await world.poll.rebaseline()
    world.registry.move("a", "1", "Staging")

    assert first[0].event_id != (await world.poll.run()).entries[0].event_id


async def test_a_state_that_cannot_be_written_loses_nothing(world, monkeypatch) -> None:
    world.registry.put(model("a"))
    await world.poll.run()
    world.registry.move("a", "1", "Staging")

    def full(_writes) -> None:
        raise StateUnwritable("full")

    with monkeypatch.context() as patched:
        patched.setattr(world.documents, "commit", full)
        with pytest.raises(StateUnwritable):
            await world.poll.run()
    assert await world.events() == ["TRANSITIONED"]


async def test_a_registry_that_hangs_is_given_up_and_few_reads_are_left_hanging(monkeypatch) -> None:
    world = World(deadline="200ms")
    # As if nothing in Python happened there. (And on 3.11 the tracer of coverage spins in this
    # thread for as long as another has not taken the exception that it was sent.)
    monkeypatch.setattr(ThreadedCall, "cut_off", lambda call: call.result.cancel())
    monkeypatch.setattr("bridge.pipeline.read_deadline.GRACE_S", 0.1)
    release = threading.Event()
    monkeypatch.setattr(world.registry, "fingerprint", lambda _deadline: release.wait(10) and "1")

    for _ in range(4):
        with pytest.raises(RegistryUnreachable, match="in time"):
            await world.poll.run()
    with pytest.raises(RegistryUnreachable, match="still holding up the reads of 4 earlier polls"):
        await world.poll.run()
    release.set()
    await eventually(lambda: not any(one.is_running() for one in world.poll._bounded._left))
    await world.poll.run()


async def test_a_read_that_cannot_be_cut_off_holds_up_no_later_poll(monkeypatch) -> None:
    """A look-up of a name hangs in C, where no exception gets to it."""
    world = World(deadline="200ms")
    monkeypatch.setattr(ThreadedCall, "cut_off", lambda call: call.result.cancel())
    monkeypatch.setattr("bridge.pipeline.read_deadline.GRACE_S", 0.1)
    release = threading.Event()
    with monkeypatch.context() as hanging:
        hanging.setattr(world.registry, "fingerprint", lambda _deadline: release.wait(20) and "1")
        with pytest.raises(RegistryUnreachable, match="in time"):
            await world.poll.run()
    await world.poll.run()
    assert [one.is_running() for one in world.poll._bounded._left] == [True]
    release.set()
    await eventually(lambda: not world.poll._bounded._left[0].is_running())
    await world.poll.run()
    assert world.poll._bounded._left == []


async def test_getting_ready_is_waited_for_no_longer_than_the_deadline_and_goes_on(monkeypatch) -> None:
    """A file of secrets on a mount that hangs: nothing cuts that off, and nobody waits for ever."""
    world = World(deadline="100ms")
    release, began = threading.Event(), []
    monkeypatch.setattr(world.registry, "prepare", lambda: began.append(1) or release.wait(20))
    for _ in range(3):
        with pytest.raises(RegistryUnreachable, match="could not be made ready in time"):
            await world.poll.run()
    release.set()
    await eventually(world.poll._bounded._prepared._under_way.result.done)
    await world.poll.run()
    assert began == [1]


def test_every_route_of_these_tests_is_a_name_of_the_contract() -> None:
    assert all(kind.value in EVENT_NAMES for kind in K)
