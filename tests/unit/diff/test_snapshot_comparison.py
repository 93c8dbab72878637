"""Comparing two snapshots."""

from dataclasses import replace

import pytest
from hypothesis import given
from support.apply import applied, observable
from support.strategies import snapshots

from bridge.diff.previously_hidden_models import Horizon
from bridge.diff.registry_changes import Change, Flag
from bridge.diff.registry_changes import ChangeKind as K
from bridge.diff.snapshot import ModelVersion, RegisteredModel
from bridge.diff.snapshot_comparison import compare

VERSION = ModelVersion("1", created=110, updated=110, user_id="ann")
MODEL = RegisteredModel("m", created=100, updated=110, versions={"1": VERSION})


def changes(before, after, **options) -> list[Change]:
    return [change for one in compare(before, after, **options) for change in one.changes]


def kinds(before, after) -> list[str]:
    return [change.kind.name for change in changes(before, after)]


def having(model: RegisteredModel, *versions: ModelVersion, **fields) -> dict[str, RegisteredModel]:
    owned = {version.version: version for version in versions} or model.versions
    changed = replace(model, versions=owned, **fields)
    return {changed.name: changed}


@given(snapshots())
def test_equal_snapshots_have_no_difference(snapshot) -> None:
    assert compare(snapshot, dict(snapshot)) == []


@given(snapshots(), snapshots())
def test_applying_the_changes_to_before_gives_after(before, after) -> None:
    assert observable(after) == observable(applied(before, changes(before, after)))


@given(snapshots(), snapshots())
def test_changes_of_one_model_come_in_the_promised_order(before, after) -> None:
    rank = {
        K.MODEL_DELETED: 0,
        K.MODEL_CREATED: 1,
        K.MODEL_RENAMED: 2,
        K.MODEL_UPDATED: 3,
        K.VERSION_CREATED: 4,
        K.TRANSITIONED: 5,
        K.ALIAS_SET: 6,
        K.VERSION_DELETED: 9,
    }
    for one in compare(before, after):
        ranks = [rank[change.kind] for change in one.changes if change.kind in rank]
        assert ranks == sorted(ranks)


@given(snapshots(), snapshots())
def test_deletions_of_models_come_before_everything_else(before, after) -> None:
    deletions = [change.kind is K.MODEL_DELETED for change in changes(before, after)]
    assert deletions == sorted(deletions, reverse=True)


def test_a_transition_tells_from_to_and_the_registry_own_time() -> None:
    after = having(MODEL, replace(VERSION, stage="Production", updated=150))

    (change,) = changes({"m": MODEL}, after)

    assert (
        change.kind,
        change.before,
        change.after,
        change.changed_at,
        change.user_id,
        change.flags,
    ) == (K.TRANSITIONED, "None", "Production", 150, "ann", ())


def test_a_new_version_in_a_stage_is_created_and_then_transitioned_from_none() -> None:
    second = ModelVersion("2", 120, 130, stage="Staging", tags=(("k", "v"),))

    found = changes({"m": MODEL}, having(MODEL, VERSION, second, aliases=(("champion", "2"),)))

    assert [c.kind.name for c in found] == ["VERSION_CREATED", "TRANSITIONED", "ALIAS_SET", "VERSION_TAG_SET"]
    assert (
        found[1].before,
        found[1].after,
        found[1].changed_at,
        found[1].flags,
    ) == ("None", "Staging", 130, (Flag.FIRST_SEEN,))


def test_a_new_model_is_told_in_full() -> None:
    model = replace(MODEL, description="d", tags=(("t", "1"),), aliases=(("a", "1"),))

    found = changes({}, {"m": model})

    assert [c.kind.name for c in found] == ["MODEL_CREATED", "VERSION_CREATED", "ALIAS_SET", "MODEL_TAG_SET"]
    assert found[0].details == (("description", "d"),)


def test_deleting_a_model_yields_one_change_alone() -> None:
    assert kinds({"m": replace(MODEL, aliases=(("a", "1"),))}, {}) == ["MODEL_DELETED"]


def test_deleting_a_version_tells_its_aliases_first() -> None:
    before = {"m": replace(MODEL, aliases=(("a", "1"), ("b", "1")))}
    after = {"m": replace(MODEL, versions={})}

    found = changes(before, after)

    assert [(c.kind.name, c.key) for c in found] == [
        ("ALIAS_DELETED", "a"),
        ("ALIAS_DELETED", "b"),
        ("VERSION_DELETED", None),
    ]
    assert {"ann"} == {c.user_id for c in found}


def test_an_alias_that_moved_is_one_change_with_the_version_before() -> None:
    second = replace(VERSION, version="2", created=120)
    before = having(MODEL, VERSION, second, aliases=(("champion", "1"),))
    after = having(MODEL, VERSION, second, aliases=(("champion", "2"),))

    (change,) = changes(before, after)

    assert (change.kind, change.key, change.version, change.before) == (K.ALIAS_SET, "champion", "2", "1")


