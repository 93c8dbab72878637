"""Whom hints name for an event."""

import pytest
from support.values import transition

from bridge.diff.registry_changes import ChangeKind as K
from bridge.events.change_hints import Hint, with_users


def change(kind, version=None, model="m", **changed):
    return transition(type=kind, model_name=model, model_version=version, changed=changed)


def users(events, *hints):
    return [event.user_id for event in with_users(events, hints)]


MOVE = {"version": "1", "stage": "Production"}

CASES = {
    "registered-models/create": (change(K.MODEL_CREATED, description=None), {}),
    "registered-models/delete": (change(K.MODEL_DELETED), {}),
    "registered-models/update": (change(K.MODEL_UPDATED, description="d"), {"description": "d"}),
    "registered-models/set-tag": (change(K.MODEL_TAG_SET, key="k", value="v"), {"key": "k", "value": "v"}),
    "registered-models/delete-tag": (change(K.MODEL_TAG_DELETED, key="k", previous_value="v"), {"key": "k"}),
    "registered-models/set-alias": (change(K.ALIAS_SET, "2", alias="a"), {"alias": "a", "version": "2"}),
    "registered-models/delete-alias": (change(K.ALIAS_DELETED, "2", alias="a"), {"alias": "a"}),
    "model-versions/create": (change(K.VERSION_CREATED, "2"), {"version": "2", "source": "s3://x"}),
    "model-versions/delete": (change(K.VERSION_DELETED, "2"), {"version": "2"}),
    "model-versions/update": (change(K.VERSION_UPDATED, "2", description=None), {"version": "2"}),
    "model-versions/set-tag": (
        change(K.VERSION_TAG_SET, "2", key="k", value="v"),
        {"version": "2", "key": "k", "value": "v"},
    ),
    "model-versions/delete-tag": (change(K.VERSION_TAG_DELETED, "2", key="k"), {"version": "2", "key": "k"}),
    "model-versions/transition-stage": (transition(), MOVE),
}


@pytest.mark.parametrize(("operation", "case"), CASES.items(), ids=CASES)
def test_the_hint_of_a_change_names_its_user_and_that_of_any_other_does_not(operation, case) -> None:
    event, arguments = case
    assert users([event], Hint("m", operation, arguments, "ann")) == ["ann"]
    assert users([event], Hint("other", operation, arguments, "ann")) == [None]
    assert users([event], Hint("m", "", {}, "ann")) == [None]
    for name in arguments:
        if name != "source":
            assert users([event], Hint("m", operation, {**arguments, name: "else"}, "ann")) == [None]
    for other, (theirs, _) in CASES.items():
        if other != operation:
            assert users([theirs], Hint("m", operation, arguments, "ann")) == [None]


def test_a_rename_is_named_by_both_names() -> None:
    event = change(K.MODEL_RENAMED, model="n", previous_name="m")
    hint = Hint("m", "registered-models/rename", {"new_name": "n"}, "ann")
    assert hint.models == ("m", "n")
    assert users([event], hint) == ["ann"]
    assert users([event], Hint("m", "registered-models/rename", {"new_name": "x"}, "ann")) == [None]


def test_what_a_transition_archived_is_by_the_same_user() -> None:
    archived = transition(2, model_version="2", changed={"to_stage": "Archived", "from_stage": "Production"})
    hint = Hint("m", "model-versions/transition-stage", MOVE, "ann")
    with_it = Hint(
        "m", "model-versions/transition-stage", {**MOVE, "archive_existing_versions": "true"}, "ann"
    )
    assert users([transition(), archived], hint) == ["ann", None]
    assert users([transition(), archived], with_it) == ["ann", "ann"]


def test_if_several_may_have_made_it_it_is_nobodys() -> None:
    by = [Hint("m", "model-versions/transition-stage", MOVE, user) for user in ("ann", "bob", None)]
    assert users([transition()], by[0], by[0]) == ["ann"]
    assert users([transition()], by[0], by[1]) == [None]
    assert users([transition()], by[0], by[2]) == [None]


def test_a_user_whom_the_registry_names_stays() -> None:
    hint = Hint("m", "model-versions/transition-stage", MOVE, "ann")
    assert users([transition(user_id="cid")], hint) == ["cid"]
