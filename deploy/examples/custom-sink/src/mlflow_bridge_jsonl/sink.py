"""The ``jsonl_file`` sink: the settings that it takes, and how it delivers."""

import asyncio

from pydantic import Field

from bridge.plugin import (
    Delivery,
    Outcome,
    Reason,
    SinkSettings,
    Transport,
    default_payload,
    delivered,
    encode,
    in_thread,
    retryable,
)
from mlflow_bridge_jsonl.append import append


class JsonlFileSettings(SinkSettings):
    """``type = "jsonl_file"``: ``file`` begins, where it is relative, at the folder of the configuration."""

    file: str = Field(min_length=1)

    def origin(self) -> str:
        """Return what ``sinks list`` shows as the place."""
        return self.file


class JsonlFileSink:
    """Appends an event to the file. It counts as delivered once it is on the disk."""

    def __init__(self, settings: JsonlFileSettings, _transport: Transport, timeout_ms: int) -> None:
        """Open nothing yet: `check` makes a sink, too."""
        self._file = settings.file
        self._seconds = timeout_ms / 1000

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Make one attempt; what fails for now is tried again by the bridge."""
        event = delivery.event
        line = encode(default_payload(event, delivery.event_name, ("delivery_id", event.id)))
        try:
            async with asyncio.timeout(self._seconds):
                await in_thread(lambda: append(self._file, line, self._seconds))
        except TimeoutError:
            return retryable(Reason.TIMEOUT, f"{self._file}: not written within {self._seconds:g} s")
        except OSError as error:
            return retryable(Reason.MISCONFIGURED, f"{self._file}: {error.strerror}")
        return delivered()
