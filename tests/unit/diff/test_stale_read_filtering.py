"""What of a reading is believed, part by part."""

from dataclasses import replace

import pytest
from support.values import model

from bridge.delivery.storm_guard import hold_older
from bridge.diff.previously_hidden_models import Horizon
from bridge.diff.recently_replaced_values import OVERLAP_MS, RecentlyReplacedValues, Superseded, superseded_by
from bridge.diff.snapshot import ModelVersion, RegisteredModel
from bridge.diff.snapshot_comparison import ModelDifference
from bridge.diff.stale_read_filtering import filter_stale_reads
from bridge.diff.timestamp_regressions import RACE_MS, Caution, TimestampRegression

NOW = 10_000_000
ONE = ModelVersion("1", 100, 1_000_000, "Production")
TWO = ModelVersion("2", 200, 200, tags=(("k", "1"),))
KNOWN = RegisteredModel("m", 100, 1_000_000, "d", (("t", "1"),), (("champion", "1"),), {"1": ONE, "2": TWO})
LATELY = RecentlyReplacedValues((), baseline_at=NOW - 1_000, scanned_at=NOW - 1_000)
LONG_AGO = RecentlyReplacedValues((), baseline_at=0, scanned_at=NOW - 1_000)


def believed(
    new: RegisteredModel | None,
    memory: RecentlyReplacedValues = LATELY,
    caution=Caution.TRUSTING,
    now: int = NOW,
):
    return filter_stale_reads({"m": KNOWN}, {new.name: new} if new else {}, memory, now, caution)


def back(by: int, **fields) -> RegisteredModel:
    return replace(KNOWN, updated=KNOWN.updated - by, **fields)


@pytest.mark.parametrize(
    ("by", "memory", "caution", "later", "is_believed"),
    [
        (1, LATELY, Caution.TRUSTING, 0, True),  # writers at once
        (RACE_MS, LATELY, Caution.TRUSTING, 0, True),
        (RACE_MS + 1, LATELY, Caution.TRUSTING, 0, False),  # clocks that differ, perhaps
        (RACE_MS + 1, LATELY, Caution.TRUSTING, OVERLAP_MS, True),
        (1, LATELY, Caution.WARY, 0, False),
        (1, LATELY, Caution.WARY, OVERLAP_MS, True),
        (OVERLAP_MS, LATELY, Caution.TRUSTING, OVERLAP_MS, True),
        (OVERLAP_MS + 1, LATELY, Caution.TRUSTING, OVERLAP_MS, False),  # a backup
        (1, LONG_AGO, Caution.TRUSTING, OVERLAP_MS, False),
    ],
)
def test_a_time_that_went_back(by, memory, caution, later, is_believed) -> None:
    read = back(by, description="other", aliases=(("champion", "2"),))
    seen = believed(read, memory, caution, NOW + later)

    assert seen.after["m"] == (read if is_believed else KNOWN)
    assert seen.doubtful == {"m"}
    assert seen.withheld == (set() if is_believed else {"m"})


def test_parts_that_went_on_are_believed_beside_one_that_went_back() -> None:
    older, newer = replace(ONE, updated=100, stage="None"), replace(TWO, updated=2_000_000, stage="Staging")
    seen = believed(replace(KNOWN, versions={"1": older, "2": newer}), LONG_AGO)

    assert seen.after["m"].versions == {"1": ONE, "2": newer}
    assert [(sign.version, sign.is_certain) for sign in seen.signs] == [("1", True)]


def test_in_a_picture_that_is_certainly_old_nothing_without_a_time_is_believed() -> None:
    other = replace(KNOWN, name="n", created=7)
    gone = replace(KNOWN, name="gone", created=8)
    bare = replace(other, tags=(), aliases=(), versions={"1": replace(ONE, tags=(("k", "2"),))})
    hidden = RegisteredModel("hidden", 9, 9)
    fresh = RegisteredModel("fresh", 5_000_000, 5_000_000)
    seen = filter_stale_reads(
        {"m": KNOWN, "n": other, "gone": gone},
        {"m": back(900_000), "n": bare, "hidden": hidden, "fresh": fresh},
        LONG_AGO,
        NOW,
        horizon=Horizon(models=4_000_000),
    )

    assert seen.after == {"m": KNOWN, "n": other, "gone": gone, "fresh": fresh}
    assert seen.withheld == {"m", "n", "gone", "hidden"}


