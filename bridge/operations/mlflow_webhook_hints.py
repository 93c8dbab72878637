"""MLflow's own webhooks (MLflow 3.3 and newer) as hints: verified, and otherwise not believed."""

import asyncio
import hmac
import json
from dataclasses import dataclass
from typing import Any

from bridge.config import Secret, Settings
from bridge.errors import InvalidArgument, InvalidState, NotAllowed, SecretUnavailable
from bridge.events.change_hints import Hint
from bridge.events.delivery_signatures import mlflow_signature
from bridge.sinks.transport.blocking_calls import SharedCalls

_AS_OLD_S = 300
"""How far the time of a delivery may be from now, either way: MLflow's receivers are advised to use five minutes."""

_FILE_S = 2.0
"""How long the secret's file may take to be read."""

_FILES: SharedCalls[Secret, str] = SharedCalls("secret of webhooks in MLflow")

_LONGEST_NAME = 256
_REFUSED = "the bridge takes no webhooks of MLflow: give server.mlflow_webhook_secret the secret that the webhook has in MLflow"


@dataclass(frozen=True, slots=True)
class MlflowDelivery:
    """What MLflow sends: three of its headers, and the body (MLflow, *Webhooks*, "Signature verification")."""

    signature: str
    delivery_id: str
    timestamp: str
    body: bytes


async def webhook_hint(settings: Settings, delivery: MlflowDelivery, now_s: int) -> tuple[Hint, str | None]:
    """Return the hint of a delivery, and its workspace; ``now_s`` is seconds since the epoch.

    Raises:
        InvalidState: the bridge has no secret for it.
        SecretUnavailable: the secret cannot be read.
        NotAllowed: it is not signed with that secret, or not now.
        InvalidArgument: it names no model.
    """
    secret = settings.server.mlflow_webhook_secret if settings.server else None
    if secret is None:
        raise InvalidState(_REFUSED)
    _check_signed(await _value_of(secret), delivery, now_s)
    return _hint_in(delivery.body)


async def _value_of(secret: Secret) -> str:
    if secret.env:
        return secret.read()
    try:
        async with asyncio.timeout(_FILE_S):
            return await _FILES.result(secret, secret.read)
    except TimeoutError:
        raise SecretUnavailable(f"server.mlflow_webhook_secret cannot be read within {_FILE_S:g} s") from None


def _check_signed(secret: str, delivery: MlflowDelivery, now_s: int) -> None:
    if not (delivery.timestamp.isascii() and delivery.timestamp.isdigit()):
        raise NotAllowed("X-MLflow-Timestamp is missing: has the webhook a secret in MLflow?")
    timestamp = int(delivery.timestamp[:20])
    wanted = mlflow_signature(secret, delivery.delivery_id, timestamp, delivery.body)
    if not hmac.compare_digest(wanted.encode(), delivery.signature.encode(errors="replace")):
        raise NotAllowed(
            "X-MLflow-Signature does not fit: is server.mlflow_webhook_secret the webhook's secret?"
        )
    if abs(timestamp - now_s) > _AS_OLD_S:
        raise NotAllowed("X-MLflow-Timestamp is more than five minutes from now: do the clocks differ?")


def _hint_in(body: bytes) -> tuple[Hint, str | None]:
    try:
        said: Any = json.loads(body)
        name = said["data"]["name"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InvalidArgument("data.name: is missing: this is no webhook about a model") from None
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME:
        raise InvalidArgument("data.name: is not the name of a model")
    workspace = said.get("workspace")
    return Hint(name), workspace if isinstance(workspace, str) else None
