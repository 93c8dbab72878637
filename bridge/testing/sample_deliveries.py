"""Sample deliveries for tests of sinks."""

from dataclasses import replace
from typing import Final

from bridge.events.event_names import EVENT_NAMES
from bridge.events.sample_events import synthetic_event, with_details
from bridge.sinks.base import Delivery

SECRET_VARIABLE: Final = "MLFLOW_BRIDGE_TESTING_SECRET"
SECRET_PLACE: Final = {"env": SECRET_VARIABLE}
"""The place of secrets in the settings under test; it holds `SinkContract.secret`."""

NOW_MS: Final = 1_700_000_000_500
"""The time of the sample deliveries, in ms since the epoch."""

TRANSITION: Final = "MODEL_VERSION_TRANSITIONED_STAGE"

PARTS: Final = ("run", "model", "version")
"""The values of `include`."""

HOSTILE: Final = (
    "two\nlines\r\nX-Injected: 1",
    "nul\x00",
    "surrogate\ud800",
    "${model_name} %s {0} $(id) `id`",
    "\"}],'<script>&amp;",
    "../../etc/passwd",
    "\N{PILE OF POO}" * 50,
)
"""Model names that a registry can contain, and that a sink might handle wrongly."""


def sample(
    number: int = 1, model: str = "fraud-detector", event: str = TRANSITION, now_ms: int = NOW_MS
) -> Delivery:
    """Return a delivery of the event with this number at ``now_ms``; the same number gives the same event id."""
    made = synthetic_event(event, (), f"00000000-0000-4000-8000-{number:012}", NOW_MS)
    return Delivery(replace(made, model_name=model, lane=model), EVENT_NAMES[event].name, now_ms)


def detailed() -> Delivery:
    """Return a delivery whose event has all the details that a sink can ask for (``include``)."""
    made = sample()
    return replace(made, event=with_details(made.event, PARTS))
