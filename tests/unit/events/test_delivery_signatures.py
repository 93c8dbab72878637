"""Signatures, verified as their receivers do it: by the official SDK, and by the documented recipes."""

import base64
import hashlib
import hmac
import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from bridge.events.delivery_signatures import SIGNATURES, spellings_of, standard_key

BODY = b'{"type":"X","data":{"name":"caf\\u00e9"}}'
NEW = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD = "whsec_" + base64.b64encode(b"o" * 32).decode()


def signed(*secrets: str, at: int | None = None) -> dict[str, str]:
    return SIGNATURES["standard"].sign(secrets, "event-1", at or int(time.time()), BODY)


@pytest.mark.parametrize("secret", [NEW, NEW.removeprefix("whsec_"), OLD, OLD.rstrip("=")])
def test_the_sdk_of_standard_webhooks_verifies_what_is_signed(secret) -> None:
    assert Webhook(secret).verify(BODY, signed(secret))["type"] == "X"


@pytest.mark.parametrize("receiver", [NEW, OLD])
def test_while_secrets_rotate_receivers_with_either_one_verify(receiver) -> None:
    headers = signed(NEW, OLD)

    assert Webhook(receiver).verify(BODY, headers)
    assert len(headers["webhook-signature"].split(" ")) == 2


@pytest.mark.parametrize(
    ("body", "secret"), [(BODY + b" ", NEW), (BODY, OLD)], ids=["altered body", "other secret"]
)
def test_the_sdk_refuses_what_is_not_signed_with_its_secret(body, secret) -> None:
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body, signed(NEW))


def test_the_id_is_the_event_and_the_time_that_of_the_attempt() -> None:
    headers = signed(NEW, at=1_700_000_000)

    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("event-1", "1700000000")


@pytest.mark.parametrize(
    "secret", ["whsec_", "whsec_not base64!", "p\N{LATIN SMALL LETTER O WITH DIAERESIS}"]
)
def test_a_malformed_secret_is_said_to_be_that_without_showing_it(secret) -> None:
    fault = SIGNATURES["standard"].fault(secret)

    assert "must be whsec_ followed by base64" in fault
    assert secret == "whsec_" or secret not in fault
    with pytest.raises(ValueError, match="no secret of Standard Webhooks"):
        standard_key(secret)


def test_mlflow_itself_makes_the_same_signature_and_it_is_that_of_the_first_secret() -> None:
    from mlflow.webhooks.delivery import _generate_hmac_signature

    headers = SIGNATURES["mlflow"].sign(["new", "old"], "event-1", 1_700_000_000, BODY)

    expected = _generate_hmac_signature("new", "event-1", "1700000000", BODY.decode())
    assert headers == {"X-MLflow-Signature": expected, "X-MLflow-Timestamp": "1700000000"}


def test_databricks_and_github_sign_the_body_alone_with_the_first_secret() -> None:
    digest = hmac.new(b"new", BODY, hashlib.sha256).hexdigest()

    assert SIGNATURES["databricks"].sign(["new", "old"], "x", 1, BODY) == {"X-Databricks-Signature": digest}
    assert SIGNATURES["github"].sign(["new", "old"], "x", 1, BODY) == {
        "X-Hub-Signature-256": f"sha256={digest}"
    }


def test_registry_signs_as_databricks_and_as_mlflow() -> None:
    secrets, moment = ["new", "old"], 1_700_000_000

    assert SIGNATURES["registry"].sign(secrets, "x", moment, BODY) == {
        **SIGNATURES["databricks"].sign(secrets, "x", moment, BODY),
        **SIGNATURES["mlflow"].sign(secrets, "x", moment, BODY),
    }


def test_the_documented_example_of_github_holds() -> None:
    """GitHub, *Validating webhook deliveries*, "Testing the webhook payload validation"."""
    secret, body = "It's a Secret to Everybody", b"Hello, World!"

    assert SIGNATURES["github"].sign([secret], "x", 1, body) == {
        "X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    }


@pytest.mark.parametrize("scheme", ["mlflow", "databricks", "registry", "github"])
def test_a_secret_that_is_no_text_signs_with_its_bytes(scheme) -> None:
    assert SIGNATURES[scheme].sign([b"\xff\xfe".decode(errors="surrogateescape")], "x", 1, BODY)


def test_what_has_to_be_masked_of_a_secret_is_also_its_base64() -> None:
    assert spellings_of(NEW) == (NEW, NEW.removeprefix("whsec_"))
    assert spellings_of("plain") == ("plain",)
