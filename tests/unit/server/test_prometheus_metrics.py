"""The metrics of the contract, read from the state when they are scraped."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from prometheus_client.parser import text_string_to_metric_families
from support.clock import HandClock
from support.done import done
from support.tls import Authority
from support.values import commit, transition

from bridge.config import TlsSettings
from bridge.delivery.attempt_outcome import Reason, delivered, retryable
from bridge.delivery.outbox_entry import Status
from bridge.delivery.sink_state import OPENS_AT, RUNNING, paused
from bridge.server.prometheus_metrics import Metrics
from bridge.store.document_state import DocumentState
from bridge.store.memory_store import MemoryDocuments
from bridge.store.state_metadata import PollRecord, ReconcileRecord, SinkSummary


def scraped(state: DocumentState, clock: HandClock) -> dict[tuple, float]:
    return samples(Metrics(state.summaries, state.conditions, clock, polls=lambda: polls_of(state)))


def polls_of(state: DocumentState) -> tuple:
    return state.last_poll, state.last_reconcile


def samples(metrics: Metrics) -> dict[tuple, float]:
    text = metrics.render().decode()
    return {
        (sample.name.removeprefix("mlflow_bridge_"), *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_outbox_and_how_sinks_stand_are_read_from_the_state() -> None:
    state, clock = DocumentState(MemoryDocuments()), HandClock()
    entries = done(state.commit_poll(commit(transition(1), transition(2), sinks=("ci", "deploy"))))
    done(
        state.settle(
            [replace(entries[0], status=Status.DEAD)],
            {
                "ci": paused(RUNNING, 1),
                "deploy": replace(RUNNING, failing=tuple(map(str, range(OPENS_AT)))),
            },
        )
    )

    found = scraped(state, clock)

    assert (found["outbox_entries", "ci", "pending"], found["outbox_entries", "ci", "dead"]) == (1, 1)
    assert found["outbox_oldest_age_seconds", "ci"] == (clock.now_ms() - 2_000) / 1000
    standing = {key[1:]: value for key, value in found.items() if key[0] == "sink_condition"}
    assert {key for key, value in standing.items() if value} == {("ci", "paused"), ("deploy", "failing")}
    assert len(standing) == 8


def test_how_the_last_poll_went_is_read_from_the_state_also_after_a_restart() -> None:
    state, clock = DocumentState(MemoryDocuments()), HandClock()
    unknown = scraped(state, clock)
    done(state.record_poll(PollRecord(5_000, "ok", 5_000), ReconcileRecord(4_000, 10, went_well=True)))
    good = scraped(state, clock)
    done(
        state.record_poll(
            PollRecord(9_000, "failed", 5_000, error="refused"), ReconcileRecord(8_000, 10, went_well=False)
        )
    )
    bad = scraped(state, clock)
    done(state.record_poll(PollRecord(12_000, "held", 12_000, held="too much", held_digest="d")))
    held = scraped(state, clock)
    going_on = ReconcileRecord(12_000, 10, went_well=False, unfinished=True)
    done(state.record_poll(PollRecord(13_000, "ok", 13_000), going_on))
    unfinished = scraped(state, clock)

    def told(found: dict) -> tuple:
        names = ("registry_up", "poll_held", "reconcile_failed", "last_successful_poll_timestamp_seconds")
        return tuple(found.get((name,)) for name in names)

    assert told(unknown) == (None, None, None, 0)
    assert told(good) == (1, 0, 0, 5)
    assert told(bad) == (0, 0, 1, 5)
    assert told(held) == (1, 1, 1, 12)
    assert told(unfinished) == (1, 0, 0, 13)


def test_failures_are_counted_by_reason_and_those_with_an_alert_from_zero() -> None:
    state, clock = DocumentState(MemoryDocuments()), HandClock()
    done(state.commit_poll(commit(transition(1), sinks=("ci",))))
    metrics = Metrics(state.summaries, state.conditions, clock)
    failures = ("delivery_failures_total", "ci")

    before = samples(metrics)
    metrics.delivery_finished("ci", retryable(Reason.MISCONFIGURED, status=401), 0.1)
    metrics.delivery_finished("ci", retryable(Reason.CONNECT), 0.1)
    metrics.delivery_finished("ci", delivered(204), 0.1)
    found = samples(metrics)

    assert {before[*failures, reason] for reason in ("misconfigured", "secret", "tls")} == {0}
    assert (found[*failures, "misconfigured"], found[*failures, "connect"]) == (1, 1)
    assert (found["deliveries_total", "ci", "retryable"], found["deliveries_total", "ci", "delivered"]) == (
        2,
        1,
    )
    assert (*failures, "ok") not in found


def test_a_sink_that_is_gone_has_no_series_any_more() -> None:
    summaries = {name: SinkSummary(name) for name in ("ci", "webhook")}
    metrics = Metrics(lambda: summaries, dict, HandClock())
    for sink in summaries:
        metrics.delivery_finished(sink, retryable(Reason.CONNECT), 0.1)
        metrics.delivery_finished(sink, delivered(204), 0.1)
    before = samples(metrics)
    del summaries["webhook"]
    after = samples(metrics)
    metrics.delivery_finished("webhook", delivered(204), 0.1)  # an attempt that ended later
    last = samples(metrics)

    def of(sink: str, found: dict) -> dict:
        return {key: value for key, value in found.items() if sink in key}

    assert of("webhook", before) != {}
    assert of("webhook", after) == of("webhook", last) == {}
    assert of("ci", before) == of("ci", after) == of("ci", last) != {}


def test_the_expiry_of_certificates_follows_their_files(tmp_path) -> None:
    authority, now = Authority(tmp_path), datetime.now(UTC).replace(microsecond=0)
    cert, key = authority.issue("client", "localhost", until=now + timedelta(hours=1))
    tls = TlsSettings(ca_file=str(authority.ca_file), client_cert=str(cert), client_key=str(key))
    state = DocumentState(MemoryDocuments())
    metrics = Metrics(state.summaries, state.conditions, HandClock(), tls=lambda: {"ci": tls})
    name = "tls_certificate_expiry_timestamp_seconds", "ci"  # values of labels are sorted

    first = samples(metrics)
    renewed, _ = authority.issue("renewed", "localhost", until=now + timedelta(hours=2))
    cert.write_bytes(renewed.read_bytes())
    second = samples(metrics)
    cert.write_text("no certificate")
    third = samples(metrics)

    assert first[*name, "client"] == (now + timedelta(hours=1)).timestamp()
    assert second[*name, "client"] == (now + timedelta(hours=2)).timestamp()
    assert (*name, "client") not in third
    assert third[name[0], "authority", "ci"] > now.timestamp()


def test_the_process_tells_of_its_memory_and_files() -> None:
    found = scraped(DocumentState(MemoryDocuments()), HandClock())

    assert found["process_resident_memory_bytes",] > 0
    assert found["process_open_fds",] > 0
