"""``outbox`` and ``replay``: what waits, what is dead, and sending it again."""

import json
import re
import time
from dataclasses import replace

import pytest
from support.command import http_sink
from support.values import commit, transition

from bridge.delivery.outbox_entry import Status

NO = {"status": Status.DEAD, "attempts": 1, "first_attempt_at": 3_000, "last_attempt_at": 3_250}
REFUSED = {**NO, "reason": "refused", "http_status": 400, "detail": "HTTP 400: no", "duration_ms": 250}


@pytest.fixture(autouse=True)
def secrets(monkeypatch) -> None:
    monkeypatch.setenv("CI_SECRET", "s3cret-in-env")


@pytest.fixture
def outbox(bridge):
    """Three dead entries of ``ci`` (two of one model), one that waits, and one for a sink that is gone."""
    bridge.configure(http_sink("https://h"))
    events = [transition(1, "fraud"), transition(2, "fraud"), transition(3, "spam"), transition(4, "spam")]
    entries = bridge.commit(commit(*events))
    bridge.settle([replace(one, **REFUSED) for one in entries[:3]])
    return bridge


def entries_of(bridge, *options: str) -> list[dict]:
    done = bridge.run("outbox", "list", "--output", "json", *options)
    assert done.code == 0, done.err
    return json.loads(done.out)["entries"]


def numbers(bridge, *options: str) -> list[int]:
    return [entry["id"] for entry in entries_of(bridge, *options)]


def test_what_waits_and_what_is_dead_is_listed(outbox) -> None:
    table = outbox.run("outbox", "list").out.splitlines()

    assert table[0].split() == [
        *("ENTRY", "SINK", "STATUS", "EVENT", "MODEL", "VERSION", "CHANGE", "ATTEMPTS", "NEXT"),
        *("LAST", "REASON"),
    ]
    assert table[1].split()[:6] == ["1", "ci", "dead", "MODEL_VERSION_TRANSITIONED_STAGE", "fraud", "1"]
    assert (table[1].endswith("refused"), "due" in table[4]) == (True, True)
    assert numbers(outbox) == [1, 2, 3, 4]
    assert numbers(outbox, "--status", "dead", "--model", "fr*") == [1, 2]
    assert numbers(outbox, "--status", "delivered") == numbers(outbox, "--sink", "other") == []
    assert "(2 older: --limit 4 shows all)" in outbox.run("outbox", "list", "--limit", "2").out


def test_what_an_entry_waits_for_is_told(bridge) -> None:
    bridge.configure(http_sink("https://h"))
    first, *_ = bridge.commit(commit(transition(1), transition(2), transition(3, "other")))
    later = int(time.time() * 1000) + 3_600_000
    bridge.settle([replace(first, attempts=1, last_attempt_at=later, wait_ms=7_200_000, reason="connect")])

    def told() -> list[str]:
        rows = bridge.run("outbox", "list").out.splitlines()[1:]
        return [re.split(r"\s{2,}", row)[8] for row in rows]

    assert told() == ["in 2h", "after 1", "due"]
    bridge.run("sinks", "pause", "ci")
    assert told() == ["paused", "after 1", "paused"]


def test_an_entry_that_waits_for_the_verdict_of_a_gate_says_so(bridge) -> None:
    bridge.configure(http_sink("https://h"))
    (routed, *_) = commit(transition(1)).routed
    bridge.commit(replace(commit(transition(1)), routed=[replace(routed, waits_for="dt_1")]))

    (row,) = bridge.run("outbox", "list").out.splitlines()[1:]
    assert re.split(r"\s{2,}", row)[8] == "verdict"


def test_an_empty_outbox_says_so(bridge) -> None:
    assert bridge.run("outbox", "list").out == "nothing waits, and nothing is dead\n"
    assert bridge.run("outbox", "list", "--sink", "ci").out == "no such entry\n"


