"""The signature schemes by which a receiver verifies that a delivery comes from this bridge, unaltered."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bridge.events.formats.standard_webhooks import identity

DELIVERY_ID_HEADER = "X-MLflow-Delivery-Id"
"""Carries the event id, which is the same on every attempt, so that a receiver can discard repeats."""

SEQUENCE_HEADER = "X-MLflow-Bridge-Sequence"
"""Carries the number of the outbox entry. It rises for each sink and model, so that a receiver can refuse an older one."""

_PREFIX = "whsec_"

Signer = Callable[[Sequence[str], str, int, bytes], dict[str, str]]
"""Returns the headers that sign a body, given secrets, event id, time in seconds and body."""


def _no_fault(_secret: str) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Scheme:
    """A signature scheme.

    Attributes:
        sign: returns the signature headers.
        takes_several: whether it sends one signature for each secret. If not, only the first secret
            is used, because receivers read one signature.
        fault: returns what is wrong with a secret, without showing it; empty where it is valid.
    """

    sign: Signer
    takes_several: bool = False
    fault: Callable[[str], str] = _no_fault


def mlflow_signature(secret: str, event_id: str, timestamp: int, body: bytes) -> str:
    """Return ``v1,<base64>``: HMAC-SHA256 over ``{id}.{timestamp}.{body}``, keyed by the raw secret.

    ``timestamp`` is in seconds (MLflow, *Webhooks*, "Signature verification").
    """
    return _versioned(secret.encode(errors="surrogateescape"), event_id, timestamp, body)


def _versioned(key: bytes, event_id: str, timestamp: int, body: bytes) -> str:
    signed = f"{event_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def _mlflow(secrets: Sequence[str], event_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    return {
        "X-MLflow-Signature": mlflow_signature(secrets[0], event_id, timestamp, body),
        "X-MLflow-Timestamp": str(timestamp),
    }


def _hex(secret: str, body: bytes) -> str:
    return hmac.new(secret.encode(errors="surrogateescape"), body, hashlib.sha256).hexdigest()


def _databricks(secrets: Sequence[str], _event_id: str, _timestamp: int, body: bytes) -> dict[str, str]:
    """Databricks, *Workspace Model Registry webhooks*, "Client verification"."""
    return {"X-Databricks-Signature": _hex(secrets[0], body)}


def _registry(secrets: Sequence[str], event_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Both signatures, for receivers that were written for one of them."""
    return {
        **_databricks(secrets, event_id, timestamp, body),
        **_mlflow(secrets, event_id, timestamp, body),
    }


def _github(secrets: Sequence[str], _event_id: str, _timestamp: int, body: bytes) -> dict[str, str]:
    """GitHub, *Validating webhook deliveries*."""
    return {"X-Hub-Signature-256": f"sha256={_hex(secrets[0], body)}"}


def _standard(secrets: Sequence[str], event_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Standard Webhooks 1.0, *Webhook headers*: a signature for each secret, separated by spaces."""
    signatures = [_versioned(standard_key(secret), event_id, timestamp, body) for secret in secrets]
    return {**identity(event_id, timestamp), "webhook-signature": " ".join(signatures)}


def standard_key(secret: str) -> bytes:
    """Return the key in a Standard Webhooks secret: base64, with or without the prefix ``whsec_``.

    Raises:
        ValueError: the secret holds no valid key; the message does not show it.
    """
    encoded = secret.removeprefix(_PREFIX).rstrip("=")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise ValueError(f"is no secret of Standard Webhooks: it must be {_PREFIX} followed by base64")
    return key


def _standard_fault(secret: str) -> str:
    try:
        standard_key(secret)
    except ValueError as error:
        return str(error)
    return ""


def _none(_secrets: Sequence[str], _event_id: str, _timestamp: int, _body: bytes) -> dict[str, str]:
    return {}


SIGNATURES: Mapping[str, Scheme] = {
    "mlflow": Scheme(_mlflow),
    "databricks": Scheme(_databricks),
    "registry": Scheme(_registry),
    "github": Scheme(_github),
    "standard": Scheme(_standard, takes_several=True, fault=_standard_fault),
    "none": Scheme(_none),
}

USUAL: Mapping[str, str] = {"databricks": "databricks", "registry": "registry", "standard": "standard"}
"""The default scheme for a format, where a secret is set and no scheme is named; other formats use MLflow's."""


def spellings_of(secret: str) -> tuple[str, ...]:
    """Return the spellings of a secret to mask: the secret itself, and its base64 part for Standard Webhooks."""
    return tuple(dict.fromkeys((secret, secret.removeprefix(_PREFIX))))
