"""The bridge's own API: what is asked and done, and its description."""

import asyncio
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from support.done import done
from support.hooks import Hooks, api_of, settings_of
from support.values import commit, model, onto, transition

from bridge.delivery.outbox_entry import Status
from bridge.operations import bridge_api_operations as resources
from bridge.server.api_operation import openapi
from bridge.server.bridge_api import api_resources

TOKEN = "0123456789abcdef0123456789abcdef"
ALL = {"name": "ci", "token": {"env": "CI"}, "may": ["read", "operate", "webhooks"]}
EYE = {"name": "eye", "token": {"env": "EYE"}, "may": ["read"]}
MAY = {"Authorization": f"Bearer {TOKEN}"}
DESCRIPTION = openapi(api_resources(Hooks().present))
OPERATIONS = [
    (method.upper(), path, told)
    for path, methods in DESCRIPTION["paths"].items()
    for method, told in methods.items()
]


def dead(entry):
    return type(entry)(
        **{**entry.facts(), "status": Status.DEAD, "attempts": 1, "last_attempt_at": 5, "reason": "refused"}
    )


@pytest.fixture
async def api(monkeypatch):
    """An API over a state with five events, and as many entries of one sink: the first is dead."""
    monkeypatch.setenv("CI", TOKEN)
    monkeypatch.setenv("EYE", "eye" * 10)
    hooks = Hooks()
    sink = {"name": "ci", "type": "http", "url": "https://ci.example.com/k3y"}
    hooks.settings = settings_of(sinks=[sink], state={"url": "tinydb:/nowhere"})
    done(hooks.state.commit_poll(commit(models=[model()])))
    events = [transition(number, "m" if number % 2 else "other") for number in range(1, 6)]
    entries = done(hooks.state.commit_poll(onto(hooks.state, commit(*events))))
    done(hooks.state.settle([dead(entries[0])]))
    async with api_of(hooks, ALL, EYE) as served:

        async def ask(method, path, body=None, **headers):
            return await asyncio.to_thread(served.ask, method, f"/api/v1/{path}", body, **{**MAY, **headers})

        ask.hooks, ask.served = hooks, served
        yield ask


async def test_events_are_listed_newest_first_page_by_page(api) -> None:
    seen, cursor = [], ""
    while True:
        _, page = await api("GET", f"events?limit=2&cursor={cursor}")
        seen.append([event["id"] for event in page["events"]])
        cursor = page.get("next_cursor")
        if not cursor:
            break

    assert seen == [["event-5", "event-4"], ["event-3", "event-2"], ["event-1"]]


async def test_events_are_filtered_and_a_filter_that_selects_few_looks_at_so_many_only(
    api, monkeypatch
) -> None:
    monkeypatch.setattr(resources, "_MOST_SCANNED", 2)

    _, first = await api("GET", "events?model=none")
    _, none = await api("GET", "events?type=MODEL_VERSION_CREATED")
    _, rest = await api(
        "GET",
        f"events?cursor={first['next_cursor']}&type=MODEL_VERSION_TRANSITIONED_STAGE&type=MODEL_VERSION_CREATED",
    )

    assert (first["events"], first["next_cursor"], none["events"]) == ([], "event-4", [])
    assert [event["id"] for event in rest["events"]] == ["event-3", "event-2"]


@pytest.mark.parametrize(
    ("query", "count"),
    [("since=2001", 0), ("until=1", 0), ("since=1&until=9999999999999", 5)],
)
async def test_events_are_filtered_by_time(api, query, count) -> None:
    _, page = await api("GET", f"events?{query}")

    assert len(page["events"]) == count


