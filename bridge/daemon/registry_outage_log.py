"""What the daemon notices about its polls: one log line when the registry goes, one when it is back."""

from dataclasses import dataclass

import structlog

from bridge.delivery.outbox_entry import Entry
from bridge.errors import BridgeError, PollHeld, RegistryBusy, ScanUnfinished, StateUnwritable
from bridge.pipeline.incremental_read import Read
from bridge.pipeline.poll import Poll

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PollResult:
    """What came of a poll: new entries, and a hold that stands; or an error."""

    entries: tuple[Entry, ...] = ()
    error: BridgeError | None = None

    @property
    def has_failed(self) -> bool:
        """Whether nothing was observed."""
        return self.error is not None and not isinstance(self.error, PollHeld | ScanUnfinished)

    @property
    def is_unfinished(self) -> bool:
        """Whether a full scan is to go on with the next poll."""
        return isinstance(self.error, ScanUnfinished)

    @property
    def asked_s(self) -> float:
        """How many seconds the registry asks to be left alone; 0 where it does not."""
        return (self.error.wait_s or 0) if isinstance(self.error, RegistryBusy) else 0


class WatchedPoll:
    """A poll that reports its failures once, and never raises what a later poll can mend."""

    def __init__(self, poll: Poll) -> None:
        """Watch ``poll``."""
        self._poll = poll
        self.trouble = ""
        """Why the last poll failed, if it did."""
        self.attempts = 0
        self._is_busy = False

    async def run(
        self,
        read: Read = Read.FULL,
        accepted: frozenset[str] = frozenset(),
        within_ms: int | None = None,
        *,
        afresh: bool = False,
    ) -> PollResult:
        """Poll once; arguments as for `Poll.run`. A hold that stands counts as an error beside the entries."""
        try:
            polled = await self._poll.run(read, accepted, within_ms, afresh=afresh)
        except ScanUnfinished as error:
            log.info("scan.unfinished", progress=str(error))
            return PollResult(error=error)
        except BridgeError as error:
            return self._failed(error)
        except Exception as error:
            kind = type(error).__name__
            log.debug("poll.fault", kind=kind, exc_info=error)
            return self._failed(BridgeError(f"a fault in the bridge or in MLflow's client: {kind}"))
        else:
            self._went_well()
            return PollResult(tuple(polled.entries), polled.held)
        finally:
            self.attempts += 1

    def _failed(self, error: BridgeError) -> PollResult:
        name = _NAMES.get(type(error), "poll.failed")
        was_busy, self._is_busy = self._is_busy, isinstance(error, RegistryBusy)
        repeated = str(error) == self.trouble or (was_busy and self._is_busy)  # the seconds count down
        self.trouble = str(error)
        (log.debug if repeated else log.error)(name, error=str(error), attempt=self.attempts)
        return PollResult(error=error)

    def _went_well(self) -> None:
        if self.trouble:
            log.info("poll.recovered", after=self.trouble)
            self.trouble, self._is_busy = "", False


_NAMES: dict[type[BridgeError], str] = {StateUnwritable: "state.unwritable"}
