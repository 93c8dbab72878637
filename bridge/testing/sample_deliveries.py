"""What tests of sinks deliver."""

from dataclasses import replace
from typing import Final

from bridge.events.event_names import EVENT_NAMES
from bridge.events.sample_events import synthetic_event, with_details
from bridge.sinks.base import Delivery

SECRET_VARIABLE: Final = "MLFLOW_BRIDGE_TESTING_SECRET"
SECRET_PLACE: Final = {"env": SECRET_VARIABLE}
"""Where the settings under test find their secrets: `SinkContract.secret` is there."""

NOW_MS: Final = 1_700_000_000_500
"""When samples are delivered, in ms since the epoch."""

TRANSITION: Final = "MODEL_VERSION_TRANSITIONED_STAGE"

PARTS: Final = ("run", "model", "version")
"""What `include` can ask for."""

HOSTILE: Final = (
    "two\nlines\r\nX-Injected: 1",
    "nul\x00",
    "surrogate\ud800",
    "${model_name} %s {0} $(id) `id`",
    "\"}],'<script>&amp;",
    "../../etc/passwd",
    "\N{PILE OF POO}" * 50,
)
"""Names that a registry may well hold."""


def sample(
    number: int = 1, model: str = "fraud-detector", event: str = TRANSITION, now_ms: int = NOW_MS
) -> Delivery:
    """Return an attempt to make, at ``now_ms``: of the event with that number, whose id is always the same."""
    made = synthetic_event(event, (), f"00000000-0000-4000-8000-{number:012}", NOW_MS)
    return Delivery(replace(made, model_name=model, lane=model), EVENT_NAMES[event].name, now_ms)


def detailed() -> Delivery:
    """Return an attempt to make whose event has all the details that a sink can ask for (``include``)."""
    made = sample()
    return replace(made, event=with_details(made.event, PARTS))
