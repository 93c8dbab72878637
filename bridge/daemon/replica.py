"""Run the daemon as one of several over a state in PostgreSQL: stand by, take over, work, and stand by again."""

import asyncio
import base64
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict
from functools import partial
from http import HTTPStatus
from typing import Any

import structlog
from starlette.routing import Route

from bridge.control.socket_messages import Document, Request
from bridge.daemon.configuration_reload import Configuration
from bridge.daemon.database_orders import DatabaseOrders
from bridge.daemon.main_loop import Tenure, work
from bridge.daemon.signal_handling import Signals
from bridge.daemon.systemd_notify import notify, notify_ready, watchdog_interval
from bridge.errors import OwnerUnavailable, StateUnwritable
from bridge.operations.daemon_requests import ask_owner
from bridge.operations.mlflow_webhook_hints import MlflowDelivery
from bridge.pipeline.worker_threads import in_thread
from bridge.server.api_endpoints import ApiDoor
from bridge.server.bridge_api import api_routes
from bridge.server.command_socket import Command
from bridge.server.daemon_loop_calls import DaemonLoop
from bridge.server.forwarded_calls import Ask, ForwardedCalls, ForwardingDoor, OwnersDoor
from bridge.server.http_application import METRICS_TYPE, Answer, Api, Page, probe_answer, serving, text_answer
from bridge.server.ownership_metrics import OwnershipFigures, StandbyMetrics
from bridge.server.token_authority import Authority, Everybody
from bridge.store.document_state import DocumentState
from bridge.store.postgresql.order_book import OrderBook
from bridge.store.postgresql.shared_state import Replica
from bridge.store.state_opening import check_binding, check_place, joined

log = structlog.get_logger(__name__)

_AGAIN_S = 2.0
"""How long to wait before the database is asked again."""

_PATIENCE_S = 55.0
"""How long the owner's answer to a call of the API is waited for: less than the caller of the API is."""

_STANDING_BY = "standing by: another bridge owns the state"


async def serve_as_replica(configuration: Configuration, signals: Signals) -> None:
    """Stand by, and work while this bridge owns the state, until the stop.

    Raises:
        StateError: the state belongs to another registry, or the database could not be used at the start.
        ConfigurationError: the server cannot listen on its address.
    """
    settings = configuration.settings
    if settings.state.is_exposed:
        log.warning("state.plain_database", database=settings.state.place, mend=_VERIFIED)
    bridge = SharingBridge(configuration, signals)
    while not signals.stop.is_set():
        async with AsyncExitStack() as membership:
            async with bridge.standing_by():
                state = await bridge.taken_state(membership)
            if state is not None:
                await bridge.work(state)


_VERIFIED = 'set state.sslmode = "verify-full" (and sslrootcert in state.url): others on the way could read or replace the state'


class AbsentOwner:
    """In the place of the daemon's `Commands`, where the owner of the state is another bridge: it is asked call by call."""

    def __init__(self, ask: Ask) -> None:
        """Ask the owner by ``ask``."""
        self._ask = ask

    async def take_mlflow_webhook(self, delivery: MlflowDelivery) -> None:
        """Pass a webhook of MLflow on; raises what the owner answers."""
        body = base64.b64encode(delivery.body).decode()
        await self._ask("mlflow_webhook", {**asdict(delivery), "body": body})

    def __getattr__(self, name: str) -> Any:
        """Return what is never called: a `ForwardingDoor` forwards calls before they come so far."""

        async def absent(*_: object) -> Any:
            raise OwnerUnavailable(f"{name}: {_STANDING_BY}")

        return absent


