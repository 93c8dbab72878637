"""Holding kinds of changes back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import snapshots

from bridge.diff.held_changes import withhold_changes
from bridge.diff.registry_changes import ChangeKind as K
from bridge.diff.snapshot_comparison import compare


def kinds_of(before, after) -> set[K]:
    return {change.kind for difference in compare(before, after) for change in difference.changes}


@given(snapshots(), snapshots(), st.sets(st.sampled_from(list(K))))
def test_what_is_held_is_not_told(before, after, held) -> None:
    assert not kinds_of(before, withhold_changes(before, after, held)) & held - {K.ALIAS_DELETED, K.ALIAS_SET}


@given(snapshots(), snapshots())
def test_nothing_held_changes_nothing_and_everything_held_is_the_state_before(before, after) -> None:
    assert withhold_changes(before, after, ()) == after
    assert kinds_of(before, withhold_changes(before, after, list(K))) == set()


@given(snapshots(), snapshots(), st.sets(st.sampled_from(list(K))))
def test_what_is_held_is_told_later_and_the_registry_is_reached(before, after, held) -> None:
    between = withhold_changes(before, after, held)

    assert withhold_changes(between, after, ()) == after
    assert kinds_of(between, after) or not (kinds_of(before, after) & held)


@pytest.mark.parametrize("kind", [K.VERSION_TAG_SET, K.MODEL_TAG_SET, K.MODEL_UPDATED])
@given(before=snapshots(), after=snapshots())
def test_promotions_go_on_while_details_are_held(kind, before, after) -> None:
    def transitions(snapshot) -> list:
        found = [c for difference in compare(before, snapshot) for c in difference.changes]
        return [(c.model, c.version, c.before, c.after) for c in found if c.kind is K.TRANSITIONED]

    assert transitions(withhold_changes(before, after, {kind})) == transitions(after)
