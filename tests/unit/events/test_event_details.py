"""Details of events: what is told, and how much of it."""

import json
import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from support.values import model, transition

from bridge.diff.snapshot import ModelVersion
from bridge.events.event import Event
from bridge.events.event_details import MOST_CHARACTERS, assembled, bounded, model_part, too_large

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=60)
    | st.integers(1, 6).map(lambda n: "\ud800ä" * 10**n),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=6), inner, max_size=6),
    max_leaves=30,
)


@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=60))
def test_a_part_is_json_of_bounded_size_whatever_a_registry_holds(part) -> None:
    found = bounded(part)

    assert len(json.dumps(found, allow_nan=False)) <= MOST_CHARACTERS


@given(
    st.dictionaries(st.text("abc", max_size=8), st.floats(allow_nan=False, allow_infinity=False), max_size=50)
)
def test_what_fits_is_told_as_it_is(metrics) -> None:
    assert bounded({"metrics": metrics}) == {"metrics": metrics}


def test_what_does_not_fit_is_cut_and_says_so() -> None:
    found = bounded({"run_id": "r", "params": {f"p{n:04}": "x" * 500 for n in range(1000)}})

    assert (found["run_id"], found["truncated"]) == ("r", True)
    assert 20 <= len(found["params"]) < 1000


def test_numbers_that_json_does_not_have_are_texts() -> None:
    metrics = {"a": math.nan, "b": math.inf, "c": -math.inf, "d": 10**6000}

    found = bounded({"metrics": metrics})["metrics"]

    assert (found["a"], found["b"], found["c"]) == ("NaN", "Infinity", "-Infinity")
    assert found["d"].startswith("0x")


def test_a_model_is_told_with_its_versions_by_stage_the_newest_first() -> None:
    stages = {"2": "Production", "9": "Staging", "10": "Production"}
    versions = {number: ModelVersion(number, 1, 1, stage) for number, stage in stages.items()}
    whole = replace(model(aliases=(("champion", "10"),), tags=(("team", "risk"),)), versions=versions)

    told = model_part(whole)

    assert told["stages"] == {"Production": ["10", "2"], "Staging": ["9"]}
    assert (told["latest_version"], told["versions"]) == ("10", 3)
    assert (told["aliases"], told["tags"]) == ({"champion": "10"}, {"team": "risk"})


def test_a_model_without_versions_is_told() -> None:
    assert (model_part(model(versions=0))["latest_version"], model_part(model(versions=0))["stages"]) == (
        None,
        {},
    )


def test_only_what_was_asked_for_is_assembled_and_null_says_why() -> None:
    stored = {"run": {"run_id": "r"}, "model": None, "missing": {"model": "gone", "version": "gone"}}

    assert assembled(["run"], stored) == {"run": {"run_id": "r"}}
    assert assembled(["run", "model"], stored) == {
        "run": {"run_id": "r"},
        "model": None,
        "missing": {"model": "gone"},
    }


def test_details_that_a_limit_leaves_no_room_for_are_named() -> None:
    assert too_large({"run": {"x": 1}, "missing": {"model": "gone"}}) == {
        "run": None,
        "missing": {"run": "too_large"},
    }


def test_details_are_no_part_of_the_event_s_own_document() -> None:
    event = transition()

    with_more = replace(event, details={"run": None})

    assert with_more.to_document() == event.to_document()
    assert Event.from_document(with_more.to_document()) == event