def test_a_model_deleted_and_created_under_its_name_is_another_model() -> None:
    other = RegisteredModel("m", created=500, updated=500)

    assert kinds({"m": MODEL}, {"m": other}) == ["MODEL_DELETED", "MODEL_CREATED"]


def test_a_rename_is_one_change() -> None:
    (change,) = changes({"m": MODEL}, {"n": replace(MODEL, name="n", updated=160)})

    assert (
        change.kind,
        change.model,
        change.before,
        change.after,
        change.changed_at,
    ) == (K.MODEL_RENAMED, "n", "m", "n", 160)


def test_a_chain_of_renames_is_followed() -> None:
    first, second = MODEL, replace(MODEL, name="c", created=200, versions={})
    after = {"b": replace(first, name="b"), "m": replace(second, name="m")}

    assert sorted((c.before, c.after) for c in changes({"m": first, "c": second}, after)) == [
        ("c", "m"),
        ("m", "b"),
    ]


def test_models_of_the_same_millisecond_are_told_apart_by_their_versions() -> None:
    other = replace(MODEL, name="o", versions={"1": replace(VERSION, created=111)})
    after = {"x": replace(other, name="x"), "y": replace(MODEL, name="y")}

    assert sorted((c.before, c.after) for c in changes({"m": MODEL, "o": other}, after)) == [
        ("m", "y"),
        ("o", "x"),
    ]


def test_an_ambiguous_rename_is_a_flagged_deletion_and_creation() -> None:
    empty = replace(MODEL, versions={})
    before = {"m": empty, "o": replace(empty, name="o")}
    after = {"x": replace(empty, name="x"), "y": replace(empty, name="y")}

    found = changes(before, after, horizon=Horizon(models=10_000))

    assert [c.kind.name for c in found] == [
        "MODEL_DELETED",
        "MODEL_DELETED",
        "MODEL_CREATED",
        "MODEL_CREATED",
    ]
    assert {(Flag.AMBIGUOUS_RENAME,)} == {c.flags for c in found}


def test_a_model_older_than_the_last_full_scan_appeared_and_is_not_announced() -> None:
    (one,) = compare({}, {"m": MODEL}, horizon=Horizon(models=101))

    assert (one.appeared, one.changes) == (True, ())


def test_a_model_newer_than_the_last_full_scan_is_announced() -> None:
    assert [c.kind for c in changes({}, {"m": MODEL}, horizon=Horizon(models=100))] == [
        K.MODEL_CREATED,
        K.VERSION_CREATED,
    ]


def test_a_version_older_than_a_baseline_in_pages_is_taken_in_with_all_it_has_and_not_announced() -> None:
    skipped = replace(VERSION, version="2", created=90, updated=99, stage="Production", tags=(("k", "v"),))
    new = replace(VERSION, version="3", created=100)
    after = having(MODEL, VERSION, skipped, new)

    (one,) = compare({"m": MODEL}, after, Horizon(versions=100))

    assert one.surfaced == ("2",)
    assert [(c.kind, c.version) for c in one.changes] == [(K.VERSION_CREATED, "3")]
    assert one.after == after["m"]


def test_a_number_that_stands_for_an_older_version_is_no_version_that_was_skipped() -> None:
    (one,) = compare(
        {"m": MODEL}, having(MODEL, replace(VERSION, created=90, updated=90)), Horizon(versions=100)
    )

    assert one.surfaced == ()
    assert [c.kind for c in one.changes] == [K.VERSION_CREATED, K.VERSION_DELETED]


def test_a_moved_timestamp_alone_is_a_difference_without_changes() -> None:
    (one,) = compare({"m": MODEL}, {"m": replace(MODEL, updated=999)})

    assert one.changes == ()


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("description", "new", K.VERSION_UPDATED),
        ("status", "FAILED_REGISTRATION", K.STATUS_CHANGED),
        ("tags", (("k", "v"),), K.VERSION_TAG_SET),
    ],
)
def test_each_field_of_a_version_has_its_change(field, value, kind) -> None:
    after = having(MODEL, replace(VERSION, **{field: value}))

    assert [kind] == [c.kind for c in changes({"m": MODEL}, after)]


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [("description", "new", K.MODEL_UPDATED), ("tags", (("k", "v"),), K.MODEL_TAG_SET)],
)
def test_each_field_of_a_model_has_its_change(field, value, kind) -> None:
    assert [kind] == [c.kind for c in changes({"m": MODEL}, having(MODEL, **{field: value}))]


def test_a_tag_without_value_now_was_deleted() -> None:
    before = having(MODEL, replace(VERSION, tags=(("k", "v"),)), tags=(("t", "1"),))

    assert kinds(before, {"m": MODEL}) == ["MODEL_TAG_DELETED", "VERSION_TAG_DELETED"]
