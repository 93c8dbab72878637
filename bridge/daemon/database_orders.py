"""Carries out the orders that come through the database of a shared state, as those that come at the control socket."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from uuid import UUID

import structlog

from bridge.config import Settings
from bridge.control.socket_messages import decode_request, encode_error, encode_request
from bridge.errors import BridgeError, OwnerUnavailable, StateUnwritable
from bridge.operations.sealed_orders import opened
from bridge.pipeline.worker_threads import in_thread
from bridge.server.command_socket import Command, carry_out
from bridge.store.postgresql.order_book import OrderBook

log = structlog.get_logger(__name__)

_LOOK_S = 0.5
"""How often the owner looks for orders: somebody waits at a terminal."""

_TIDY_EVERY = 2_000


class DatabaseOrders:
    """Takes the orders of a shared state that this bridge owns, and carries each out in a task of its own."""

    def __init__(
        self, book: OrderBook, commands: Mapping[str, Command], settings: Callable[[], Settings]
    ) -> None:
        """Carry out ``commands`` for the orders in ``book``; ``settings`` has the keys of those that are sealed."""
        self._book = book
        self._commands = commands
        self._settings = settings
        self._tasks: set[asyncio.Task[None]] = set()
        self._ends = asyncio.Event()

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Take orders during the context; those under way at its end are answered that the daemon ends."""
        looking = asyncio.create_task(self._look(), name="orders")
        try:
            yield
        finally:
            self._ends.set()
            self._book.break_off()
            for task in self._tasks:
                task.cancel()
            await asyncio.wait({looking, *self._tasks})
            self._book.close()

    async def _look(self) -> None:
        """Look for orders; while the database does not answer, whoever gives one is told so by it."""
        looks = 0
        while not self._ends.is_set():
            try:
                await self._take(tidies=looks % _TIDY_EVERY == 0)
            except StateUnwritable:
                pass
            except Exception as error:  # the orders after it have to be carried out all the same
                log.exception("control.failed", command="orders", error=type(error).__name__)
            looks += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ends.wait(), _LOOK_S)

    async def _take(self, *, tidies: bool) -> None:
        if tidies:
            await self._book.tidy()
        for order, request in await self._book.take():
            task = asyncio.create_task(self._carry_out(order, request), name="order")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry_out(self, order: UUID, request: bytes) -> None:
        try:
            answer = await self._answer(request)
        except asyncio.CancelledError:
            with suppress(StateUnwritable):
                await self._book.answer(order, encode_error(OwnerUnavailable(_ENDS)))
            raise
        with suppress(StateUnwritable):  # whoever waits is told that no answer came
            await self._book.answer(order, answer)

    async def _answer(self, request: bytes) -> bytes:
        try:
            order = await in_thread(lambda: opened(self._settings(), decode_request(request)))
            return await carry_out(self._commands, encode_request(order))
        except OwnerUnavailable as error:
            return encode_error(error)
        except BridgeError as error:
            try:
                return encode_error(error)
            except OwnerUnavailable as too_long:
                return encode_error(too_long)


_ENDS = "the running daemon ended before it had answered: mlflow-bridge status shows how it went"
