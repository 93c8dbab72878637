"""The arguments of requests about webhooks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.hooks import ASKED, TRANSITION

from bridge.errors import InvalidArgument
from bridge.operations.webhook_arguments import (
    UNOBSERVED,
    CreateArguments,
    ListArguments,
    UpdateArguments,
    parse_arguments,
)

SPEC = ASKED["http_url_spec"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"events": None}, "events: is missing: a list such as"),
        ({"events": []}, "events: must not be empty: a list such as"),
        ({"events": "X"}, "events: must be a list of texts"),
        ({"events": [TRANSITION, 3]}, "events[1]: must be a text"),
        (
            {"events": ["MODEL_VERSION_TRANSITIONED"]},
            f"events[0]: 'MODEL_VERSION_TRANSITIONED' is not the name of an event (did you mean '{TRANSITION}'?)",
        ),
        ({"http_url_spec": None}, "http_url_spec: is missing: an object such as"),
        ({"http_url_spec": "https://h"}, "http_url_spec: must be an object"),
        ({"http_url_spec": {}}, "http_url_spec.url: is missing, as in"),
        ({"http_url_spec": {"url": "ci.example.com/x"}}, 'did you mean "https://ci.example.com/…"?'),
        ({"http_url_spec": {"url": "https://ann:pw@ci.example.com/x"}}, "http_url_spec.url: must hold no user name"),
        ({"http_url_spec": {**SPEC, "secret": 5}}, "http_url_spec.secret: must be a text"),
        ({"http_url_spec": {**SPEC, "authorization": "a\r\nX: y"}}, "http_url_spec.authorization: holds a character"),
        ({"http_url_spec": {**SPEC, "enable_ssl_verification": False}}, "must be true for https"),
        ({"http_url_spec": {**SPEC, "enable_ssl_verification": "perhaps"}}, "must be true or false"),
        ({"http_url_spec": {**SPEC, "secrets": "x"}}, "http_url_spec.secrets: is no member of this request (did you mean 'secret'?)"),
        ({"http_url_spec": {**SPEC, "secret": "two\nlines"}}, "http_url_spec.secret: must be one line"),
        ({"http_url_spec": {**SPEC, "secret": "x" * 1_025}}, "http_url_spec.secret: must have at most 1024 characters"),
        ({"http_url_spec": {"url": f"https://h.example/{'x' * 2_048}"}}, "http_url_spec.url: must have at most 2048"),
        ({"job_spec": {"job_id": "1"}}, "job_spec: the bridge starts no jobs"),
        ({"status": "active"}, "status: 'active' is no status (did you mean 'ACTIVE'?)"),
        ({"status": 1}, "status: 1 is no status"),
        ({"model": "fraud"}, "model: is no member of this request (did you mean 'model_name'?)"),
        ({"model_name": 7}, "model_name: must be a text"),
        ({"description": "x" * 70_000}, "description: must have at most 1024 characters"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named_with_its_mend(change, told) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_arguments(CreateArguments, {**ASKED, **change})

    assert told in str(caught.value)
    assert "pydantic" not in str(caught.value)


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_arguments(CreateArguments, {"events": ["X"], "http_url_spec": {"url": "x"}, "status": "on"})

    assert [part.partition(":")[0] for part in str(caught.value).split("; ")] == [
        "events[0]",
        "http_url_spec.url",
        "status",
    ]


def test_what_is_left_out_empty_or_null_is_the_default() -> None:
    empty = {"model_name": "", "description": "", "job_spec": None, "status": None}
    spec = {**SPEC, "secret": None, "authorization": ""}

    bare, _ = parse_arguments(CreateArguments, ASKED)
    full, warnings = parse_arguments(CreateArguments, {**ASKED, **empty, "http_url_spec": spec})

    assert (bare, warnings) == (full, [])


def test_what_is_not_known_is_warned_about() -> None:
    _, warnings = parse_arguments(CreateArguments, {**ASKED, "colour": "red"})

    assert warnings == ["colour: is no member of this request, and was ignored"]


def test_events_of_databricks_that_no_poll_observes_are_accepted_and_repetitions_are_one() -> None:
    found, _ = parse_arguments(CreateArguments, {**ASKED, "events": [*UNOBSERVED, *UNOBSERVED]})

    assert found.events == UNOBSERVED


def test_a_query_gives_texts() -> None:
    found, _ = parse_arguments(ListArguments, {"max_results": "7", "events": [TRANSITION]})

    assert (found.max_results, found.events) == (7, (TRANSITION,))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
MEMBERS = st.sampled_from([*CreateArguments.model_fields, "job_spec", "id", "url"])


@given(st.dictionaries(MEMBERS, JSON), st.sampled_from([CreateArguments, UpdateArguments, ListArguments]))
def test_any_json_is_taken_or_refused_in_a_sentence(given_, model) -> None:
    told = "a sentence: with what is wrong"
    try:
        parse_arguments(model, given_)
    except InvalidArgument as refused:
        told = str(refused)

    assert told.partition(": ")[2]
