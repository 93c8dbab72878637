"""Is all well, and what helps where it is not?"""

import logging
from collections.abc import Iterator
from dataclasses import replace

import pytest
import structlog
from support.page_story import NOW, Story

from bridge.diff.malformed_rows import OddRow
from bridge.server.page.problem_advice import Level, findings
from bridge.server.page.status_page_data import Pulse, View
from bridge.store.state_metadata import PollRecord

WELL = View(NOW, {"uri": "http://r"}, PollRecord(NOW, "ok", NOW))
SINK = {
    "name": "ci",
    "condition": "running",
    "condition_since": None,
    "condition_why": None,
    "pending": 0,
    "dead": 0,
    "oldest_age_seconds": None,
    "next_attempt_seconds": None,
    "last_outcome": "ok",
    "last_detail": None,
}
WAITING = {"pending": 3, "oldest_age_seconds": 60, "next_attempt_seconds": 40}


def found(**facts) -> list[tuple[Level, str]]:
    view = replace(WELL, sinks=[{**SINK, **facts}])
    return [(one.level, one.what) for one in findings(view)]


def commands(**facts) -> list[str]:
    return [text for one in findings(replace(WELL, sinks=[{**SINK, **facts}])) for text in one.commands]


def test_nothing_is_found_where_all_is_well() -> None:
    assert found() == []
    assert found(**WAITING) == []  # on its way


def test_a_registry_that_cannot_be_read_is_told_with_its_error() -> None:
    failed = PollRecord(NOW, "failed", NOW - 60_000, error="refused")
    (one,) = findings(replace(WELL, sinks=[SINK], poll=failed))

    assert (one.level, one.why, one.commands) == (Level.ACT, "refused", ("mlflow-bridge check --connect",))
    assert "2026-11-24 03:01:11Z" in one.what
    (never,) = findings(replace(WELL, sinks=[SINK], poll=replace(failed, succeeded_at=None)))
    assert "no poll has gone well yet" in never.what


def test_a_configuration_that_was_refused_is_told_with_its_errors() -> None:
    (one,) = findings(replace(WELL, sinks=[SINK], refusal="sinks[0].url: is missing"))

    assert (one.level, one.why) == (Level.ACT, "sinks[0].url: is missing")
    assert one.commands == ("mlflow-bridge check", "mlflow-bridge reload")


def test_a_hold_is_told_with_the_way_to_accept_it() -> None:
    (one,) = findings(replace(WELL, sinks=[SINK], held={"why": "2,000 events", "digest": "d"}))

    assert (one.level, one.why) == (Level.ACT, "2,000 events")
    assert one.commands == ("mlflow-bridge diff", "mlflow-bridge once --accept-held")


def test_rows_that_are_left_aside_are_worth_knowing() -> None:
    rows = (OddRow("", why="the server fails"), OddRow("churn", "1", "no time"), OddRow("a"), OddRow("b"))
    (one,) = findings(replace(WELL, sinks=[SINK], poll=replace(WELL.poll, odd_rows=rows)))

    assert (one.level, one.what) == (Level.NOTE, "Left aside: 4 of the registry's rows")
    assert one.why == "one without a name: the server fails, churn: no time, a: "


def test_models_in_doubt_are_told_unless_the_hold_says_so_already() -> None:
    poll = PollRecord(NOW, "ok", NOW, doubted=("churn",))
    (one,) = findings(replace(WELL, sinks=[SINK], poll=poll))

    assert (one.level, one.why) == (Level.NOTE, "churn")
    (held,) = findings(replace(WELL, sinks=[SINK], poll=poll, held={"why": "w", "digest": "d"}))
    assert held.level is Level.ACT


@pytest.mark.parametrize(
    ("pulse", "words"),
    [
        (Pulse(is_relay_stuck=True), "The state cannot be written"),
        (Pulse(polling_for=600_000, is_polling_stuck=True), "under way for 10m, far beyond its deadline"),
    ],
)
def test_a_loop_that_is_stuck_is_told(pulse, words) -> None:
    (one,) = findings(replace(WELL, sinks=[SINK], pulse=pulse))

    assert one.level is Level.ACT
    assert words in one.what


