"""Signatures: how a receiver knows that a delivery comes from this bridge, unaltered."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping

DELIVERY_ID_HEADER = "X-MLflow-Delivery-Id"
"""Carries the event id: the same on every attempt, so that a receiver can discard repeats."""


def mlflow_signature(secret: str, event_id: str, timestamp: int, body: bytes) -> str:
    """Return ``v1,<base64>``: HMAC-SHA256 over ``{id}.{timestamp}.{body}``, keyed by the raw secret.

    ``timestamp`` is in seconds (MLflow, *Webhooks*, "Signature verification").
    """
    signed = f"{event_id}.{timestamp}.".encode() + body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def _mlflow(secret: str, event_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    return {
        "X-MLflow-Signature": mlflow_signature(secret, event_id, timestamp, body),
        "X-MLflow-Timestamp": str(timestamp),
    }


def _none(_secret: str, _event_id: str, _timestamp: int, _body: bytes) -> dict[str, str]:
    return {}


Signer = Callable[[str, str, int, bytes], dict[str, str]]
"""Returns the headers that sign a body: from secret, event id, time in seconds and body."""

SIGNATURES: Mapping[str, Signer] = {"mlflow": _mlflow, "none": _none}
