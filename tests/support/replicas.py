"""Bridges that share a state, each as if on a host of its own."""

import signal
import subprocess
import uuid
from contextlib import ExitStack, contextmanager, suppress

from support.command import Bridge
from support.database_wire import DatabaseWire
from support.patience import patience
from support.until import wait_until

LEASE_S = 2


class Place:
    """A bridge on a host of its own, with its own way to the database."""

    def __init__(
        self, folder, cluster, registry: str, state: str, *sinks: str, more: str = "", environment=None
    ) -> None:
        self.wire = DatabaseWire(cluster.folder)
        self.bridge = Bridge(folder, registry)
        url = cluster.state_url("states", str(self.wire.folder))
        self.bridge.write(registry, *sinks, state=f'url = "{url}"\n{state}', more=more)
        self.bridge.environment |= environment or {}
        self.process = self.bridge.start()

    @property
    def owns(self) -> bool:
        """Whether it has taken the ownership last, and not lost it, as its log tells."""
        told = [one["event"] for one in self.bridge.log if one["event"].startswith("replica.")]
        return bool(told) and told[-1] == "replica.owns"

    def restart(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process = self.bridge.start()

    def end(self) -> None:
        """Have it end in peace, for what it notes at its end; or else kill it."""
        self.wire.mend()
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(patience() / 4)
        self.process.kill()
        self.process.wait()
        self.wire.stop()


@contextmanager
def places(tmp_path, cluster, registry: str, *sinks: str, count: int, lease_s: int = LEASE_S, more: str = ""):
    state = f'schema = "s{uuid.uuid4().hex[:12]}"\nlease = "{lease_s}s"'
    with ExitStack() as stack:
        found = []
        for number in range(count):
            place = Place(tmp_path / f"host-{number}", cluster, registry, state, *sinks, more=more)
            stack.callback(place.end)
            found.append(place)
            place.bridge.wait_for_log("replica.owns" if number == 0 else "replica.stands_by")
        yield found


def owner_of(hosts: list[Place], besides: Place | None = None) -> Place:
    """Wait for the owner, other than ``besides``, that has polled since it took over."""
    found: list[Place] = []

    def is_found() -> bool:
        found[:] = [one for one in hosts if one is not besides and one.owns]
        return bool(found)

    wait_until(is_found)
    return found[0]
