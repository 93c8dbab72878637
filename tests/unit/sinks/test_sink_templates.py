"""Templates of sinks: what is sent, what is refused when they are read, what is warned about."""

import json

import pytest
from support.command import github_sink, http_sink
from support.receiver import Receiver
from support.values import transition

from bridge.config.file_loading import build
from bridge.config.setting_types import Secret
from bridge.delivery.attempt_outcome import Reason, Verdict
from bridge.errors import ConfigurationError, SecretUnavailable
from bridge.sinks.base import Delivery
from bridge.sinks.sink_type_table import KINDS
from bridge.sinks.transport.exchange_recorder import NoTransport, RecordingTransport

NAME = "MODEL_VERSION_TRANSITIONED_STAGE"
HTTP = {"name": "ci", "type": "http", "url": "http://h/x", "format": "template"}
GITHUB = {
    "name": "ci",
    "type": "github_dispatch",
    "repository": "acme/deploy",
    "event_type": "promoted",
    "token": {"env": "CI_SECRET"},
}
NO_LENGTH = "'length(to_stage)' has no value: length() takes string or array or object, not null"
EVENTS = ["MODEL_VERSION_TRANSITIONED_STAGE", "MODEL_VERSION_CREATED", "MODEL_VERSION_ALIAS_SET"]


@pytest.fixture(autouse=True)
def secret(monkeypatch) -> None:
    monkeypatch.setenv("CI_SECRET", "s3cret")
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_secret")


def sink_of(table, **more):
    return build(
        {"registry": {"tracking_uri": "http://r"}, "sinks": [{**table, **more}]}, KINDS_SETTINGS
    ).sinks[0]


KINDS_SETTINGS = {name: kind.settings for name, kind in KINDS.items()}


def problems(table, **more) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        sink_of(table, **more)
    return caught.value.problems


async def sent(settings, event=None):
    recording = RecordingTransport(NoTransport())
    sink = KINDS[settings.type].build(settings, recording, 1_000)
    outcome = await sink.deliver(Delivery(event or transition(model='a "b"\n${c}'), NAME, 1_700_000_000_500))
    return outcome, [exchange.request for exchange in recording.exchanges]


async def test_a_body_has_the_shape_of_its_template() -> None:
    body = {
        "text": "${model_name} v${model_version} → ${to_stage}",
        "n": [1, "${timestamp}"],
        "who": "${user_id}",
    }

    _, (request,) = await sent(sink_of(HTTP, body=body, content_type="application/vnd.x+json"))

    assert json.loads(request.body) == {"text": 'a "b"\n${c} v1 → Production', "n": [1, 1_000], "who": None}
    assert request.headers["Content-Type"] == "application/vnd.x+json"
    assert request.headers["X-MLflow-Delivery-Id"] == "event-1"


async def test_a_templated_body_is_signed_as_it_is_sent() -> None:
    settings = sink_of(HTTP, body={"a": "${model_name}"}, secret={"env": "CI_SECRET"})

    _, (request,) = await sent(settings)

    assert request.body.isascii()
    assert request.headers["X-MLflow-Signature"].startswith("v1,")
    assert request.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("body", ["${model_name}", ["${model_name}"], 5])
async def test_any_structure_is_a_body(body) -> None:
    _, (request,) = await sent(sink_of(HTTP, body=body), transition(model="m"))

    assert json.loads(request.body) == json.loads(json.dumps(body).replace("${model_name}", "m"))


async def test_a_payload_for_github_has_the_shape_of_its_template() -> None:
    settings = sink_of(
        GITHUB, client_payload={"uri": "models:/${model_name}/${model_version}", "id": "${delivery_id}"}
    )

    _, (request,) = await sent(settings, transition(model="m"))

    assert json.loads(request.body) == {
        "event_type": "promoted",
        "client_payload": {"uri": "models:/m/1", "id": "event-1"},
    }


async def test_a_payload_that_an_event_makes_too_large_is_not_sent() -> None:
    outcome, requests = await sent(
        sink_of(GITHUB, client_payload={"m": "${model_name}"}), transition(model="m" * 70_000)
    )

    assert (outcome.verdict, outcome.reason, requests) == (Verdict.REJECTED, Reason.LIMIT, [])


