"""What the operator asks of a running daemon."""

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_MANY = 4096


class Signals:
    """SIGTERM and SIGINT as stop, SIGHUP as reload, SIGUSR1 as scan; as events of the loop.

    ``renew`` comes from within: the settings in force changed, and a new life is to begin.
    """

    def __init__(self) -> None:
        """Ask for nothing yet."""
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
        """Listen, for as long as the context lasts; what came before, and waits, is heard now.

        Afterwards the signals are ignored: the process is about to end, and none may change how. (The handlers of
        asyncio would leave them to kill it.) SIGHUP is listened to also where nohup had it ignored: who sends it means
        a reload.
        """
        loop = asyncio.get_running_loop()
        hears, tells = socket.socketpair()
        with hears, tells:
            hears.settimeout(0)
            tells.settimeout(0)
            loop.add_reader(hears, self._hear, hears)
            signal.set_wakeup_fd(tells.fileno(), warn_on_full_buffer=False)
            for number in self._events:
                signal.signal(number, _heard_later)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, self._events)
            try:
                yield
            finally:
                for number in self._events:
                    signal.signal(number, signal.SIG_IGN)
                signal.set_wakeup_fd(-1)
                loop.remove_reader(hears)

    def _hear(self, hears: socket.socket) -> None:
        """Take up the signals that came: each is a byte (`signal.set_wakeup_fd`)."""
        for number in hears.recv(_MANY):
            event = self._events.get(number)
            if event is not None:
                self.ask(event)

    def ask(self, event: asyncio.Event) -> None:
        """Set one of the events."""
        event.set()
        self._any.set()

    async def wait(self) -> None:
        """Wait until anything is asked."""
        await self._any.wait()
        self._any.clear()


def _heard_later(_number: int, _frame: FrameType | None) -> None:
    """Do nothing here, in the midst of anything: the loop hears of it."""
