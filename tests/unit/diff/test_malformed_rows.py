"""Rows that are left aside: what stands, what is new, since when."""

import json

from bridge.diff.malformed_rows import (
    MOST_KEPT,
    OddRow,
    aside_since,
    skipped_row_changes,
    skipped_rows,
    with_unnamed_rows,
)
from bridge.store.state_metadata import PollRecord

CHURN = OddRow("churn", "1", "odd", since=10)
FRAUD = OddRow("fraud", "", "odd", since=20)


def test_a_row_is_left_aside_since_it_was_first() -> None:
    found = [OddRow("churn", "1", "odd in another way"), OddRow("new", "", "odd")]

    assert skipped_rows([CHURN], found, 50, is_complete=True) == (
        OddRow("churn", "1", "odd in another way", 10),
        OddRow("new", "", "odd", 50),
    )


def test_only_a_full_scan_tells_that_a_row_is_odd_no_more() -> None:
    assert skipped_rows([CHURN, FRAUD], [], 50, is_complete=False) == (CHURN, FRAUD)
    assert skipped_rows([CHURN, FRAUD], [FRAUD], 50, is_complete=True) == (FRAUD,)


def test_a_bounded_number_is_kept() -> None:
    many = [OddRow(f"m{number:04}") for number in range(MOST_KEPT + 5)]

    assert len(skipped_rows([], many, 50, is_complete=True)) == MOST_KEPT


def test_what_is_new_is_told_apart_from_what_stands() -> None:
    assert skipped_row_changes([CHURN], [OddRow("churn", "1", "odd in another way", 10), FRAUD]) == (
        [FRAUD],
        [],
    )
    assert skipped_row_changes([CHURN, FRAUD], [CHURN]) == ([], [FRAUD])


def test_a_model_counts_from_its_oldest_row() -> None:
    assert aside_since([OddRow("churn", "2", since=30), CHURN, FRAUD]) == {"churn": 10, "fraud": 20}


def test_what_a_poll_left_aside_survives_a_restart() -> None:
    record = PollRecord(1, "ok", odd_rows=(CHURN, FRAUD))

    assert PollRecord.from_document(json.loads(json.dumps(record.to_document()))) == record


def test_rows_without_a_name_are_told_as_far_as_named_ones_do_not_account_for_them() -> None:
    unnamed = [OddRow("", why="after 'a'"), OddRow("", why="after 'b'")]

    assert with_unnamed_rows([], unnamed) == unnamed
    assert with_unnamed_rows([CHURN], unnamed) == [CHURN, unnamed[1]]
    assert with_unnamed_rows([CHURN, FRAUD], unnamed) == [CHURN, FRAUD]