@pytest.mark.parametrize(
    ("table", "key"), [(HTTP, "body"), (GITHUB, "client_payload")], ids=["http", "github_dispatch"]
)
async def test_what_has_no_value_for_a_real_event_waits_for_a_better_template(table, key) -> None:
    settings = sink_of(table, **{key: {"n": "${length(to_stage)}"}})

    outcome, requests = await sent(settings, transition(changed={}))

    assert (outcome.verdict, outcome.reason, requests) == (Verdict.RETRYABLE, Reason.MISCONFIGURED, [])
    assert outcome.detail.startswith(f"sinks.ci.{key}: n: 'length(to_stage)' has no value")


@pytest.mark.parametrize(
    ("table", "more", "expected"),
    [
        (HTTP, {}, ['sinks[0].body: is missing: format = "template" needs it: body = { text =']),
        (HTTP, {"format": "mlflow", "body": {}}, ['sinks[0].body: is used by format = "template" only']),
        (HTTP, {"format": "mlflow", "content_type": "a/b"}, ["sinks[0].content_type: is used by format"]),
        (HTTP, {"body": {}, "content_type": "json\r\nX: y"}, ["sinks[0].content_type: must be a media type"]),
        (
            HTTP,
            {"body": {"parameters": [{"value": "v${a b}"}], "x y": "${"}},
            [
                "sinks[0].body.parameters[0].value: at character 6: unexpected 'b'",
                'sinks[0].body."x y": at character 1: ${ is not closed',
            ],
        ),
        (
            HTTP,
            {"body": {"n": "${length(to_stage)}"}, "events": EVENTS},
            [
                f"sinks[0].body.n: {NO_LENGTH} (for MODEL_VERSION_CREATED, MODEL_VERSION_ALIAS_SET)"
            ],
        ),
        (HTTP, {"body": {"n": "${length(user_id)}"}}, [f"sinks[0].body.n: 'length(user_id)' has no value: length() takes string or array or object, not null (for {NAME})"]),
        (
            GITHUB,
            {"client_payload": {f"k{n}": "" for n in range(11)}},
            ["sinks[0].client_payload: has 11 top-level keys, GitHub takes 10"],
        ),
        (GITHUB, {"client_payload": "${model_name}"}, ["sinks[0].client_payload: must be a table"]),
        (GITHUB, {"client_payload": {"a": {"b": "${c(}"}}}, ["sinks[0].client_payload.a.b: at character 5: "]),
    ],
)  # fmt: skip
def test_a_template_that_is_wrong_is_refused_with_its_place(table, more, expected) -> None:
    found = problems(table, **more)

    assert len(found) == len(expected)
    assert all(line.startswith(start) for line, start in zip(found, expected, strict=True)), found


def test_what_finds_nothing_in_an_event_is_a_gap_and_what_may_be_null_is_none() -> None:
    body = {
        "a": "${to_stage} ${user_id}",
        "b": ["${modle_name}"],
        "c": "${previous_version}",
        "d": "${event}",
    }
    settings = sink_of(HTTP, body=body, events=EVENTS)

    assert list(settings.remarks()) == [
        "body.a: ${to_stage} is null for MODEL_VERSION_CREATED, MODEL_VERSION_ALIAS_SET",
        f"body.b[0]: ${{modle_name}} is null for {', '.join(EVENTS)} (did you mean 'model_name'?)",
        "body.c: ${previous_version} is null for MODEL_VERSION_TRANSITIONED_STAGE, MODEL_VERSION_CREATED",
    ]


def test_a_condition_on_what_no_event_has_or_without_a_value_is_a_gap() -> None:
    settings = sink_of({**HTTP, "format": "mlflow"}, when="model == 'x' || length(user_id) > `3`")

    assert list(settings.remarks()) == [
        "when: 'model' is in no event that it asks for (did you mean 'model_name'?)",
        "when: has no value for MODEL_VERSION_TRANSITIONED_STAGE: what it cannot decide is delivered",
    ]


