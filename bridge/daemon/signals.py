"""What the operator asks of a running daemon."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager


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
        self._events = {
            signal.SIGTERM: self.stop,
            signal.SIGINT: self.stop,
            signal.SIGHUP: self.reload,
            signal.SIGUSR1: self.scan,
        }

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Listen, for as long as the context lasts; what came before, and waits, is heard now.

        Afterwards signals wait again: the loop lets go of them before the process ends, and none may end it otherwise.
        SIGHUP is listened to also where nohup had it ignored: who sends it means a reload.
        """
        loop = asyncio.get_running_loop()
        for number, event in self._events.items():
            loop.add_signal_handler(number, self.ask, event)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._events)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, self._events)

    def ask(self, event: asyncio.Event) -> None:
        """Set one of the events."""
        event.set()
        self._any.set()

    async def wait(self) -> None:
        """Wait until anything is asked."""
        await self._any.wait()
        self._any.clear()
