"""Reads the registry within a deadline, and abandons reads that take longer."""

from collections.abc import Callable, Mapping

from bridge.diff.snapshot import RegisteredModel
from bridge.errors import RegistryUnreachable, ScanUnfinished
from bridge.events.display_text import count
from bridge.pipeline.clocks import Clock, stamp_of
from bridge.pipeline.reading_result import Observation, Order
from bridge.pipeline.registry_reading import RegistryReader
from bridge.pipeline.resumable_scan import ScanSlice
from bridge.pipeline.worker_threads import SharedCall, ThreadedCall
from bridge.registry.base import Deadline
from bridge.registry.scan_position import ScanGaveWay
from bridge.store.base import Basis

GRACE_S = 5.0
"""How much longer than the deadline a running request may take before it is cut off."""

_MOST_LEFT = 4
"""How many reads that cannot be cut off (a name look-up that hangs, for example) may remain in the background."""


class BoundedReader:
    """Reads the registry, one read after the other, each in a thread of its own."""

    def __init__(self, reader: RegistryReader, deadline_ms: int, clock: Clock) -> None:
        """Read with ``reader`` within ``deadline_ms``."""
        self._reader = reader
        self._deadline_ms = deadline_ms
        self._clock = clock
        self._prepared = SharedCall(reader.prepare)  # never cut off: half an import stays broken
        self._left: list[ThreadedCall[Observation]] = []

    async def read(
        self,
        basis: Basis,
        order: Order,
        overlooked: Mapping[str, RegisteredModel],
        scan: ScanSlice,
        within_ms: int | None = None,
    ) -> Observation:
        """Read within the deadline plus a grace period, or ``within_ms`` if that is less; then cut it off.

        Raises:
            ScanUnfinished: the time is over, and ``scan`` made progress in it.
            RegistryError, SecretUnavailable, StateForeign: as in `RegistryReader.read`.
        """
        self._left = [one for one in self._left if one.is_running()]
        if len(self._left) >= _MOST_LEFT:
            raise RegistryUnreachable(
                f"the registry is still holding up the reads of {_MOST_LEFT} earlier polls, which cannot be cut off: "
                "does looking up its name hang, or a file that MLflow's client reads?"
            )
        deadline = Deadline.after(await self._prepare(within_ms))
        reading = ThreadedCall(lambda: self._reader.read(basis, order, overlooked, deadline, scan))
        try:
            return await reading.within(deadline.remaining() + (GRACE_S if within_ms is None else 0))
        except (TimeoutError, RegistryUnreachable) as error:
            if isinstance(error, ScanGaveWay):
                raise ScanUnfinished(_told(scan, "before a hint came first")) from error
            if scan.progress.pages and deadline.remaining() == 0:
                raise ScanUnfinished(_told(scan, "in time (poll.deadline, or --deadline)")) from error
            if isinstance(error, RegistryUnreachable):
                raise
            msg = "the registry did not answer everything in time (poll.deadline, or --deadline)"
            raise RegistryUnreachable(msg) from None
        finally:
            if reading.is_running():  # it ends at its next step, and its result is discarded
                self._left.append(reading)

    async def whole(self, basis: Basis, order: Order, goes_on: Callable[[], None]) -> Observation:
        """Scan for as many deadlines as it takes, while each one brings progress; call ``goes_on`` after each.

        Raises:
            RegistryError, SecretUnavailable, StateForeign: as in `RegistryReader.read`.
        """
        scan = ScanSlice(stamp_of(self._clock))
        while True:
            try:
                return await self.read(basis, order, {}, scan)
            except ScanUnfinished:
                goes_on()
                kept = scan.keep(0)
                scan = ScanSlice(stamp_of(self._clock), kept, scan.all_parts().__getitem__)

    async def _prepare(self, within_ms: int | None) -> int:
        """Prepare the client; return how many milliseconds remain for the read itself."""
        began = self._clock.monotonic()
        most = self._deadline_ms if within_ms is None else within_ms
        try:
            await self._prepared.within(most / 1000)
        except TimeoutError:
            raise RegistryUnreachable(
                "MLflow's client could not be made ready in time (poll.deadline, or --deadline): is the machine very busy, "
                "or do its packages, or the files of the registry's secrets, lie on a disk that hangs?"
            ) from None
        if within_ms is None:
            return self._deadline_ms
        taken_ms = int((self._clock.monotonic() - began) * 1000)
        return min(max(0, within_ms - taken_ms), self._deadline_ms)


def _told(scan: ScanSlice, until: str) -> str:
    models, versions = scan.progress.counted
    return (
        f"the full scan is not over: {count(models, 'model')} and {count(versions, 'version')} were read {until}, "
        "and the next poll goes on from there"
    )