def test_a_text_in_double_quotes_is_told_of() -> None:
    settings = sink_of({**HTTP, "format": "mlflow"}, when='to_stage == "Production"')

    assert list(settings.remarks()) == [
        "when: 'Production' is in no event that it asks for (a text stands in single quotes: 'Production')"
    ]


@pytest.mark.parametrize("glob", ["fraud-.*", "^fraud", "!^fraud", "fraud$"])
def test_a_regular_expression_where_a_glob_stands_is_told_of(glob) -> None:
    settings = sink_of({**HTTP, "format": "mlflow"}, models=["fraud-*", "v1.0", glob])

    assert list(settings.remarks()) == [
        f"models[2]: {glob!r} is read as a glob, not as a regular expression: write 'fraud-*'"
    ]


@pytest.mark.parametrize(
    ("event", "key", "value", "kind"),
    [
        ("MODEL_VERSION_CREATED", "to_stages", ["Production"], "transitions"),
        ("MODEL_VERSION_CREATED", "from_stages", ["Staging"], "transitions"),
        (NAME, "aliases", ["champion"], "aliases"),
    ],
)
def test_a_filter_that_concerns_no_event_asked_for_is_told_of(event, key, value, kind) -> None:
    settings = sink_of({**HTTP, "format": "mlflow"}, events=[event], **{key: value})

    assert list(settings.remarks()) == [
        f"{key}: does nothing: it concerns {kind} alone, and events asks for none"
    ]


@pytest.mark.parametrize(
    ("event", "key", "value"),
    [
        ("MODEL_VERSION_TRANSITIONED_TO_STAGING", "to_stages", ["Staging"]),
        ("model_version_alias.created", "aliases", ["champion"]),
    ],
)
def test_a_filter_that_concerns_an_event_asked_for_is_not(event, key, value) -> None:
    assert list(sink_of({**HTTP, "format": "mlflow"}, events=[event], **{key: value}).remarks()) == []


@pytest.mark.parametrize("written", ["$HOOK_SECRET", "${HOOK_SECRET}"])
def test_a_variable_named_as_a_shell_does_is_told_its_name(written) -> None:
    with pytest.raises(SecretUnavailable, match=r'its name is "HOOK_SECRET"$'):
        Secret(env=written).read()


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def bridge(tmp_path, monkeypatch, capsys):
    from support.cli import CommandLine

    return CommandLine(tmp_path, monkeypatch, capsys)


def test_check_warns_of_gaps_and_is_content(bridge, receiver) -> None:
    bridge.configure(http_sink(receiver.url, more='format = "template"\nbody = { a = "${alias}" }'))

    done = bridge.run("check")

    assert done.code == 0
    assert f"mlflow-bridge: warning: sinks.ci.body.a: ${{alias}} is null for {NAME}\n" in done.err


def test_check_refuses_what_cannot_be_rendered(bridge, receiver) -> None:
    bridge.configure(github_sink(receiver.url, more='client_payload = { a = "${lenght(model_name)}" }'))

    done = bridge.run("check")

    assert done.code == 78
    assert (
        "sinks[0].client_payload.a: at character 3: there is no function lenght() (did you mean length()?)"
        in done.err
    )


def test_a_dry_run_shows_the_body_that_a_template_makes(bridge, receiver) -> None:
    more = 'format = "template"\nbody = { file = "${alias} of ${model_name}" }\nevents = ["MODEL_VERSION_ALIAS_SET"]'
    bridge.configure(http_sink(receiver.url, more=more))

    done = bridge.run("sinks", "test", "ci", "--dry-run")

    assert (done.code, receiver.got) == (0, [])
    assert '"test of mlflow-bridge-test"' in done.out


def test_a_test_sends_the_body_that_a_template_makes(bridge, receiver) -> None:
    bridge.configure(http_sink(receiver.url, more='format = "template"\nbody = ["${sink}", "${to_stage}"]'))

    done = bridge.run("sinks", "test", "ci")

    (got,) = receiver.got
    assert (done.code, got.body) == (0, ["ci", "Production"])