def test_in_such_a_picture_a_new_version_is_believed_if_its_model_went_on() -> None:
    three = ModelVersion("3", 2_000_000, 2_000_000)
    other = replace(KNOWN, name="n", created=7)
    for updated, is_believed in ((2_000_000, True), (other.updated, False)):
        read = replace(other, updated=updated, versions={**other.versions, "3": three})
        seen = filter_stale_reads({"m": KNOWN, "n": other}, {"m": back(900_000), "n": read}, LONG_AGO, NOW)
        assert ("3" in seen.after["n"].versions) is is_believed


def moved(by: int = 1, **fields) -> tuple[RecentlyReplacedValues, RegisteredModel]:
    """Return the memory of a change of ``KNOWN`` a second ago, and the model as it is known since."""
    now = replace(KNOWN, updated=KNOWN.updated + by, **fields)
    entries = superseded_by([ModelDifference(KNOWN, now, ())], NOW - 1_000)
    return RecentlyReplacedValues(tuple(entries), 0, NOW - 1_000), now


def test_what_reads_just_as_it_formerly_did_is_old_also_if_its_time_is_a_later_one() -> None:
    """A server with a slow clock made the last change, and the picture is from before it."""
    memory, known = moved(-5, description="by a slow clock")
    seen = filter_stale_reads({"m": known}, {"m": KNOWN}, memory, NOW)

    assert (seen.after["m"], [sign.is_certain for sign in seen.signs]) == (known, [True])


@pytest.mark.parametrize(
    ("caution", "ago", "is_believed"),
    [
        (Caution.TRUSTING, 1_000, True),
        (Caution.WARY, 1_000, False),
        (Caution.WARY, OVERLAP_MS, True),
        (Caution.SUSPECTING, OVERLAP_MS, False),
    ],
)
@pytest.mark.parametrize(
    "part", [{"aliases": (("champion", "2"),)}, {"aliases": ()}, {"tags": ()}, {"tags": (("u", "2"),)}]
)
def test_what_has_no_time_and_changed_twice(caution, ago, is_believed, part) -> None:
    memory, known = moved(0, **part)
    seen = filter_stale_reads({"m": known}, {"m": KNOWN}, memory, NOW - 1_000 + ago, caution)

    assert seen.after["m"] == (KNOWN if is_believed else known)
    assert seen.doubtful == ({"m"} if ago < OVERLAP_MS else set())


def test_a_tag_of_a_version_that_changed_twice_waits_where_the_registry_has_been_old() -> None:
    memory, known = moved(0, versions={"1": ONE, "2": replace(TWO, tags=(("k", "2"),))})

    assert filter_stale_reads({"m": known}, {"m": KNOWN}, memory, NOW, Caution.WARY).after["m"] == known
    seen = filter_stale_reads({"m": known}, {"m": KNOWN}, memory, NOW)
    assert (seen.after["m"], seen.doubtful) == (KNOWN, {"m"})


@pytest.mark.parametrize("is_moved", [True, False])
def test_a_version_that_is_new_and_gone_waits_where_the_registry_has_been_old(is_moved) -> None:
    three = ModelVersion("3", 1_000_001, 1_000_001)
    memory, known = moved(1, versions={**KNOWN.versions, "3": three})
    without = replace(KNOWN, updated=known.updated + is_moved)

    assert (
        "3" in filter_stale_reads({"m": known}, {"m": without}, memory, NOW, Caution.WARY).after["m"].versions
    )
    assert "3" not in filter_stale_reads({"m": known}, {"m": without}, memory, NOW).after["m"].versions
    later = filter_stale_reads({"m": known}, {"m": without}, memory, NOW + OVERLAP_MS, Caution.WARY)
    assert "3" not in later.after["m"].versions


