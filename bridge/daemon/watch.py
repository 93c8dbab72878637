"""What the daemon notices about its polls: one log line when the registry goes, one when it is back."""

from collections.abc import Sequence

import structlog

from bridge.delivery.entry import Entry
from bridge.errors import BridgeError, StateUnwritable
from bridge.pipeline.poll import Poll
from bridge.pipeline.reads import Read

log = structlog.get_logger(__name__)


class WatchedPoll:
    """A poll that reports its failures once, and never raises what a later poll can mend."""

    def __init__(self, poll: Poll) -> None:
        """Watch ``poll``."""
        self._poll = poll
        self._trouble = ""
        self.attempts = 0

    async def run(self, read: Read = Read.FULL) -> Sequence[Entry]:
        """Poll once; return the new entries, or none where the poll failed."""
        try:
            entries = (await self._poll.run(read)).entries
        except BridgeError as error:
            self._failed(error)
            return []
        except Exception as error:  # noqa: BLE001 - a bug in one poll must not end all of them
            kind = type(error).__name__
            self._failed(BridgeError(f"a fault in the bridge or in MLflow's client: {kind}"))
            return []
        else:
            self._went_well()
            return entries
        finally:
            self.attempts += 1

    def _failed(self, error: BridgeError) -> None:
        name = _NAMES.get(type(error), "poll.failed")
        repeated = str(error) == self._trouble
        self._trouble = str(error)
        (log.debug if repeated else log.error)(name, error=str(error), attempt=self.attempts)

    def _went_well(self) -> None:
        if self._trouble:
            log.info("poll.recovered", after=self._trouble)
            self._trouble = ""


_NAMES: dict[type[BridgeError], str] = {StateUnwritable: "state.unwritable"}
