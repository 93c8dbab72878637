"""What is sent of every event in every format, byte for byte."""

import json

import pytest
from support.golden import COMMAND, GOLDEN, NAMES, PAGE, golden, page, path_of, request, sample, told

from bridge.events.event_names import EVENT_NAMES
from bridge.events.event_types import EVENT_TYPES
from bridge.events.formats import FORMATS, webhook_id

ANEW = f"if that is meant, run `{COMMAND}` and read the difference"


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_sent_is_what_the_golden_file_says(name) -> None:
    assert golden(name) == path_of(name).read_bytes(), ANEW


def test_there_is_a_golden_file_for_each_format_and_no_other() -> None:
    assert {path_of(name) for name in FORMATS} == set(GOLDEN.iterdir())


def test_the_page_of_events_is_up_to_date() -> None:
    assert page() == PAGE.read_text(), ANEW


def test_every_event_is_in_the_files_and_the_contract_formats_tell_of_all() -> None:
    assert {EVENT_NAMES[name].kind for name in NAMES} == set(EVENT_TYPES)
    assert all(told(name) == list(NAMES) for name in FORMATS if name not in {"databricks", "mlflow3"})


def test_the_default_body_of_a_transition_is_that_of_the_contract() -> None:
    sent = request("mlflow", "MODEL_VERSION_TRANSITIONED_STAGE")

    assert sent.body == (
        b'{"event":"MODEL_VERSION_TRANSITIONED_STAGE","timestamp":1678886400000,"model_name":"fraud-detector",'
        b'"model_version":"7","to_stage":"Production","from_stage":"Staging","user_id":null,'
        b'"webhook_id":"' + webhook_id("ci").encode() + b'"}'
    )


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_sends_the_event_id_and_a_body_of_ascii_json(name) -> None:
    for event_name in told(name):
        sent = request(name, event_name)
        assert sent.headers["X-MLflow-Delivery-Id"] == sample(event_name).id
        assert sent.body.isascii()
        assert json.loads(sent.body)
