"""What sinks want to be told beside an event: fetched once, kept, and never in an event's way."""

import asyncio
import threading
import time
from dataclasses import dataclass, field, replace

import pytest
from support.clock import HandClock
from support.done import done
from support.patience import patience
from support.polled import Polled
from support.relayed import FOREVER, ScriptedSink, relay_of
from support.until import eventually
from support.values import commit, model, transition

from bridge.delivery.attempt_outcome import Outcome, Reason, Verdict, delivered, retryable
from bridge.delivery.event_routing import Route
from bridge.delivery.sink_state import RUNNING
from bridge.diff.absence_verification import Absence
from bridge.errors import RegistryRefused, RegistryUnreachable, StateUnwritable
from bridge.events.event_details import Include
from bridge.events.event_synthesis import Identity
from bridge.pipeline import detail_fetching
from bridge.pipeline.detail_fetching import Enrichment
from bridge.pipeline.incremental_read import Read
from bridge.store.document_state import DocumentState
from bridge.store.memory_store import MemoryDocuments

RUN, ALL = Include(("run",)), Include(("run", "model", "version"))
REQUIRED = Include(("run",), is_required=True)
DOWN = RegistryUnreachable("http://registry cannot be reached: connection refused")


@dataclass
class Told:
    """A registry's facts: what it answers, raises, or takes its time over."""

    of_version: object = field(default_factory=lambda: {"version": "1", "run_id": "r1"})
    of_run: object = field(default_factory=lambda: {"run_id": "r1", "metrics": {"auc": 0.9}})
    asked: list = field(default_factory=list)
    hold: threading.Event | None = None

    def prepare(self) -> None:
        pass

    def version(self, name, version, deadline):
        return self._say(("version", name, version), self.of_version)

    def files(self, name, version, deadline):
        return self._say(("files", name, version), {"signature": None})

    def run(self, run_id, deadline):
        return self._say(("run", run_id), self.of_run)

    def _say(self, question, answer):
        self.asked.append(question)
        while self.hold is not None and not self.hold.is_set():
            time.sleep(0.01)  # in Python, so that it can be cut off
        if isinstance(answer, Exception):
            raise answer
        return answer


class World:
    def __init__(self, **facts) -> None:
        self.state = DocumentState(MemoryDocuments())
        self.clock = HandClock()
        self.facts = Told(**facts)
        self.event = transition()
        done(self.state.commit_poll(commit(self.event, models=[model()])))
        self.enrichment = Enrichment(self.state, self.facts, self.clock)

    async def enrich(self, include: Include = RUN, **changed):
        return await self.enrichment.enrich(replace(self.event, **changed), include)


async def test_an_event_is_told_with_what_its_sink_asks_for() -> None:
    world = World()

    event = await world.enrich(ALL)

    assert list(event.details) == ["run", "model", "version"]
    assert event.details["run"] == {"run_id": "r1", "metrics": {"auc": 0.9}}
    assert event.details["version"] == {"version": "1", "run_id": "r1", "signature": None}
    assert event.details["model"]["stages"] == {"None": ["1"]}
    assert replace(event, details=None) == world.event


async def test_what_was_told_is_kept_and_not_asked_for_again() -> None:
    world = World()
    first = await world.enrich()
    world.facts.of_run = {"run_id": "r1", "metrics": {"auc": 0.1}}
    world.enrichment = Enrichment(world.state, world.facts, world.clock)  # a restart

    assert await world.enrich() == first
    assert len(world.facts.asked) == 2


async def test_what_was_kept_at_the_poll_is_told_not_what_the_model_is_like_now() -> None:
    world = World()
    await world.state.keep_details("event-1", {"model": {"stages": {"Staging": ["1"]}}})

    event = await world.enrich(Include(("model",)))

    assert event.details == {"model": {"stages": {"Staging": ["1"]}}}
    assert world.facts.asked == []


async def test_two_sinks_that_ask_at_once_ask_the_registry_once() -> None:
    world = World(hold=threading.Event())
    both = [asyncio.create_task(world.enrich()) for _ in range(2)]
    await eventually(lambda: len(world.facts.asked) == 1)
    world.facts.hold.set()

    first, second = await asyncio.gather(*both)

    assert first == second
    assert world.facts.asked == [("version", "m", "1"), ("run", "r1")]