def test_an_entry_is_shown_with_every_attempt(outbox) -> None:
    outbox.run("outbox", "redrive", "1")
    (entry,) = [one for one in outbox.entries() if one.id == 1]
    outbox.settle([replace(entry, status=Status.DEAD, attempts=2, last_attempt_at=9_000, reason="connect")])

    shown = outbox.run("outbox", "show", "1")
    document = json.loads(outbox.run("outbox", "show", "1", "--output", "json").out)

    assert "HTTP 400: no" in shown.out
    assert "250 ms" in shown.out
    assert [one["reason"] for one in document["attempts_on_record"]] == ["refused", "connect"]
    assert document["attempts_on_record"][0] == {
        "at": 3_000,
        "duration_ms": 250,
        "reason": "refused",
        "status": 400,
        "detail": "HTTP 400: no",
    }
    assert (document["event"]["model_name"], document["sent_as"]) == ("fraud", "")


def test_the_link_to_what_was_started_is_shown(outbox) -> None:
    (entry,) = [one for one in outbox.entries() if one.id == 4]
    done = replace(entry, status=Status.DELIVERED, attempts=1, reason="ok", link="https://ci/runs/7")
    outbox.settle([done])

    shown = outbox.run("outbox", "show", "4")

    assert "link         https://ci/runs/7" in shown.out
    assert (
        json.loads(outbox.run("outbox", "show", "4", "--output", "json").out)["link"] == "https://ci/runs/7"
    )
    assert "link" not in outbox.run("outbox", "show", "1").out


def test_what_the_receiver_of_a_delivery_answered_is_shown(outbox) -> None:
    (entry,) = [one for one in outbox.entries() if one.id == 4]
    told = {"reason": "ok", "detail": "queued as 7", "last_attempt_at": 10_000}
    outbox.settle([replace(entry, status=Status.DELIVERED, attempts=1, **told)])

    shown = outbox.run("outbox", "show", "4")

    assert shown.out.splitlines()[-1].endswith("queued as 7")
    (attempt,) = json.loads(outbox.run("outbox", "show", "4", "--output", "json").out)["attempts_on_record"]
    assert attempt["detail"] == "queued as 7"
    sinks = json.loads(outbox.run("status", "--output", "json").out)["sinks"]
    assert [one["last_detail"] for one in sinks if one["last_outcome"] == "ok"] == [None]


@pytest.mark.parametrize("verb", ["show", "redrive", "drop"])
def test_an_entry_that_there_is_not_is_told(outbox, verb) -> None:
    done = outbox.run("outbox", verb, "99")

    assert (done.code, "there is no entry 99: mlflow-bridge outbox list shows them" in done.err) == (1, True)


@pytest.mark.parametrize("verb", ["redrive", "drop"])
def test_it_has_to_be_said_which_ones(outbox, verb) -> None:
    nothing, both = outbox.run("outbox", verb), outbox.run("outbox", verb, "1", "--all")

    assert (nothing.code, both.code) == (2, 2)
    assert "Give numbers" in nothing.err
    assert "give it alone" in both.err


def test_dead_entries_are_redriven_by_number_sink_model_or_all(outbox) -> None:
    one = outbox.run("outbox", "redrive", "3")
    again = outbox.run("outbox", "redrive", "3")
    model = outbox.run("outbox", "redrive", "--model", "fraud", "--output", "json")
    rest = outbox.run("outbox", "redrive", "--all")

    assert (one.code, one.out) == (0, "redriven: 1 entry to ci\n")
    assert again.out == rest.out == "redriven: 0 entries\n"
    assert json.loads(model.out) == {"redriven": [1, 2]}
    assert {entry["status"] for entry in entries_of(outbox)} == {"pending"}


def test_what_was_overtaken_is_sent_again_only_with_leave(outbox) -> None:
    (newer,) = [entry for entry in outbox.entries() if entry.id == 2]
    outbox.settle([replace(newer, status=Status.DELIVERED, reason="ok")])

    refused = outbox.run("outbox", "redrive", "1")
    done = outbox.run("outbox", "redrive", "1", "--yes")

    assert (refused.code, "There is nobody to ask: add --yes" in refused.err) == (2, True)
    assert "ci has since got something newer than fraud 1 Staging → Production" in refused.err
    assert (done.code, done.out) == (0, "redriven: 1 entry to ci\n")


