"""The ``http`` sink in every format and with every signature, over real sockets."""

import base64
import json
import time

import pytest
from cloudevents.http import from_http
from standardwebhooks import Webhook
from support.receiver import Answer, Receiver
from support.values import transition

from bridge.config.file_loading import build
from bridge.delivery.attempt_outcome import Outcome, Reason, Verdict
from bridge.diff.registry_changes import ChangeKind as K
from bridge.errors import ConfigurationError
from bridge.events.delivery_signatures import SIGNATURES
from bridge.events.formats import FORMATS, default_payload, webhook_id
from bridge.sinks.base import Delivery
from bridge.sinks.http.http_sink import HttpSettings, HttpSink
from bridge.sinks.sink_type_table import SETTINGS
from bridge.sinks.transport.http_client import Client

NEW, OLD = ("whsec_" + base64.b64encode(char * 24).decode() for char in (b"n", b"o"))
NAME = {True: "MODEL_VERSION_TRANSITIONED_STAGE", False: "MODEL_VERSION_ALIAS_SET"}
SIGNED = [name for name in SIGNATURES if name != "none"]


@pytest.fixture(autouse=True)
def secrets(monkeypatch) -> None:
    monkeypatch.setenv("NEW", NEW)
    monkeypatch.setenv("OLD", OLD)


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.stop()


def delivery_in(form: str, now_s: float = 1_700_000_000) -> Delivery:
    alias = transition(type=K.ALIAS_SET, changed={"alias": "champion", "previous_version": None})
    tells = K.TRANSITIONED in FORMATS[form].kinds
    return Delivery(transition() if tells else alias, NAME[tells], int(now_s * 1000))


async def attempt(url: str, form: str, delivery: Delivery | None = None, **keys) -> Outcome:
    delivery = delivery or delivery_in(form)
    table = {"name": "ci", "type": "http", "url": url, "format": form, "events": [NAME[form != "mlflow3"]]}
    async with Client() as client:
        return await HttpSink(HttpSettings.model_validate({**table, **keys}), client, 2_000).deliver(delivery)


def problem(**keys) -> list[str]:
    sink = {"name": "ci", "type": "http", "url": "https://h/hook", **keys}
    with pytest.raises(ConfigurationError) as caught:
        build({"registry": {"tracking_uri": "http://h"}, "sinks": [sink]}, SETTINGS)
    return caught.value.problems


@pytest.mark.parametrize("signature", SIGNATURES)
@pytest.mark.parametrize("form", FORMATS)
async def test_every_format_and_signature_is_one_request_with_the_event_id(form, signature, receiver) -> None:
    keys = {} if signature == "none" else {"secret": {"env": "NEW"}}

    outcome = await attempt(receiver.url, form, signature=signature, **keys)

    (got,) = receiver.got
    assert (outcome.verdict, got.delivery_id) == (Verdict.DELIVERED, "event-1")
    if "standard" in {form, signature}:
        assert got.headers["webhook-id"] == "event-1"


@pytest.mark.parametrize("form", FORMATS)
async def test_the_id_and_the_body_are_the_same_on_every_attempt(form, receiver) -> None:
    receiver.answer = Answer(500)
    for now_s in (1_700_000_000, 1_700_000_060):
        await attempt(receiver.url, form, delivery_in(form, now_s), secret={"env": "NEW"})

    first, second = receiver.got
    assert (first.raw, first.delivery_id) == (second.raw, second.delivery_id)


@pytest.mark.parametrize(
    ("form", "header"),
    [
        ("mlflow", "x-mlflow-signature"),
        ("mlflow3", "x-mlflow-signature"),
        ("cloudevents", "x-mlflow-signature"),
        ("databricks", "x-databricks-signature"),
        ("standard", "webhook-signature"),
    ],
)
async def test_a_secret_alone_signs_as_goes_with_the_format(form, header, receiver) -> None:
    await attempt(receiver.url, form, secret={"env": "NEW"})

    assert header in receiver.got[0].headers
    assert sum("signature" in name for name in receiver.got[0].headers) == 1


@pytest.mark.parametrize("receivers", [NEW, OLD])
async def test_what_arrives_is_verified_by_the_sdk_whichever_secret_the_receiver_has(
    receivers, receiver
) -> None:
    both = [{"env": "NEW"}, {"env": "OLD"}]

    await attempt(receiver.url, "standard", delivery_in("standard", time.time()), secret=both)

    (got,) = receiver.got
    message = Webhook(receivers).verify(got.raw, got.headers)
    default = default_payload(transition(), NAME[True], ("webhook_id", webhook_id("ci")))
    assert (message["type"], message["data"]) == (NAME[True], default)


@pytest.mark.parametrize("form", ["cloudevents", "cloudevents-binary"])
async def test_what_arrives_is_read_by_the_sdk_of_cloudevents(form, receiver) -> None:
    await attempt(receiver.url, form)

    (got,) = receiver.got
    assert from_http(got.headers, got.raw)["id"] == "event-1"


async def test_mlflow_own_verification_takes_the_native_format(receiver) -> None:
    from mlflow.webhooks.delivery import _generate_hmac_signature

    await attempt(receiver.url, "mlflow3", secret=[{"env": "NEW"}, {"env": "OLD"}])

    headers = receiver.got[0].headers
    assert headers["x-mlflow-signature"] == _generate_hmac_signature(
        NEW, headers["x-mlflow-delivery-id"], headers["x-mlflow-timestamp"], receiver.got[0].raw.decode()
    )


