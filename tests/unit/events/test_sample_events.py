"""Events to try a sink out with."""

import json

import pytest

from bridge.diff.registry_changes import ChangeKind as K
from bridge.events.display_text import changed
from bridge.events.event_names import EVENT_NAMES
from bridge.events.formats import mlflow_body
from bridge.events.sample_events import TEST_MODEL, synthetic_event


def body(name: str, *to_stages: str) -> dict:
    event = synthetic_event(name, to_stages, "id-1", 1_700_000_000_500)
    return json.loads(mlflow_body(event, name, "ci"))


def test_a_transition_has_exactly_the_eight_members_of_the_contract_and_names_the_test() -> None:
    found = body("MODEL_VERSION_TRANSITIONED_STAGE")

    assert (len(found), found["model_name"], found["model_version"]) == (8, TEST_MODEL, "1")
    assert (found["from_stage"], found["to_stage"], found["timestamp"]) == (
        "Staging",
        "Production",
        1_700_000_000_500,
    )


@pytest.mark.parametrize(
    ("name", "to_stages", "to_stage", "from_stage"),
    [
        ("MODEL_VERSION_TRANSITIONED_STAGE", ("Archived", "Staging"), "Archived", "Staging"),
        ("MODEL_VERSION_TRANSITIONED_STAGE", ("Staging",), "Staging", "None"),
        ("MODEL_VERSION_TRANSITIONED_TO_STAGING", ("Production",), "Staging", "None"),
    ],
)
def test_a_transition_goes_where_the_sink_looks(name, to_stages, to_stage, from_stage) -> None:
    found = body(name, *to_stages)

    assert (found["to_stage"], found["from_stage"]) == (to_stage, from_stage)


@pytest.mark.parametrize("name", sorted(EVENT_NAMES))
def test_every_type_has_one_which_is_about_something_and_selected_by_its_name(name) -> None:
    event = synthetic_event(name, (), "id-1", 5)
    no_news = {K.MODEL_DELETED, K.VERSION_DELETED}

    assert EVENT_NAMES[name].selects(event.type, event.changed.get("to_stage"))
    assert any(event.changed.values()) or event.type in no_news
    assert (event.model_version is None) == event.type.value.startswith("REGISTERED_MODEL")
    assert (event.id, event.model_name, event.user_id) == ("id-1", TEST_MODEL, None)


@pytest.mark.parametrize("name", sorted(EVENT_NAMES))
def test_every_type_is_told_in_a_few_words(name) -> None:
    event = synthetic_event(name, (), "id-1", 5)

    assert bool(changed(event)) == bool(event.changed)