async def test_an_event_and_an_entry_are_shown_with_what_became_of_them(api) -> None:
    _, event = await api("GET", "events/event-1")
    _, entry = await api("GET", "outbox/1")
    unknown, answer = await api("GET", "events/none")

    assert [one["status"] for one in event["deliveries"]] == ["dead"]
    assert (entry["event"]["id"], [one["reason"] for one in entry["attempts_on_record"]]) == (
        "event-1",
        ["refused"],
    )
    assert (unknown, answer["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


async def test_entries_are_listed_and_filtered(api) -> None:
    _, page = await api("GET", "outbox?status=dead&status=pending&sink=ci&limit=3")
    _, only = await api("GET", "outbox?status=dead")
    _, none = await api("GET", "outbox?sink=another")

    assert [one["id"] for one in page["entries"]] == [5, 4, 3]
    assert ([one["id"] for one in only["entries"]], none["entries"]) == ([1], [])


async def test_dead_entries_are_redriven_dropped_and_events_replayed_and_it_is_told_who_did_it(api) -> None:
    _, redriven = await api("POST", "outbox/redrive", {"entries": [1, 2, 99]})
    _, dropped = await api("POST", "outbox/drop", {"entries": [2]})
    _, replayed = await api("POST", "replays", {"events": ["event-3"], "sinks": ["ci"]})
    _, notes = await api("GET", "notes")

    assert (redriven, dropped, replayed) == ({"entries": [1]}, {"entries": [2]}, {"entries": [6]})
    assert [(note["kind"], note["by"]) for note in notes["notes"][:3]] == [
        ("replayed", "token ci"),
        ("dropped", "token ci"),
        ("redriven", "token ci"),
    ]


async def test_what_belongs_to_a_sink_that_is_gone_is_not_redriven(api) -> None:
    api.hooks.settings = settings_of()

    assert await api("POST", "outbox/redrive", {"entries": [1]}) == (200, {"entries": []})


async def test_sinks_are_listed_paused_resumed_and_tried(api) -> None:
    _, listed = await api("GET", "sinks")
    _, paused = await api("POST", "sinks/ci/pause")
    _, status = await api("GET", "status")
    _, resumed = await api("POST", "sinks/ci/resume")
    _, tried = await api("POST", "sinks/ci/test", {"dry_run": True})

    assert [(one["name"], one["to"], one["backlog"]["dead"]) for one in listed["sinks"]] == [
        ("ci", "https://ci.example.com", 1)
    ]
    assert (paused, resumed) == ({"condition": "paused"}, {"was": "paused"})
    assert status["sinks"][0]["condition"] == "paused"
    assert (tried["sent"], len(tried["exchanges"])) == (False, 1)


@pytest.mark.parametrize("verb", ["pause", "resume", "test"])
async def test_a_sink_that_does_not_exist_is_told(api, verb) -> None:
    status, answer = await api("POST", f"sinks/none/{verb}")

    assert (status, answer["message"]) == (404, "no sink is called 'none'")


async def test_a_poll_is_asked_for(api) -> None:
    _, polled = await api("POST", "polls", {"full": True})

    assert (polled["new"], polled["errors"][0]["message"]) == (1, "the registry is down")
    assert api.hooks.present.orders[0].full


@pytest.mark.parametrize(
    ("method", "path", "body", "told"),
    [
        ("GET", "events?modle=x", None, "modle: is no member of this request (did you mean 'model'?)"),
        ("GET", "events?colour=x", None, "colour: is no member of this request"),
        ("GET", "events?limit=501", None, "limit: must be at most 500"),
        ("GET", "events?type=X", None, "type[0]: 'X' is not the name of an event"),
        ("GET", "outbox?cursor=x", None, "cursor: is none"),
        ("GET", "outbox?status=alive", None, "status[0]: must be one of 'pending', 'delivered' or 'dead'"),
        ("GET", "outbox/0", None, "number: must be at least 1"),
        ("POST", "outbox/drop", {}, "entries: is missing"),
        ("POST", "outbox/drop", {"entries": []}, "entries: must not be empty"),
        ("POST", "polls", {"full": "perhaps"}, "full: must be true or false"),
    ],
)
async def test_what_cannot_be_used_is_told_in_a_sentence(api, method, path, body, told) -> None:
    status, answer = await api(method, path, body)

    assert (status, answer["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert told in answer["message"]


async def test_what_changes_something_needs_a_token_that_may_and_looking_needs_one_that_may_look(api) -> None:
    for method, path, told in OPERATIONS:
        named = path.replace("{event_id}", "event-1").replace("{number}", "1").replace("{name}", "ci")
        look, _ = await asyncio.to_thread(
            api.served.ask, method, named, None, Authorization=f"Bearer {'eye' * 10}"
        )
        none, _ = await asyncio.to_thread(api.served.ask, method, named)

        assert none == 401, path
        assert (look == 403) == ("may `read`" not in told["description"]), path


async def test_without_tokens_the_address_is_for_looking_and_no_stranger_looks() -> None:
    hooks = Hooks()
    async with api_of(hooks) as served:
        looked, _ = await asyncio.to_thread(served.ask, "GET", "/api/v1/sinks")
        stranger, told = await asyncio.to_thread(
            served.ask, "GET", "/api/v1/sinks", Host="rebound.example.com"
        )
        changed, why = await asyncio.to_thread(served.ask, "POST", "/api/v1/polls")

    assert (looked, stranger, changed) == (200, 403, 401)
    assert "server.hosts" in told["message"]
    assert "for looking only" in why["message"]


async def test_it_describes_itself(api) -> None:
    _, described = await api("GET", "openapi.json")

    assert described == json.loads(json.dumps(DESCRIPTION))
    assert "registry-webhooks" in json.dumps(described)


def test_every_argument_has_a_meaning() -> None:
    for _, _, told in OPERATIONS:
        for one in told.get("parameters", ()):
            assert one["schema"]["description"].endswith("."), one
        if "requestBody" in told:
            members = told["requestBody"]["content"]["application/json"]["schema"]["properties"]
            assert all(one["description"].endswith(".") for one in members.values()), members


def values_of(schema):  # noqa: PLR0911
    """Return values that a schema allows, mostly."""
    if "anyOf" in schema:
        return st.one_of(*map(values_of, schema["anyOf"]))
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema.get("type"):
        case "integer":
            return st.integers(schema.get("minimum", -1), schema.get("maximum", 10**20))
        case "boolean":
            return st.booleans()
        case "array":
            return st.lists(values_of(schema["items"]), max_size=3)
        case "object":
            return st.fixed_dictionaries(
                {}, optional={name: values_of(one) for name, one in schema.get("properties", {}).items()}
            )
        case "null":
            return st.none()
    return st.sampled_from(
        ["ci", "event-1", "m", "MODEL_VERSION_CREATED", "ACTIVE", "https://h.example/x"]
    ) | st.text(max_size=5)


JUNK = st.none() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2) | st.just({})


@pytest.mark.parametrize(
    ("method", "path", "told"), OPERATIONS, ids=[f"{one[0]} {one[1]}" for one in OPERATIONS]
)
@settings(suppress_health_check=list(HealthCheck), max_examples=settings.default.max_examples // 4)
@given(data=st.data())
async def test_no_request_is_a_fault_and_no_answer_is_outside_of_the_description(
    api, method, path, told, data
) -> None:
    from urllib.parse import quote, urlencode

    query, body = [], None
    for one in told.get("parameters", ()):
        value = data.draw(values_of(one["schema"]) | JUNK, one["name"])
        if one["in"] == "path":
            path = path.replace(f"{{{one['name']}}}", quote(str(value), safe=""))
        elif data.draw(st.booleans()):
            query += [(one["name"], item) for item in (value if isinstance(value, list) else [value])]
    if "requestBody" in told:
        members = told["requestBody"]["content"]["application/json"]["schema"]["properties"]
        body = data.draw(
            st.fixed_dictionaries(
                {}, optional={name: values_of(one) | JUNK for name, one in members.items()}
            ),
            "body",
        )
    if path.endswith("/test") and body is not None:
        body["dry_run" if "sinks" in path else "id"] = True  # nothing is sent from here

    status, answer = await asyncio.to_thread(
        api.served.ask, method, f"{path}?{urlencode(query, errors='replace')}", body, **MAY
    )

    assert status < 500, answer
    schema = told["responses"][str(status)]["content"]["application/json"]["schema"]
    Draft202012Validator({**schema, "components": DESCRIPTION["components"]}).validate(answer)
