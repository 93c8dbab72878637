"""What the operator asks of a running daemon."""

import asyncio
import signal


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

    def install(self) -> None:
        """Begin to listen."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.ask, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self.ask, self.reload)
        loop.add_signal_handler(signal.SIGUSR1, self.ask, self.scan)

    def ask(self, event: asyncio.Event) -> None:
        """Set one of the events."""
        event.set()
        self._any.set()

    async def wait(self) -> None:
        """Wait until anything is asked."""
        await self._any.wait()
        self._any.clear()
