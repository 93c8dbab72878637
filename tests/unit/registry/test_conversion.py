"""What MLflow's entities become: values, or rows that are left aside. Each row is parsed alone."""

from types import SimpleNamespace

import pytest

from bridge.diff.malformed_rows import OddRow
from bridge.registry.entity_conversion import model_of, name_filter, version_of


def row(**fields) -> SimpleNamespace:
    usual = {
        "name": "churn",
        "creation_timestamp": 100,
        "last_updated_timestamp": 200,
        "description": None,
        "tags": {},
        "aliases": {},
    }
    return SimpleNamespace(**{**usual, **fields})


def version_row(**fields) -> SimpleNamespace:
    usual = {
        "version": 1,
        "current_stage": "None",
        "status": "READY",
        "user_id": None,
        "run_id": None,
        "source": None,
    }
    return row(**{**usual, **fields})


@pytest.mark.parametrize("value", [0, None, -5, "", "2024-01-01", float("nan"), float("inf"), []])
def test_what_was_created_at_no_time_is_left_aside(value) -> None:
    """Its name and its creation are what an object is known by."""
    odd = [model_of(row(creation_timestamp=value)), version_of(version_row(creation_timestamp=value))]

    assert [(one.model, one.version) for one in odd] == [("churn", ""), ("churn", "1")]
    assert all("its creation time is" in one.why for one in odd)


@pytest.mark.parametrize(
    ("name", "why"), [(None, "it has no name"), ("", "it has no name"), ("a\0b", "its name holds a NUL")]
)
def test_a_model_that_nothing_can_ask_for_is_left_aside(name, why) -> None:
    odd = model_of(row(name=name))

    assert (odd.model, odd.why.startswith(why), odd.created) == (name or "", True, 100)


@pytest.mark.parametrize("tags", [7, "abc", [1]])
def test_a_row_with_tags_that_are_none_is_left_aside(tags) -> None:
    assert isinstance(model_of(row(tags=tags)), OddRow)
    assert isinstance(version_of(version_row(tags=tags)), OddRow)


@pytest.mark.parametrize(("number", "told"), [(None, ""), ("", ""), ("9" * 5_000, "9" * 100)])
def test_a_version_without_a_number_of_its_own_is_left_aside(number, told) -> None:
    odd = version_of(version_row(version=number))

    assert (odd.model, odd.version) == ("churn", told)


@pytest.mark.parametrize(
    "name",
    [
        "team/old",
        "a:b",
        "..",
        "line\nbreak",
        " ",
        "\N{FULLWIDTH LATIN CAPITAL LETTER F}ull",
        "\N{ROCKET}",
        "lone \udcff",
        "x" * 10_000,
    ],
)
def test_a_name_is_taken_as_it_is(name) -> None:
    assert model_of(row(name=name)).name == name


@pytest.mark.parametrize("value", [None, 0, -1, "never", float("inf")])
def test_without_a_time_of_its_last_change_a_row_is_taken(value) -> None:
    assert model_of(row(last_updated_timestamp=value)).updated == 0
    assert version_of(version_row(last_updated_timestamp=value)).updated == 0


@pytest.mark.parametrize(
    ("stage", "told"),
    [(None, "None"), ("", "None"), ("production", "production")],
)
def test_a_stage_is_taken_as_it_is_written(stage, told) -> None:
    assert version_of(version_row(current_stage=stage)).stage == told


def test_a_version_that_is_half_deleted_is_left_aside() -> None:
    odd = version_of(version_row(current_stage="Deleted_Internal"))

    assert (odd.version, odd.why) == ("1", "it is half deleted: its stage is Deleted_Internal")


@pytest.mark.parametrize("number", [0, 1, "1", 10**18, "2024.1"])
def test_a_number_is_taken_as_it_is_written(number) -> None:
    assert version_of(version_row(version=number)).version == str(number)


def test_what_is_not_recorded_is_empty() -> None:
    nothing = dict.fromkeys(("description", "tags", "aliases"))
    version = version_of(version_row(**nothing, status=None, user_id=None, run_id=None, source=None))

    assert (version.status, version.user_id, version.run_id, version.source) == ("", "", "", "")
    assert (version.description, version.tags, model_of(row(**nothing)).aliases) == ("", (), ())


def test_a_tag_or_an_alias_without_a_value_is_an_empty_one() -> None:
    model = model_of(row(tags={"k": None, "n": 7}, aliases={"champion": None, "best": 3}))

    assert (model.tags, model.aliases) == ((("k", ""), ("n", "7")), (("best", "3"), ("champion", "")))


@pytest.mark.parametrize(
    ("name", "condition"),
    [
        ("plain", "name = 'plain'"),
        ("it's", 'name = "it\'s"'),
        ("a/b", "name = 'a/b'"),
        ("both ' and \"", "name LIKE 'both _ and \"'"),
        ("line\nbreak", "name LIKE 'line_break'"),
        ("it's\tback\\slash", "name LIKE 'it_s_back_slash'"),
    ],
)
def test_any_name_can_be_looked_for(name, condition) -> None:
    assert name_filter(name) == condition