def test_a_version_that_is_gone_and_shows_again_is_old() -> None:
    memory, known = moved(1, versions={"1": ONE}, aliases=())
    shown = replace(known, versions={"1": ONE, "2": TWO}, aliases=(("champion", "2"),))

    assert filter_stale_reads({"m": known}, {"m": shown}, memory, NOW).after["m"] == known
    assert "2" in filter_stale_reads({"m": known}, {"m": shown}, memory, NOW + OVERLAP_MS).after["m"].versions


def test_a_model_that_is_gone_and_shows_again_is_old() -> None:
    memory = RecentlyReplacedValues(tuple(superseded_by([ModelDifference(KNOWN, None, ())], NOW)), 0, NOW)

    seen = filter_stale_reads({}, {"m": KNOWN}, memory, NOW)
    assert (seen.after, seen.withheld, len(seen.certain)) == ({}, {"m"}, 1)
    assert filter_stale_reads({}, {"m": KNOWN}, memory, NOW + OVERLAP_MS).after == {"m": KNOWN}


def test_the_versions_of_a_model_that_had_the_name_are_not_those_of_its_successor() -> None:
    memory = RecentlyReplacedValues(tuple(superseded_by([ModelDifference(KNOWN, None, ())], NOW)), 0, NOW)
    heir = RegisteredModel(
        "m", 9_000_000, 9_000_000, versions={"1": ONE, "2": replace(TWO, created=9_000_000)}
    )

    assert list(filter_stale_reads({}, {"m": heir}, memory, NOW).after["m"].versions) == ["2"]


@pytest.mark.parametrize(("caution", "is_believed"), [(Caution.TRUSTING, True), (Caution.WARY, False)])
def test_a_model_that_is_new_and_gone(caution, is_believed) -> None:
    memory = RecentlyReplacedValues(tuple(superseded_by([ModelDifference(None, KNOWN, ())], NOW)), 0, NOW)
    seen = filter_stale_reads({"m": KNOWN}, {}, memory, NOW, caution)

    assert (seen.after == {}, seen.doubtful) == (is_believed, {"m"})
    assert believed(None, LONG_AGO, caution).after == {}


def test_who_took_the_name_of_a_model_that_reads_as_old_waits_with_it() -> None:
    renamed = back(900_000, name="old")
    heir = replace(KNOWN, name="m", created=5_000_000)
    third = replace(KNOWN, name="x", created=3)
    seen = filter_stale_reads(
        {"m": KNOWN, "third": replace(third, name="third")},
        {
            "old": renamed,
            "m": heir,
            "third": replace(third, name="third", description="e", updated=2_000_000),
        },
        LONG_AGO,
        NOW,
    )

    assert seen.after["m"] == KNOWN
    assert seen.after["third"].description == "e"
    assert sorted(seen.after) == ["m", "third"]


def test_what_was_superseded_survives_as_a_document_and_is_forgotten_in_time() -> None:
    differences = [
        ModelDifference(KNOWN, None, ()),
        ModelDifference(None, model("n"), ()),
        ModelDifference(None, None, ()),
    ]
    entries = tuple(superseded_by(differences, NOW))

    assert tuple(Superseded.from_document(one.to_document()) for one in entries) == entries
    assert len(entries) == 2
    for later, expired in ((0, 0), (OVERLAP_MS + 1, 2)):
        assert RecentlyReplacedValues(entries, scanned_at=NOW + later).expired(NOW + later, 1) == expired
    flood = superseded_by([ModelDifference(KNOWN, None, ())] * 600, NOW)
    assert (len(flood), RecentlyReplacedValues(entries, scanned_at=NOW).expired(NOW, len(flood))) == (500, 2)


def test_a_hold_names_what_went_back_and_a_worse_one_is_another() -> None:
    signs = [TimestampRegression(name, "", 2_000, 1_000, is_certain=True) for name in "ab"]

    assert hold_older([]) is None
    first, both = hold_older(signs[:1]), hold_older(signs)
    assert "1 model reads as older than known ('a')" in first.message
    assert "2 models read as older than known ('a', 'b')" in both.message
    assert (first.digest == both.digest, first.is_older) == (False, True)
