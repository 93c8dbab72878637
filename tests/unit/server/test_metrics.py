"""The metrics of the contract, read from the state when they are scraped."""

from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families
from support.clock import HandClock
from support.values import commit, transition

from bridge.delivery.condition import OPENS_AT, RUNNING, paused
from bridge.delivery.entry import Status
from bridge.server.metrics import Metrics
from bridge.store.memory import MemoryDocuments
from bridge.store.state import State


def scraped(state: State, clock: HandClock) -> dict[tuple, float]:
    text = Metrics(state.summaries, state.conditions, clock).render().decode()
    return {
        (sample.name.removeprefix("mlflow_bridge_"), *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_outbox_and_how_sinks_stand_are_read_from_the_state() -> None:
    state, clock = State(MemoryDocuments()), HandClock()
    entries = state.commit_poll(commit(transition(1), transition(2), sinks=("ci", "deploy")))
    state.settle(
        [replace(entries[0], status=Status.DEAD)],
        {
            "ci": paused(RUNNING, 1),
            "deploy": replace(RUNNING, failing=tuple(map(str, range(OPENS_AT)))),
        },
    )

    found = scraped(state, clock)

    assert (found["outbox_entries", "ci", "pending"], found["outbox_entries", "ci", "dead"]) == (1, 1)
    assert found["outbox_oldest_age_seconds", "ci"] == (clock.now_ms() - 2_000) / 1000
    standing = {key[1:]: value for key, value in found.items() if key[0] == "sink_condition"}
    assert {key for key, value in standing.items() if value} == {("ci", "paused"), ("deploy", "failing")}
    assert len(standing) == 8