class SharingBridge:
    """A bridge that shares its state: it joins the others, stands by, works, and joins again when it was declared dead."""

    def __init__(self, configuration: Configuration, signals: Signals) -> None:
        """Prepare; nothing is asked yet."""
        self._configuration = configuration
        self._signals = signals
        self._replica: Replica | None = None
        self._refused_before = 0
        self._has_joined = False
        self._trouble = ""

    def figures(self) -> OwnershipFigures:
        """Return what the metrics show of the ownership."""
        replica = self._replica
        if replica is None:
            return OwnershipFigures(
                is_owner=False, lease_remaining_s=0.0, commits_refused=self._refused_before
            )
        membership = replica.membership
        is_owner = membership.term is not None and membership.is_trusted()
        return OwnershipFigures(
            is_owner, membership.lease_remaining_s, self._refused_before + replica.refused_commits
        )

    async def taken_state(self, membership: AsyncExitStack) -> DocumentState | None:
        """Return the state once this bridge owns it, or None at the stop; it stays a member until the stack is closed.

        Raises:
            StateError: the state belongs to another registry, or the database cannot be used at the start.
        """
        while not self._signals.stop.is_set():
            pause_s = 0.0
            try:
                replica = await membership.enter_async_context(
                    joined(self._configuration.settings, lambda: self._configuration.settings)
                )
                self._replica, self._has_joined = replica, True
                self._trouble = ""
                if await self._waited_for(replica):
                    return await self._loaded(replica)
            except StateUnwritable as error:
                if not self._has_joined:
                    raise
                self._tell_interruption(str(error))
                pause_s = _AGAIN_S
            self._forget()
            await membership.aclose()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._signals.stop.wait(), pause_s)
        return None

    def _tell_interruption(self, error: str) -> None:
        """Log an interruption once as a warning, however often the database is asked in vain."""
        tell = log.debug if error == self._trouble else log.warning
        tell("replica.interrupted", error=error, again_in_s=_AGAIN_S)
        self._trouble = error

    async def _waited_for(self, replica: Replica) -> bool:
        """Wait for the ownership; return whether this bridge has it: otherwise it stops, or has to join again."""
        signals, membership = self._signals, replica.membership
        if await replica.take():
            return True
        log.info("replica.stands_by")
        notify_ready(_STANDING_BY)
        look_s = min(1.0, membership.lease_s / 10)
        while not (signals.stop.is_set() or membership.ended.is_set()):
            with suppress(TimeoutError):
                await asyncio.wait_for(signals.wait(), look_s)
            if signals.reload.is_set():
                signals.reload.clear()
                if self._configuration.reload():
                    notify_ready(_STANDING_BY)
            if not signals.stop.is_set() and await replica.take():
                self._configuration.reload()  # a reload meanwhile reached the owner before alone
                return True
        return False

    async def _loaded(self, replica: Replica) -> DocumentState:
        log.info("replica.owns", term=replica.membership.term)
        state = await replica.load()
        check_place(state.documents, self._configuration.settings)
        check_binding(state, self._configuration.settings)
        return state

    async def work(self, state: DocumentState) -> None:
        """Work until the stop, or until the ownership is lost.

        Raises:
            ConfigurationError: the server cannot listen on its address.
        """
        replica = self._replica
        if replica is None:
            return
        membership = replica.membership
        book = OrderBook(replica.database, membership.id)

        def channel(commands: Mapping[str, Command], api: Api) -> AbstractAsyncContextManager[None]:
            forwarded = ForwardedCalls(api(OwnersDoor(Everybody(), DaemonLoop())))
            known = {**commands, "api": forwarded.call}
            return DatabaseOrders(book, known, lambda: self._configuration.settings).taken()

        tenure = Tenure(membership.ended, self.figures)
        try:
            await work(self._configuration, self._signals, state, channel, tenure)
        except StateUnwritable as error:  # while it began, or corrected times after a jump of the clock
            log.warning("replica.interrupted", error=str(error), again_in_s=0)
        if membership.ended.is_set():
            log.warning("replica.lost", term=membership.term, commits_refused=replica.refused_commits)
        self._forget()

    def _forget(self) -> None:
        self._refused_before = self.figures().commits_refused
        self._replica = None

    @asynccontextmanager
    async def standing_by(self) -> AsyncIterator[None]:
        """Answer probes and calls of the API during the context, also while the database does not answer."""
        server = self._configuration.settings.server
        async with serving(server, self._pages(), self._api, self._door), _watchdog_fed():
            yield

    def _door(self, authority: Authority, daemon_loop: DaemonLoop, names: frozenset[str]) -> ForwardingDoor:
        return ForwardingDoor(authority, daemon_loop, names, ask=self._ask)

    def _api(self, door: ApiDoor) -> Iterable[Route]:
        return api_routes(door, AbsentOwner(self._ask))

    async def _ask(self, command: str, arguments: Document) -> Document:
        """Have the owner carry out a command."""
        request = Request(command, arguments)
        return await in_thread(lambda: ask_owner(self._configuration.settings, request, _PATIENCE_S))

    def _pages(self) -> Mapping[str, Page]:
        """Return what a bridge that stands by answers; it is ready if it could take over, or else no rollout would end."""
        metrics = StandbyMetrics(self.figures)

        def metrics_page() -> Answer:
            return HTTPStatus.OK, METRICS_TYPE, metrics.render()

        def ready() -> Answer:
            is_ready = self._replica is not None and self._replica.membership.is_trusted()
            return probe_answer(is_ready, "ready" if is_ready else "the database does not answer")

        return {
            "/livez": partial(probe_answer, ok=True, text="alive"),
            "/readyz": ready,
            "/metrics": metrics_page,
            "/": partial(text_answer, HTTPStatus.SERVICE_UNAVAILABLE, _STANDING_BY),
        }


@asynccontextmanager
async def _watchdog_fed() -> AsyncIterator[None]:
    """Tell systemd that this bridge is alive, during the context."""

    async def feed(interval: float) -> None:
        while True:
            notify("WATCHDOG=1")
            await asyncio.sleep(interval / 2)

    interval = watchdog_interval()
    task = None if interval is None else asyncio.create_task(feed(interval))
    try:
        yield
    finally:
        if task is not None:
            task.cancel()