@pytest.mark.parametrize(
    ("outcome", "age", "level", "how"),
    [
        ("connect", 60, Level.NOTE, "fails"),
        ("connect", 600, Level.ACT, "fails"),
        ("misconfigured", 1, Level.ACT, "fails"),
        ("secret", 1, Level.ACT, "fails"),
        ("ok", 600, Level.ACT, "lags behind"),
        (None, 600, Level.ACT, "lags behind"),
    ],
)
def test_a_backlog_is_judged_by_what_came_of_the_last_attempt_and_by_its_age(
    outcome, age, level, how
) -> None:
    facts = {**WAITING, "oldest_age_seconds": age, "last_outcome": outcome}
    ((judged, what),) = found(**facts)

    assert judged is level
    assert what.startswith(f"ci {how}: 3 entries wait, the oldest for")
    assert commands(**facts) == ["mlflow-bridge sinks test ci", "mlflow-bridge outbox list --sink ci"]


def test_a_sink_whose_circuit_is_open_takes_nothing() -> None:
    ((_, what),) = found(**WAITING, condition="failing", last_outcome="timeout")

    assert what.startswith("ci takes nothing: 3 entries wait")


def test_a_stopped_sink_has_to_be_resumed_and_a_paused_one_is_meant() -> None:
    gone = {"condition_since": NOW, "condition_why": "HTTP 410"}

    assert [level for level, _ in found(condition="stopped", **gone)] == [Level.ACT]
    assert [level for level, _ in found(condition="paused", **gone)] == [Level.NOTE]
    for condition in ("stopped", "paused"):
        assert commands(condition=condition, **gone) == ["mlflow-bridge sinks resume ci"]


def test_what_waits_for_a_sink_that_is_gone_can_be_dropped() -> None:
    assert found(condition="orphaned") == []
    assert commands(condition="orphaned", **WAITING) == [
        "mlflow-bridge outbox drop --sink ci --status pending"
    ]
    assert commands(condition="orphaned", dead=2)[-1] == "mlflow-bridge outbox drop --sink ci"


def test_dead_letters_come_beside_whatever_else_there_is() -> None:
    told = found(dead=1, condition="paused", condition_since=NOW, condition_why="by an operator")

    assert [level for level, _ in told] == [Level.ACT, Level.NOTE]
    assert told[0][1] == "ci: 1 dead letter, not delivered and not tried again"


def test_a_bridge_without_sinks_and_polls_says_so() -> None:
    told = [one.what for one in findings(View(NOW, {"uri": "http://r"}))]

    assert told == ["No poll has ended yet", "There are no sinks"]


@pytest.fixture
def own_logs() -> Iterator[None]:
    """Commands decide how this process logs."""
    yield
    structlog.reset_defaults()
    logging.basicConfig(force=True)


def test_every_command_that_is_advised_exists(monkeypatch, own_logs) -> None:
    from click.testing import CliRunner

    from bridge.cli.command_group import cli

    monkeypatch.setenv("GITHUB_TOKEN", "x")
    held = {"why": "w", "digest": "d"}
    failed = PollRecord(NOW, "failed", None, error="e")
    views = [
        Story().view(),
        replace(WELL, poll=failed, held=held, sinks=[]),
        *(
            replace(WELL, sinks=[{**SINK, **WAITING, "condition": condition, "condition_why": "", "dead": 1}])
            for condition in ("paused", "stopped", "orphaned", "failing")
        ),
    ]
    advised = {command for view in views for one in findings(view) for command in one.commands}
    assert len(advised) > 10
    for command in advised:
        done = CliRunner().invoke(cli, [*command.split()[1:], "--config", "/nowhere/config.toml"])
        assert done.exit_code == 78 or "nowhere" in str(done.exception), (command, done.output)
