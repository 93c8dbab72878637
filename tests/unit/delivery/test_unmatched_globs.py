"""Globs that match nothing, names with brackets, and what was meant."""

import pytest

from bridge.delivery.event_routing import matches, selects
from bridge.delivery.unmatched_globs import unmatched

NAMES = ["[PROD] churn", "[PROD] fraud", "fraud-eu", "Demand"]


@pytest.mark.parametrize(
    "name",
    ["[PROD] churn", "a[1]", "[!x]", "[", "[]", "what?", "a*b", "[a-z]", "x[y", "plain", "\N{ROCKET}[]"],
)
def test_a_name_that_is_written_as_it_is_is_that_model(name) -> None:
    assert matches(name, name)
    assert selects([name], name)
    assert not selects([f"!{name}"], name)


@pytest.mark.parametrize(
    ("name", "glob", "expected"),
    [
        ("P churn", "[PROD] churn", True),
        ("X churn", "[PROD] churn", False),
        ("fraud-eu", "fraud-*", True),
        ("Fraud-eu", "fraud-*", False),
        ("m1", "m[0-9]", True),
    ],
)
def test_globs_stay_globs(name, glob, expected) -> None:
    assert matches(name, glob) is expected


@pytest.mark.parametrize(
    ("glob", "hint"),
    [
        ("[PROD] *", ": [ and ] stand for one of the characters between them: did you mean '[[]PROD] *'?"),
        ("![PROD] *", ": [ and ] stand for one of the characters between them: did you mean '![[]PROD] *'?"),
        ("FRAUD-*", ": capitals count, and there is 'fraud-eu'"),
        ("demand", ": capitals count, and there is 'Demand'"),
        ("fraud-ue", ": did you mean 'fraud-eu'?"),
        ("nobody", ""),
    ],
)
def test_a_glob_that_matches_no_model_is_told_with_what_was_meant(glob, hint) -> None:
    assert list(unmatched(["fraud-*", glob], NAMES)) == [
        (1, f"{glob!r} matches none of the registry's 4 models{hint}")
    ]


def test_the_only_model_of_a_registry_is_named_as_such() -> None:
    assert list(unmatched(["nobody"], ["churn"])) == [
        (0, "'nobody' does not match the registry's only model")
    ]


def test_what_matches_something_is_not_told() -> None:
    assert list(unmatched(["*", "[PROD] churn", "[[]PROD] *", "!fraud-*"], NAMES)) == []
