"""Turn the signals of the daemon into asyncio events."""

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_MANY = 4096


class Signals:
    """Events for signals: SIGTERM and SIGINT set ``stop``, SIGHUP sets ``reload``, SIGUSR1 sets ``scan``.

    ``renew`` is set by the daemon itself: the settings in force changed, and a new `DaemonRun` must begin.
    """

    def __init__(self) -> None:
        """Create the events; none is set."""
        self.stop = asyncio.Event()
        self.reload = asyncio.Event()
        self.scan = asyncio.Event()
        self.renew = asyncio.Event()
        self._any = asyncio.Event()
        self._events: dict[int, asyncio.Event] = {
            signal.SIGTERM: self.stop,
            signal.SIGINT: self.stop,
            signal.SIGHUP: self.reload,
            signal.SIGUSR1: self.scan,
        }

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Handle the signals while the context lasts, including those that were blocked and pending before it.

        Afterwards the signals are ignored, so that none changes how the process ends. (asyncio's own handlers would
        restore the default action, which kills the process.) SIGHUP is handled even if nohup ignored it before.
        """
        loop = asyncio.get_running_loop()
        hears, tells = socket.socketpair()
        with hears, tells:
            hears.settimeout(0)
            tells.settimeout(0)
            loop.add_reader(hears, self._hear, hears)
            signal.set_wakeup_fd(tells.fileno(), warn_on_full_buffer=False)
            for number in self._events:
                signal.signal(number, _leave_to_loop)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, self._events)
            try:
                yield
            finally:
                for number in self._events:
                    signal.signal(number, signal.SIG_IGN)
                signal.set_wakeup_fd(-1)
                loop.remove_reader(hears)

    def _hear(self, hears: socket.socket) -> None:
        """Set the events of the signals that arrived; each signal is one byte (`signal.set_wakeup_fd`)."""
        for number in hears.recv(_MANY):
            event = self._events.get(number)
            if event is not None:
                self.ask(event)

    def ask(self, event: asyncio.Event) -> None:
        """Set one of the events, and wake up `wait`."""
        event.set()
        self._any.set()

    async def wait(self) -> None:
        """Wait until any event is set."""
        await self._any.wait()
        self._any.clear()


def _leave_to_loop(_number: int, _frame: FrameType | None) -> None:
    """Do nothing here, where any code may be interrupted: the event loop reads the signal from the socket."""
