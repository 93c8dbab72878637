"""Run the daemon: set up what outlasts reloads, and run one `DaemonRun` after another."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from starlette.routing import Route

from bridge.app import wired
from bridge.config import Settings, TlsSettings, access_of
from bridge.daemon.configuration_reload import Configuration
from bridge.daemon.run_until_reload import DaemonRun
from bridge.daemon.signal_handling import Signals
from bridge.daemon.socket_commands import Commands
from bridge.daemon.status_page_snapshot import status_page
from bridge.delivery.sink_state import Condition
from bridge.delivery.webhook import Webhook
from bridge.pipeline.clocks import SystemClock
from bridge.pipeline.metrics_observer import NullObserver, Observer
from bridge.server.api_endpoints import ApiDoor
from bridge.server.bridge_api import api_routes
from bridge.server.command_socket import Command, listening
from bridge.server.health_probes import Probes
from bridge.server.http_application import METRICS_TYPE, Answer, Api, Page, probe_answer, serving
from bridge.server.page.page_endpoints import page_routes
from bridge.sinks.http.webhook_sink import with_webhooks
from bridge.store.base import State
from bridge.store.document_state import DocumentState
from bridge.store.state_metadata import GovernanceSummary, PollRecord, ReconcileRecord, SinkSummary
from bridge.store.state_opening import has_readers, owned_state
from bridge.store.state_reader import StateReader

if TYPE_CHECKING:
    from bridge.server.ownership_metrics import OwnershipFigures

log = structlog.get_logger(__name__)

_PRIVATE = "mount its file system so that this user alone can read it (uid=, umask=0077), or name another in state.url"


@dataclass(frozen=True, slots=True)
class StateFigures:
    """What the metrics show of the state, read at every scrape."""

    summaries: Mapping[str, SinkSummary] = field(default_factory=dict)
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    last_poll: PollRecord | None = None
    last_reconcile: ReconcileRecord | None = None
    webhooks: Sequence[Webhook] = ()
    governance: GovernanceSummary = field(default_factory=GovernanceSummary)


Channel = Callable[[Mapping[str, Command], Api], AbstractAsyncContextManager[None]]
"""What brings commands to the daemon while its context lasts, and serves the API to whoever may use it."""


@dataclass(frozen=True, slots=True)
class Tenure:
    """For how long this process owns the state.

    Attributes:
        ended: set once it owns the state no more.
        figures: what the metrics show of the ownership; None for a state that is not shared.
    """

    ended: asyncio.Event
    figures: "Callable[[], OwnershipFigures] | None" = None


async def serve(settings: Settings, reread: Callable[[], Settings]) -> None:
    """Run until SIGTERM, then drain the relay. SIGHUP reloads the configuration.

    Raises:
        StateError: another process owns the state, or it belongs to another registry, or cannot be used.
        ConfigurationError: the server cannot listen on its address.
    """
    signals = Signals()
    configuration = Configuration(settings, reread)
    with signals.caught():
        if settings.state.is_database:
            from bridge.daemon.replica import serve_as_replica  # noqa: PLC0415 - needs the extra for PostgreSQL

            await serve_as_replica(configuration, signals)
        else:
            await _serve_folder(configuration, signals)
    log.info("daemon.stopped")


async def _serve_folder(configuration: Configuration, signals: Signals) -> None:
    settings = configuration.settings
    folder = Path(settings.state.folder)

    def channel(commands: Mapping[str, Command], api: Api) -> AbstractAsyncContextManager[None]:
        return listening(folder, commands, api)

    async with owned_state(settings) as state:
        if has_readers(settings):
            log.warning("state.has_readers", folder=settings.state.folder, mend=_PRIVATE)
        await work(configuration, signals, state, channel, Tenure(asyncio.Event()))


async def work(
    configuration: Configuration,
    signals: Signals,
    state: DocumentState,
    channel: Channel,
    tenure: Tenure,
) -> None:
    """Run one `DaemonRun` after another over ``state``, until the stop, or until this process owns it no more.

    Raises:
        StateUnwritable: stored times could not be corrected, or the state is not this process's any more.
        ConfigurationError: the server cannot listen on its address.
    """
    settings = configuration.settings
    probes = Probes(SystemClock(), settings.poll.deadline / 1000)
    if settings.server is not None:  # count the outbox now, so that no scrape waits for it
        await state.ask(lambda reader: reader.summaries())
    observer, pages = _observation(configuration, state, tenure.figures)
    commands = Commands(state, configuration, signals, SystemClock())
    pages = {**_probe_pages(probes), **pages}
    status = status_page(configuration, state, probes)

    def api(door: ApiDoor) -> Iterable[Route]:
        return api_routes(door, commands)

    def api_and_pages(door: ApiDoor) -> Iterable[Route]:
        yield from api_routes(door, commands)
        if status is not None:
            yield from page_routes(door, commands, status)

    async with serving(settings.server, pages, api_and_pages), channel(commands.by_name(), api):
        while not (signals.stop.is_set() or tenure.ended.is_set()):
            async with wired(configuration.settings, state, observer) as app:
                run = DaemonRun(
                    app, signals, probes, configuration.reload, lambda: configuration.refusal, tenure.ended
                )
                await commands.serve_with(run.polling, app.sinks)
                await run.run()


def _probe_pages(probes: Probes) -> dict[str, Page]:
    return {
        "/livez": lambda: probe_answer(probes.is_making_progress(), "alive"),
        "/readyz": lambda: probe_answer(probes.is_ready(), "ready" if probes.is_ready() else "not ready"),
    }


def _observation(
    configuration: Configuration, state: State, ownership: "Callable[[], OwnershipFigures] | None"
) -> tuple[Observer, dict[str, Page]]:
    """Return the observer of the poll and the relay, and the page with its metrics; no metrics without a server."""
    if configuration.settings.server is None:
        return NullObserver(), {}
    from bridge.server.prometheus_metrics import Metrics  # noqa: PLC0415 - a slow import

    figures = StateFigures()

    def settings() -> Settings:
        return with_webhooks(configuration.settings, figures.webhooks)

    def summaries() -> dict[str, SinkSummary]:
        named = {sink.name: SinkSummary(sink.name) for sink in settings().sinks}
        return {**named, **figures.summaries}

    def tls() -> dict[str, TlsSettings]:
        present = settings()
        return {sink.name: access_of(sink, present.delivery).tls for sink in present.sinks}

    metrics = Metrics(
        summaries,
        lambda: figures.conditions,
        SystemClock(),
        polls=lambda: (figures.last_poll, figures.last_reconcile),
        tls=tls,
        governance=lambda: figures.governance,
        ownership=ownership,
    )

    async def page() -> Answer:
        nonlocal figures
        figures = await state.ask(_figures_of)
        return HTTPStatus.OK, METRICS_TYPE, metrics.render()

    return metrics, {"/metrics": page}


def _figures_of(state: StateReader) -> StateFigures:
    return StateFigures(
        state.summaries(),
        state.conditions(),
        state.last_poll,
        state.last_reconcile,
        state.webhooks(),
        state.governance(),
    )