def test_dropping_asks_and_a_terminal_can_say_no_or_yes(outbox, monkeypatch) -> None:
    refused = outbox.run("outbox", "drop", "1")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _prompt: "n")
    declined = outbox.run("outbox", "drop", "1")
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _prompt: "y")
    done = outbox.run("outbox", "drop", "1")

    assert (refused.code, declined.code, done.code) == (2, 1, 0)
    assert done.out == "dropped: 1 entry to ci\n"
    assert numbers(outbox) == [2, 3, 4]


def test_what_waits_is_dropped_only_where_that_is_said(outbox) -> None:
    dead = outbox.run("outbox", "drop", "--sink", "ci", "--yes", "--output", "json")
    waiting = outbox.run("outbox", "drop", "--all", "--status", "pending", "--yes")

    assert json.loads(dead.out) == {"dropped": [1, 2, 3]}
    assert (waiting.out, numbers(outbox)) == ("dropped: 1 entry to ci\n", [])
    trail = json.loads(outbox.run("events", "list", "--output", "json").out)
    assert [(note["kind"], note["detail"]) for note in trail["notes"]] == [
        ("dropped", "3 entries of ci"),
        ("dropped", "1 entry of ci"),
    ]
    assert len(trail["events"]) == 4


def test_a_replay_counts_what_was_sent_not_what_was_to_be(outbox, monkeypatch) -> None:
    monkeypatch.setattr("bridge.cli.commands.replay._replay", lambda *_, **__: [5])  # one was pruned

    done = outbox.run("replay", "--model", "fraud", "--yes")

    assert done.out == "replayed: 1 entry of 2; the other events are no longer kept\n"


def test_a_replay_says_how_many_and_to_whom_and_asks(outbox) -> None:
    refused = outbox.run("replay", "--model", "fraud")
    done = outbox.run("replay", "--model", "fraud", "--yes")

    assert (refused.code, "Send 2 entries to ci again?" in refused.err) == (2, True)
    assert (done.code, done.out) == (0, "replayed: 2 entries to ci\n")
    new = [entry for entry in entries_of(outbox) if entry["id"] > 4]
    assert [(entry["event_id"], entry["sent_as"]) for entry in new] == [("event-1", ""), ("event-2", "")]


def test_a_replay_goes_to_those_who_ask_for_it_now(outbox) -> None:
    outbox.configure(
        http_sink("https://h", more='models = ["spam"]'),
        http_sink("https://h", "new", more='models = ["fr*"]'),
    )
    done = outbox.run("replay", "--all", "--yes", "--new-ids", "--output", "json")

    assert json.loads(done.out) == {"entries": [5, 6, 7, 8]}
    new = [entry for entry in entries_of(outbox) if entry["id"] > 4]
    assert [(one["sink"], one["event_id"]) for one in new] == [
        ("new", "event-1"),
        ("new", "event-2"),
        ("ci", "event-3"),
        ("ci", "event-4"),
    ]
    assert len({one["sent_as"] for one in new} - {""}) == 4


def test_a_replay_of_nothing_or_to_nobody_says_so(outbox) -> None:
    vague, unknown = outbox.run("replay"), outbox.run("replay", "--all", "--sink", "cj")
    nothing = outbox.run("replay", "--since", "2099-01-01")

    assert (vague.code, "which?" in vague.err) == (2, True)
    assert (unknown.code, "no sink is called 'cj' (there are: ci)" in unknown.err) == (1, True)
    assert nothing.out == "nothing: no recorded event fits, or no sink asks for it\n"


def test_entries_of_a_sink_that_is_gone_are_not_redriven_to_nobody(bridge) -> None:
    bridge.configure(http_sink("https://h"))
    entries = bridge.commit(commit(transition(1), sinks=("old",)))
    bridge.settle([replace(one, **{**REFUSED, "reason": "orphaned"}) for one in entries])

    assert bridge.run("outbox", "redrive", "--all").out == "redriven: 0 entries\n"
