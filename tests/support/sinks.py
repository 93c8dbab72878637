"""One attempt of a sink, over real sockets."""

from bridge.delivery.attempt_outcome import Outcome
from bridge.sinks.base import Delivery
from bridge.sinks.sink_type_table import KINDS, SETTINGS
from bridge.sinks.transport.http_client import Client
from support.values import transition

NOW = 1_700_000_000_500
DELIVERY = Delivery(transition(model="fraud"), "MODEL_VERSION_TRANSITIONED_STAGE", NOW)


def settings_of(kind: str, **own):
    return SETTINGS[kind].model_validate({"name": "ci", "type": kind, **own})


def built(kind: str, transport, timeout_ms: int = 5_000, **own):
    return KINDS[kind].build(settings_of(kind, **own), transport, timeout_ms)


async def attempt(kind: str, delivery: Delivery = DELIVERY, **own) -> Outcome:
    async with Client() as client:
        return await built(kind, client, **own).deliver(delivery)