@pytest.mark.parametrize(
    "trouble", [RegistryRefused("refuses the credentials"), ValueError("odd"), KeyError("x")]
)
async def test_what_is_wrong_with_one_event_s_details_is_no_matter_to_the_next(trouble) -> None:
    world = World(of_version=trouble)

    without = await world.enrich()
    world.facts.of_version = {"version": "1", "run_id": "r1"}

    assert without.details == {"run": None, "missing": {"run": "failed"}}
    assert (await world.enrich()).details == {"run": {"run_id": "r1", "metrics": {"auc": 0.9}}}


async def test_a_registry_that_is_down_leaves_best_effort_without_and_is_asked_again_later() -> None:
    world = World(of_version=DOWN)

    without = await world.enrich()
    world.facts.of_version = {"version": "1", "run_id": "r1"}
    at_once = await world.enrich()
    world.clock.sleep(31)
    later = await world.enrich()

    assert without.details == at_once.details == {"run": None, "missing": {"run": "failed"}}
    assert later.details == {"run": {"run_id": "r1", "metrics": {"auc": 0.9}}}


async def test_what_is_required_is_waited_for_and_says_why() -> None:
    world = World(of_version=DOWN)

    outcome = await world.enrich(REQUIRED)

    assert (outcome.verdict, outcome.reason) == (Verdict.RETRYABLE, Reason.ENRICHMENT)
    assert outcome.detail == f"the registry does not tell its run: {DOWN}"


async def test_what_was_found_before_something_failed_is_kept() -> None:
    world = World(of_run=DOWN)

    event = await world.enrich(Include(("model", "run")))

    assert event.details["model"]["name"] == "m"
    assert event.details["missing"] == {"run": "failed"}
    assert set(world.state.details("event-1")) == {"model"}


async def test_a_run_that_is_gone_is_an_answer_even_where_it_is_required() -> None:
    world = World(of_run=Absence.GONE)

    event = await world.enrich(REQUIRED)
    await world.enrich(REQUIRED)

    assert event.details == {"run": None, "missing": {"run": "gone"}}
    assert len(world.facts.asked) == 2


async def test_a_version_that_is_gone_leaves_its_run_unknown_for_good() -> None:
    world = World(of_version=Absence.GONE)

    event = await world.enrich(Include(("run", "version"), is_required=True))

    assert event.details == {"run": None, "version": None, "missing": {"run": "gone", "version": "gone"}}


async def test_what_the_bridge_may_not_read_is_named_and_asked_for_again() -> None:
    world = World(of_run=Absence.UNKNOWN)

    best, needed = await world.enrich(), await world.enrich(REQUIRED)
    world.facts.of_run = {"run_id": "r1"}

    assert best.details == {"run": None, "missing": {"run": "denied"}}
    assert "grant it READ" in needed.detail
    assert (await world.enrich()).details == {"run": {"run_id": "r1"}}


async def test_a_version_without_a_run_misses_nothing() -> None:
    world = World(of_version={"version": "1", "run_id": None})

    assert (await world.enrich(REQUIRED)).details == {"run": None}


async def test_an_event_of_a_model_has_no_version_to_tell_of() -> None:
    world = World()

    event = await world.enrich(ALL, model_version=None)

    assert (event.details["run"], event.details["version"]) == (None, None)
    assert "missing" not in event.details
    assert world.facts.asked == []


async def test_a_model_is_followed_through_a_rename() -> None:
    world = World()
    renamed = replace(commit(removed=["m"], revision=1), models={"n": (model("n"), Identity("m", 1))})
    await world.state.commit_poll(renamed)

    event = await world.enrich(ALL)

    assert world.facts.asked[0] == ("version", "n", "1")
    assert event.details["model"]["name"] == "n"


async def test_another_model_of_the_same_name_is_never_asked() -> None:
    world = World()
    await world.state.commit_poll(
        replace(commit(revision=1), models={"m": (model(), Identity("another", 1))})
    )

    event = await world.enrich(ALL)

    assert world.facts.asked == []
    assert event.details["missing"] == dict.fromkeys(("run", "model", "version"), "gone")


async def test_a_registry_that_hangs_is_left_after_a_bounded_time(monkeypatch) -> None:
    monkeypatch.setattr(detail_fetching, "_PATIENCE_MS", 50)
    monkeypatch.setattr(detail_fetching, "_GRACE_S", 0.05)
    world = World(hold=threading.Event())

    event = await asyncio.wait_for(world.enrich(), patience())
    again = await asyncio.wait_for(world.enrich(), patience())

    world.facts.hold.set()
    assert event.details == again.details == {"run": None, "missing": {"run": "failed"}}
    assert len(world.facts.asked) == 1


