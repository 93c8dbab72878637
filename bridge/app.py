"""The composition root: build the poll and the relay from the settings and the state."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import structlog

from bridge.config import (
    DeliverySettings,
    Settings,
    SinkSettings,
    access_of,
    own_secret_faults,
    routes_of,
    watched_by_gates,
)
from bridge.delivery.allowed_destinations import is_plain
from bridge.delivery.retry_policy import RetryPolicy
from bridge.delivery.sending_rate_limit import Terms
from bridge.delivery.webhook import Webhook
from bridge.governance.direct_transition import enforcing
from bridge.pipeline.clocks import Clock, SystemClock, Trust
from bridge.pipeline.delivery_attempts import Endpoint, Enrich
from bridge.pipeline.detail_fetching import Enrichment
from bridge.pipeline.direct_transition_processing import DirectTransitionProcessing
from bridge.pipeline.gate_judgement import GateJudgement
from bridge.pipeline.governance_loop import GovernanceLoop
from bridge.pipeline.governance_transactions import GovernanceLedger
from bridge.pipeline.metrics_observer import NullObserver, Observer
from bridge.pipeline.poll import Poll
from bridge.pipeline.poll_governance import PollGovernance
from bridge.pipeline.relay import Relay
from bridge.pipeline.request_processing import Collaborators, RequestProcessing
from bridge.pipeline.transition_execution import MovementMaking
from bridge.pipeline.worker_threads import in_thread
from bridge.registry.mlflow_reader import MlflowRegistry
from bridge.registry.mlflow_transitions import MlflowTransitions
from bridge.registry.version_details import MlflowFacts
from bridge.sinks.http.webhook_sink import sink_of_webhook, with_webhooks
from bridge.sinks.plugins.guarded_sink import GuardedSink
from bridge.sinks.sink_type_table import sink_of
from bridge.sinks.transport.client_cache import LazyTransport
from bridge.sinks.transport.preflight_check import access_faults
from bridge.store.base import PollState, State
from bridge.store.state_opening import binding_of, owned_state

log = structlog.get_logger(__name__)

_FILES_S = 5.0
_SWITCH_ON = "what waits for them is dead after delivery.max_age; a [webhooks] section switches them on"


@dataclass(frozen=True, slots=True)
class App:
    """The loops (poll, relay, and that of transition requests), their sinks, and the state and clocks that all use."""

    sinks: "RunningSinks"
    state: State
    poll: Poll
    relay: Relay
    ledger: GovernanceLedger
    governance: GovernanceLoop
    clock: Clock
    trust: Trust

    @property
    def settings(self) -> Settings:
        """The settings of the file, with the present sinks of webhooks."""
        return self.sinks.settings


EndpointOf = Callable[[SinkSettings], Endpoint]

Scanned = Callable[[int, int], None]
"""A callback of a scan: it gets the numbers of models and versions that have been read so far."""


def wire_poll(
    settings: Settings,
    state: PollState,
    clock: Clock,
    observer: Observer | None = None,
    scanned: Scanned | None = None,
) -> Poll:
    """Build the poll from the settings; its scans report their progress to ``scanned``."""
    poll = Poll(
        MlflowRegistry(settings.registry, scanned),
        state,
        routes_of(settings),
        settings.poll,
        binding_of(settings),
        clock,
        observer or NullObserver(),
    )
    gates = [gate.gate() for gate in settings.gates]
    poll.governance = PollGovernance(state, enforcing(gates), settings.governance.expires)
    poll.watch(watched_by_gates(settings))
    return poll


def wire_governance(
    settings: Settings,
    state: State,
    ledger: GovernanceLedger,
    clock: Clock,
    trust: Trust,
    observer: Observer | None = None,
) -> GovernanceLoop:
    """Build the loop of the requests and direct transitions in ``ledger``."""
    gates = [gate.gate() for gate in settings.gates]
    judgement = GateJudgement(MlflowFacts(settings.registry))
    making = MovementMaking(MlflowTransitions(settings.registry))
    policy = _retry_policy(settings.delivery)
    shared = Collaborators(
        state,
        ledger,
        judgement,
        making,
        policy,
        clock,
        trust,
        observer or NullObserver(),
        settings.governance.tags,
    )
    requests = RequestProcessing(shared, gates)
    direct = DirectTransitionProcessing(shared, enforcing(gates), settings.governance.most_reverts)
    return GovernanceLoop(ledger, requests, direct, clock)


def _retry_policy(defaults: DeliverySettings) -> RetryPolicy:
    return RetryPolicy(defaults.first_retry, defaults.longest_retry, defaults.max_age)


async def _warn_about_sinks(settings: Settings) -> None:
    """Warn at start about secrets that cannot be read, unreachable sinks and plain HTTP.

    None of these is an error: a file, for example, may be mounted later.
    """
    for key, own_fault in await _own_faults(settings):
        log.warning("secret.unavailable", key=key, error=own_fault)
    for sink, (secrets, access) in zip(settings.sinks, await _sink_faults(settings), strict=True):
        for key, fault in secrets.items():
            log.warning("sink.secret_unavailable", sink=sink.name, key=key, error=fault)
        for fault in access:
            log.warning("sink.unreachable", sink=sink.name, error=fault)
        for origin in filter(is_plain, sink.origins()):
            log.warning("sink.plain_http", sink=sink.name, to=origin)


async def _own_faults(settings: Settings) -> list[tuple[str, str]]:
    try:
        async with asyncio.timeout(_FILES_S):
            return await in_thread(lambda: list(own_secret_faults(settings)))
    except TimeoutError:
        return [("server.tokens, webhooks.encryption_key", f"cannot be read within {_FILES_S:g} s")]


Faults = tuple[dict[str, str], list[str]]
"""The problems of a sink: those of its secrets, by key, and those of its TLS files and proxy."""


async def _sink_faults(settings: Settings) -> list[Faults]:
    """Return the faults of each sink.

    Files are read in threads, with a time limit: a mount that hangs must not prevent the start.
    """

    async def of(sink: SinkSettings) -> Faults:
        defaults = settings.delivery
        if all(one.env for one in sink.secrets().values()) and not access_of(sink, defaults).tls.files:
            return _faults(sink, defaults)
        try:
            async with asyncio.timeout(_FILES_S):
                return await in_thread(lambda: _faults(sink, defaults))
        except TimeoutError:
            return {}, [f"its files of secrets or certificates cannot be read within {_FILES_S:g} s"]

    return await asyncio.gather(*map(of, settings.sinks))


def _faults(sink: SinkSettings, delivery: DeliverySettings) -> Faults:
    secrets = {key: sink.secret_fault(key, secret) for key, secret in sink.secrets().items()}
    return {key: fault for key, fault in secrets.items() if fault}, list(access_faults(sink, delivery))


def _endpoint(
    sink: SinkSettings, settings: Settings, transport: LazyTransport, enrichment: Enrichment
) -> Endpoint:
    defaults = settings.delivery
    way = transport.through(access_of(sink, defaults))
    built = sink_of(sink, way, sink.timeout or defaults.timeout)
    if isinstance(built, GuardedSink) and built.fault:
        log.error("sink.unusable", sink=sink.name, error=built.fault)
    policy = RetryPolicy(
        first_ms=sink.first_retry or defaults.first_retry,
        cap_ms=sink.longest_retry or defaults.longest_retry,
        max_age_ms=sink.max_age or defaults.max_age,
    )
    return Endpoint(built, policy, _terms(sink, defaults), _enrich(sink, enrichment))


def _enrich(sink: SinkSettings, enrichment: Enrichment) -> Enrich | None:
    """Return the function that adds the details that the sink asks for to its events; None if it asks for none."""
    wanted = sink.wanted
    return partial(enrichment.enrich, include=wanted) if wanted.parts else None


def _terms(sink: SinkSettings, defaults: DeliverySettings) -> Terms:
    """Return the concurrency and the rate of a sink.

    The sink's own settings come first, then the defaults of its type, then those of all sinks.
    """
    concurrency = sink.concurrency or sink.default_concurrency() or defaults.concurrency
    return Terms(
        concurrency if sink.gets_events else 0, sink.rate or sink.default_rate_ms() or defaults.rate or 0
    )


class RunningSinks:
    """The sinks of an application; those of webhooks come, change and go while it runs."""

    def __init__(self, settings: Settings, webhooks: Iterable[Webhook], endpoint_of: EndpointOf) -> None:
        """Begin with the sinks of the file and of ``webhooks``."""
        self._file = settings
        self._webhooks = {one.id: one for one in webhooks}
        self.settings = with_webhooks(settings, self._webhooks.values())
        self.routes = routes_of(self.settings)
        self._endpoint_of = endpoint_of
        self.endpoints = {sink.name: endpoint_of(sink) for sink in self.settings.sinks}
        self._loops: tuple[Poll, Relay] | None = None

    def run_with(self, poll: Poll, relay: Relay) -> None:
        """Tell these loops of changes."""
        self._loops = poll, relay

    def replace(self, webhooks: Sequence[Webhook]) -> None:
        """Put exactly these webhooks into force; those that are gone are stopped, or the loops have not begun."""
        present = {one.id: one for one in webhooks}
        for gone in self._webhooks.keys() - present.keys():
            self._take(gone)
        for one in webhooks:
            if self._webhooks.get(one.id) != one:
                self._put(one)
        self._reroute()

    def put(self, webhook: Webhook) -> None:
        """Put a webhook that was created or changed into force."""
        self._put(webhook)
        self._reroute()

    async def stop(self, webhook: str) -> None:
        """Send nothing more to a webhook; what is under way is cut off. `put` starts it again.

        Raises:
            StateUnwritable: it could not be recorded; the webhook goes on.
        """
        if self._loops:
            await self._loops[1].stop_sink(webhook)

    def remove(self, webhook: str) -> None:
        """Remove a stopped webhook that is deleted."""
        self._take(webhook)
        self._reroute()

    def _put(self, webhook: Webhook) -> None:
        self._webhooks[webhook.id] = webhook
        if self._loops and self._file.webhooks:
            sink = sink_of_webhook(webhook, self._file.webhooks)
            self._loops[1].put_sink(webhook.id, self._endpoint_of(sink))

    def _take(self, webhook: str) -> None:
        self._webhooks.pop(webhook, None)
        if self._loops:
            self._loops[1].remove_sink(webhook)

    def _reroute(self) -> None:
        """Route by the present webhooks; the cost grows with their number."""
        self.settings = with_webhooks(self._file, self._webhooks.values())
        self.routes = routes_of(self.settings)
        if self._loops:
            self._loops[0].put_routes(self.routes)


async def _close(endpoints: Iterable[Endpoint]) -> None:
    """Close the sinks that come from packages; the built-in sinks hold no resources of their own."""
    guarded = [one.sink for one in endpoints if isinstance(one.sink, GuardedSink)]
    await asyncio.gather(*(sink.aclose() for sink in guarded))


@asynccontextmanager
async def wired(
    settings: Settings, state: State, observer: Observer, scanned: Scanned | None = None
) -> AsyncIterator[App]:
    """Yield the poll and the relay over a state that this process owns; close the sinks at the end."""
    webhooks = await state.load_webhooks()
    await _warn_about_sinks(with_webhooks(settings, webhooks))
    clock = SystemClock()
    trust = Trust.since(clock, await state.load_clock())
    if webhooks and settings.webhooks is None:
        log.warning("webhooks.switched_off", webhooks=len(webhooks), mend=_SWITCH_ON)
    async with LazyTransport() as transport:
        enrichment = Enrichment(state, MlflowFacts(settings.registry), clock)
        sinks = RunningSinks(
            settings, webhooks, lambda sink: _endpoint(sink, settings, transport, enrichment)
        )
        relay = Relay(state, sinks.endpoints, clock, trust, observer)
        poll = wire_poll(sinks.settings, state, clock, observer, scanned)
        sinks.run_with(poll, relay)
        ledger = GovernanceLedger(state, clock, lambda: sinks.routes, observer)
        governance = wire_governance(settings, state, ledger, clock, trust, observer)
        poll.models_changed = governance.observe
        try:
            yield App(sinks, state, poll, relay, ledger, governance, clock, trust)
        finally:
            await _close(sinks.endpoints.values())


@asynccontextmanager
async def application(settings: Settings, scanned: Scanned | None = None) -> AsyncIterator[App]:
    """Own the state and yield the application over it; see `wire_poll` for ``scanned``.

    Raises:
        StateError: another process owns the state, or it belongs to another registry, or cannot be used.
    """
    async with owned_state(settings) as state, wired(settings, state, NullObserver(), scanned) as app:
        yield app