@pytest.mark.parametrize("signature", ["mlflow", "databricks", "registry", "github"])
async def test_where_one_signature_is_sent_only_the_first_secret_is_needed(
    signature, receiver, monkeypatch
) -> None:
    monkeypatch.delenv("OLD")

    outcome = await attempt(
        receiver.url, "mlflow", signature=signature, secret=[{"env": "NEW"}, {"env": "OLD"}]
    )

    assert outcome.verdict is Verdict.DELIVERED


async def test_a_missing_one_of_several_secrets_is_named(receiver, monkeypatch) -> None:
    monkeypatch.delenv("OLD")

    outcome = await attempt(receiver.url, "standard", secret=[{"env": "NEW"}, {"env": "OLD"}])

    assert (outcome.reason, receiver.got) == (Reason.SECRET, [])
    assert outcome.detail.startswith("sinks.ci.secret[1]: environment variable OLD is not set")


async def test_a_malformed_secret_is_worth_another_try_and_does_not_show(receiver, monkeypatch) -> None:
    monkeypatch.setenv("NEW", "whsec_s3cret!")

    outcome = await attempt(receiver.url, "standard", secret={"env": "NEW"})

    assert (outcome.verdict, outcome.reason, receiver.got) == (Verdict.RETRYABLE, Reason.SECRET, [])
    assert outcome.detail.startswith("sinks.ci.secret: environment variable NEW: is no secret of Standard")
    assert "s3cret" not in outcome.detail


@pytest.mark.parametrize("signature", SIGNED)
async def test_no_secret_that_signs_shows_in_an_outcome_however_it_is_echoed(signature, receiver) -> None:
    echoes = [NEW, NEW.removeprefix("whsec_"), json.dumps(OLD), base64.b64encode(NEW.encode()).decode()]
    receiver.answer = Answer(400, body=f"you sent {' and '.join(echoes)}".encode())

    both = [{"env": "NEW"}, {"env": "OLD"}] if signature == "standard" else {"env": "NEW"}
    outcome = await attempt(receiver.url, "mlflow", signature=signature, secret=both)

    shown = [NEW, NEW.removeprefix("whsec_")] + ([OLD] if signature == "standard" else [])
    assert "you sent ***" in outcome.detail
    assert not [one for one in (*shown, echoes[3]) if one in outcome.detail]


async def test_an_event_routed_before_the_format_changed_waits_for_a_format_that_can_tell_of_it(
    receiver,
) -> None:
    renamed = transition(type=K.MODEL_RENAMED, changed={"previous_name": "old"}, model_version=None)

    outcome = await attempt(
        receiver.url, "databricks", Delivery(renamed, "REGISTERED_MODEL_RENAMED", 1_700_000_000_000)
    )

    assert (outcome.verdict, outcome.reason, receiver.got) == (Verdict.RETRYABLE, Reason.MISCONFIGURED, [])
    assert (
        "'databricks' cannot tell of REGISTERED_MODEL_RENAMED: mlflow, registry, standard, " in outcome.detail
    )


@pytest.mark.parametrize(
    ("form", "events", "untold"),
    [
        ("mlflow3", ["MODEL_VERSION_TRANSITIONED_STAGE"], "MODEL_VERSION_TRANSITIONED_STAGE"),
        ("databricks", ["model_version_alias.created"], "model_version_alias.created"),
        (
            "databricks",
            ["MODEL_VERSION_CREATED", "REGISTERED_MODEL_RENAMED", "MODEL_VERSION_DELETED"],
            "REGISTERED_MODEL_RENAMED, MODEL_VERSION_DELETED",
        ),
    ],
)
def test_a_format_that_cannot_tell_of_an_event_asked_for_is_one_error(form, events, untold) -> None:
    (found,) = problem(format=form, events=events)

    assert found.startswith(
        f"sinks[0].format: {form!r} cannot tell of {untold}, which the sink 'ci' asks for: "
    )
    assert "mlflow, " in found
    assert "standard, cloudevents, cloudevents-binary can" in found


def test_the_native_format_needs_events_to_be_asked_for() -> None:
    (found,) = problem(format="mlflow3")

    assert "cannot tell of MODEL_VERSION_TRANSITIONED_STAGE" in found


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"secret": []}, "sinks[0].secret: "),
        (
            {"secret": [{"env": "A"}, {"evn": "B"}]},
            "sinks[0].secret[1].evn: unknown key (did you mean 'env'?)",
        ),
        ({"secret": [{"env": "A"}, "inline"]}, "sinks[0].secret[1]: must say where the secret is"),
        ({"secret": [{"env": "A"}], "signature": "none"}, "sinks[0].secret: is not used"),
        ({"signature": "standard"}, 'sinks[0].secret: is missing: signature = "standard" needs it'),
        ({"format": "xml"}, "sinks[0].format: "),
    ],
)
def test_what_is_wrong_with_secrets_and_formats_is_said_with_its_key(keys, expected) -> None:
    (found,) = problem(**keys)

    assert found.startswith(expected)
    assert "inline" not in found


def test_several_secrets_are_known_by_their_places() -> None:
    table = {"name": "ci", "type": "http", "url": "https://h", "secret": [{"env": "NEW"}, {"env": "OLD"}]}
    settings = HttpSettings.model_validate(table)

    assert {key: secret.env for key, secret in settings.secrets().items()} == {
        "secret[0]": "NEW",
        "secret[1]": "OLD",
    }
    assert list(settings.signing()) == ["secret[0]"]