async def test_an_attempt_that_is_stopped_stops_asking() -> None:
    world = World(hold=threading.Event())
    asking = asyncio.create_task(world.enrich())
    await eventually(lambda: world.facts.asked)

    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    await eventually(lambda: not [one for one in threading.enumerate() if one.name == "registry"])


async def test_a_state_that_cannot_be_written_makes_the_event_wait(monkeypatch) -> None:
    world = World()

    def refuse(_event_id, _details) -> None:
        raise StateUnwritable("the disk is full")

    monkeypatch.setattr(world.state, "keep_details", refuse)

    outcome = await world.enrich()

    assert isinstance(outcome, Outcome)
    assert (outcome.verdict, outcome.reason) == (Verdict.RETRYABLE, Reason.ENRICHMENT)


class Remembering(ScriptedSink):
    def __init__(self, *script) -> None:
        super().__init__(*script)
        self.details: list = []

    async def deliver(self, delivery):
        self.details.append((delivery.event.id, delivery.event.details))
        return await super().deliver(delivery)


def enriched_relay(world: World, sink, include: Include):
    async def enrich(event):
        return await world.enrichment.enrich(event, include)

    relay = relay_of(world.state, ci=sink)
    endpoints = relay._endpoints
    endpoints["ci"] = replace(endpoints["ci"], enrich=enrich)
    return relay


async def test_retries_of_an_event_carry_the_same_details() -> None:
    world, sink = World(), Remembering(retryable(Reason.SERVER_ERROR), delivered(204))
    relay = enriched_relay(world, sink, RUN)

    stop = asyncio.Event()
    running = asyncio.create_task(relay.run(stop))
    await eventually(lambda: len(sink.details) == 2)
    stop.set()
    await running
    await relay.drain(1.0)

    assert (
        sink.details[0] == sink.details[1] == ("event-1", {"run": {"run_id": "r1", "metrics": {"auc": 0.9}}})
    )


async def test_a_registry_that_fails_is_no_mark_against_the_sink() -> None:
    world, sink = World(of_version=DOWN), Remembering()
    relay = enriched_relay(world, sink, REQUIRED)

    await relay.drain_due(FOREVER)

    entry = world.state.entry(1)
    assert (entry.reason, sink.details) == ("enrichment", [])
    assert world.state.conditions().get("ci", RUNNING) == RUNNING


async def test_an_event_sent_again_under_another_id_has_the_details_of_its_own() -> None:
    world, sink = World(), Remembering()
    again = replace(world.state.entry(1), sent_as="another-id")
    await world.state.settle([again])
    relay = enriched_relay(world, sink, RUN)

    await relay.drain_due(FOREVER)

    assert sink.details == [("another-id", {"run": {"run_id": "r1", "metrics": {"auc": 0.9}}})]
    assert world.state.details("event-1")


def test_what_was_kept_with_an_event_goes_with_it() -> None:
    world = World()
    done(world.state.keep_details("event-1", {"run": None}))
    done(world.state.settle([]))
    done(world.state.drop(list(world.state.entries())))

    done(world.state.prune(10_000_000, 10_000_000, 10_000_000))

    assert (world.state.event("event-1"), world.state.details("event-1")) == (None, {})


async def test_the_model_is_kept_with_the_event_by_the_very_commit_that_observed_it() -> None:
    wanting = Route(
        "ci", ("MODEL_VERSION_TRANSITIONED_STAGE", "REGISTERED_MODEL_DELETED"), include=("model",)
    )
    polled = await Polled([wanting]).baseline()
    polled.move("m1", "Production")
    (entry,) = [one for one in (await polled.poll.run(Read.FAST)).entries if one.sink == "ci"]
    polled.wait(60)
    polled.move("m1", "Archived")
    (later,) = [one for one in (await polled.poll.run(Read.FAST)).entries if one.sink == "ci"]
    del polled.registry.models["m2"]
    (gone,) = [one for one in (await polled.poll.run(Read.FULL)).entries if one.sink == "ci"]

    kept = [polled.state.details(one.event_id) for one in (entry, later, gone)]

    assert [one["model"] and one["model"]["stages"] for one in kept] == [
        {"Production": ["1"]},
        {"Archived": ["1"]},
        None,
    ]
    assert kept[2]["missing"] == {"model": "gone"}


async def test_nothing_is_kept_for_sinks_that_ask_for_nothing() -> None:
    polled = await Polled([Route("ci", ("MODEL_VERSION_TRANSITIONED_STAGE",))]).baseline()
    polled.move("m1", "Production")

    (entry, _) = (await polled.poll.run(Read.FAST)).entries

    assert polled.state.details(entry.event_id) == {}
