"""What a listing leaves in doubt."""

from dataclasses import replace

import pytest
from hypothesis import given
from support.strategies import snapshots

from bridge.diff.absence_verification import Absence, Doubt, Listing, doubts, resolve, vanished
from bridge.diff.known_snapshot import PlainModels
from bridge.diff.snapshot import ModelVersion, RegisteredModel
from bridge.diff.snapshot_comparison import compare

VERSION = ModelVersion("1", created=110, updated=170)
MODEL = RegisteredModel("m", created=100, updated=120, versions={"1": VERSION})


@given(snapshots())
def test_a_listing_that_shows_what_is_known_leaves_no_doubt(snapshot) -> None:
    assert doubts(PlainModels(snapshot), Listing(snapshot)) == []


def test_a_missing_model_is_asked_for() -> None:
    assert [Doubt("m", MODEL)] == doubts(PlainModels({"m": MODEL}), Listing({}))
    assert vanished(PlainModels({"m": MODEL}), Listing({})) == ["m"]


def test_a_missing_version_is_asked_for() -> None:
    listing = Listing({"m": replace(MODEL, versions={})})

    assert [Doubt("m", MODEL)] == doubts(PlainModels({"m": MODEL}), listing)


def test_a_version_number_that_stands_for_another_version_is_asked_for() -> None:
    replaced = replace(MODEL, versions={"1": replace(VERSION, created=115)})

    assert [Doubt("m", MODEL)] == doubts(PlainModels({"m": MODEL}), Listing({"m": replaced}))


TAGGED = replace(
    MODEL,
    tags=(("k", "v"),),
    aliases=(("champion", "1"),),
    versions={"1": replace(VERSION, tags=(("k", "v"), ("l", "w")))},
)


@pytest.mark.parametrize(
    "torn",
    [
        replace(TAGGED, tags=()),
        replace(TAGGED, aliases=()),
        replace(TAGGED, versions={"1": VERSION}),
        replace(TAGGED, aliases=(("champion", "2"),)),
    ],
    ids=["no tags", "no aliases", "no tags of a version", "alias of no version"],
)
def test_a_model_whose_parts_may_be_of_two_moments_is_asked_for(torn) -> None:
    assert [Doubt("m", TAGGED)] == doubts(PlainModels({"m": TAGGED}), Listing({"m": torn}))


def test_a_tag_less_and_a_new_version_are_no_doubt() -> None:
    versions = {"1": replace(VERSION, tags=(("k", "v"),)), "2": ModelVersion("2", 180, 180)}
    changed = replace(TAGGED, updated=180, versions=versions)

    assert doubts(PlainModels({"m": TAGGED}), Listing({"m": changed})) == []


def test_a_model_that_was_replaced_as_a_whole_leaves_no_doubt() -> None:
    assert doubts(PlainModels({"m": MODEL}), Listing({"m": RegisteredModel("m", 500, 500)})) == []


def test_a_model_that_only_its_versions_tell_of_is_asked_for() -> None:
    assert [Doubt("new")] == doubts(PlainModels({}), Listing({}, orphans=frozenset({"new"})))


def test_a_model_listed_under_its_old_and_its_new_name_is_asked_for() -> None:
    listing = Listing({"m": MODEL, "n": replace(MODEL, name="n")})

    assert doubts(PlainModels({"m": MODEL}), listing) == [Doubt("m", MODEL), Doubt("n")]


def test_two_new_models_of_one_millisecond_may_be_one_that_was_renamed() -> None:
    new = {name: replace(MODEL, name=name, created=999) for name in ("x", "y")}

    assert doubts(PlainModels({"m": MODEL}), Listing({"m": MODEL, **new})) == [Doubt("x"), Doubt("y")]
    assert doubts(PlainModels({}), Listing(new)) == []


def test_an_unknown_model_that_shows_under_a_new_name_was_renamed() -> None:
    renamed = replace(MODEL, name="n")

    _, after = resolve(PlainModels({"m": MODEL}), Listing({"n": renamed}), {"m": Absence.UNKNOWN})

    assert after == {"n": renamed}


def test_a_rebaseline_forgets_what_is_unknown() -> None:
    assert (
        resolve(PlainModels({"m": MODEL}), Listing({}), {"m": Absence.UNKNOWN}, keep_unknown=False)[1] == {}
    )


def test_gone_means_gone_and_unknown_means_as_before() -> None:
    before = {"m": MODEL, "n": replace(MODEL, name="n", created=101)}

    _, after = resolve(PlainModels(before), Listing({}), {"m": Absence.GONE, "n": Absence.UNKNOWN})

    assert {"n": before["n"]} == after


def test_a_refused_model_that_was_never_known_stays_unknown() -> None:
    assert resolve(PlainModels({}), Listing({}), {"x": Absence.UNKNOWN}) == ({}, {})


def test_an_answer_outweighs_the_listing() -> None:
    answer = replace(MODEL, updated=500)

    assert {"m": answer} == resolve(PlainModels({"m": MODEL}), Listing({"m": MODEL}), {"m": answer})[1]


def test_a_rename_between_two_pages_is_one_rename() -> None:
    renamed = replace(MODEL, name="n")
    listing = Listing({"m": MODEL, "n": renamed})

    (one,) = compare(*resolve(PlainModels({"m": MODEL}), listing, {"m": Absence.GONE}))

    assert [change.kind.value for change in one.changes] == ["REGISTERED_MODEL_RENAMED"]


def test_a_listed_model_that_was_renamed_to_a_known_name_is_not_kept_under_its_old_one() -> None:
    other = RegisteredModel("other", created=50, updated=60)
    renamed = replace(MODEL, name="other", updated=700)
    known = PlainModels({"m": MODEL, "other": other})

    _, after = resolve(known, Listing({}, same={"m"}), {"other": renamed, "m": Absence.GONE})

    assert after == {"other": renamed}
