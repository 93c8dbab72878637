"""Run polls and log outages: one line when polls begin to fail, one when they succeed again."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from bridge.delivery.outbox_entry import Entry
from bridge.errors import BridgeError, PollHeld, RegistryBusy, ScanUnfinished, StateUnwritable
from bridge.pipeline.incremental_read import Read
from bridge.pipeline.poll import Poll

if TYPE_CHECKING:
    import asyncio

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PollResult:
    """The result of a poll: its new entries, an error or a hold, and the poll in which an unfinished scan continues."""

    entries: tuple[Entry, ...] = ()
    error: BridgeError | None = None
    rest: "asyncio.Task[PollResult] | None" = None

    @property
    def has_failed(self) -> bool:
        """Whether the poll failed; a hold or an unfinished scan is not a failure."""
        return self.error is not None and not isinstance(self.error, PollHeld | ScanUnfinished)

    @property
    def is_unfinished(self) -> bool:
        """Whether a full scan continues with the next poll."""
        return isinstance(self.error, ScanUnfinished)

    @property
    def asked_s(self) -> float:
        """The wait that the registry asks for, in seconds; 0 if it asks for none."""
        return (self.error.wait_s or 0) if isinstance(self.error, RegistryBusy) else 0


class WatchedPoll:
    """A poll that logs repeated failures once, and returns errors instead of raising them."""

    def __init__(self, poll: Poll) -> None:
        """Wrap ``poll``."""
        self._poll = poll
        self.trouble = ""
        """Why the last poll failed; empty if it succeeded."""
        self.attempts = 0
        self._is_busy = False

    async def run(
        self,
        read: Read = Read.FULL,
        accepted: frozenset[str] = frozenset(),
        within_ms: int | None = None,
        *,
        afresh: bool = False,
        only_named: bool = False,
    ) -> PollResult:
        """Poll once, with the arguments of `Poll.run`. A hold is returned as the error, beside the entries."""
        try:
            polled = await self._poll.run(read, accepted, within_ms, afresh=afresh, only_named=only_named)
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
        repeated = str(error) == self.trouble or (
            was_busy and self._is_busy
        )  # only the seconds in the message differ
        self.trouble = str(error)
        (log.debug if repeated else log.error)(name, error=str(error), attempt=self.attempts)
        return PollResult(error=error)

    def _went_well(self) -> None:
        if self.trouble:
            log.info("poll.recovered", after=self.trouble)
            self.trouble, self._is_busy = "", False


_NAMES: dict[type[BridgeError], str] = {StateUnwritable: "state.unwritable"}
