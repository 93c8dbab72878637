"""``status``, from a state that the test wrote."""

import json
import time
from dataclasses import replace

from support.values import commit

from bridge.diff.malformed_rows import OddRow
from bridge.store.state_metadata import PollRecord, ReconcileRecord

SINCE = 1_790_000_000_000


def test_rows_that_are_left_aside_are_named_with_the_reason(bridge) -> None:
    rows = (
        OddRow("", why="the server fails on one row (after 'a'): its log says more", since=SINCE),
        OddRow("churn", "1", "its creation time is 0", SINCE),
        OddRow("fraud", "", "its creation time is \x1b[31mred", SINCE),
    )
    done = commit()
    bridge.commit(replace(done, record=replace(done.record, odd_rows=rows)))

    told = json.loads(bridge.run("status", "--output", "json").out)
    table = bridge.run("status").out

    assert [(row["model"], row["version"], row["since"]) for row in told["left_aside"]] == [
        ("", "", SINCE),
        ("churn", "1", SINCE),
        ("fraud", "", SINCE),
    ]
    assert "left aside version 1 of churn: its creation time is 0 (since 2026-" in table
    assert "left aside a row without a name: the server fails on one row (after 'a')" in table
    assert "\x1b" not in table


def test_where_every_row_is_read_nothing_is_left_aside(bridge) -> None:
    bridge.commit(commit())

    assert json.loads(bridge.run("status", "--output", "json").out)["left_aside"] == []
    assert "left aside" not in bridge.run("status").out


def test_model_scans_are_told_beside_the_full_scan_that_they_make_rarer(bridge) -> None:
    now = time.time_ns() // 1_000_000
    listed = PollRecord(
        now, "ok", now, 40, kind="fast", models_listed_at=now - 60_000, models_listed_in_ms=12_000
    )
    last = ReconcileRecord(now - 600_000, 48_000, went_well=True)
    bridge.commit(replace(commit(), record=listed, reconciled=last))
    told = json.loads(bridge.run("status", "--output", "json").out)["full_scan"]

    assert told["model_scan"] == {"at": now - 60_000, "duration_ms": 12_000, "every_ms": 300_000}
    assert (told["every_ms"], told["is_slowed_by_share"]) == (4_800_000, True)
    assert "of models without versions every 5m" in bridge.run("status").out
