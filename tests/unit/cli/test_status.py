"""``status``, from a state that the test wrote."""

import json
from dataclasses import replace

from support.values import commit

from bridge.diff.malformed_rows import OddRow

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
