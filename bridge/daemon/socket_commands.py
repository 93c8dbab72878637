"""The commands that the daemon carries out for requests at the control socket."""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

from bridge.config import Settings
from bridge.control.socket_messages import Document
from bridge.daemon.configuration_reload import Configuration
from bridge.daemon.poll_queue import ENDING, Polling
from bridge.daemon.signal_handling import Signals
from bridge.errors import OwnerUnavailable, StateForeign
from bridge.events.change_hints import Hint
from bridge.operations.bridge_api_operations import Resources
from bridge.operations.mlflow_webhook_hints import MlflowDelivery, webhook_hint
from bridge.operations.outbox_execution import OPERATIONS, Operations
from bridge.operations.poll_requests import OnceResult, PollOrder
from bridge.operations.registry_rebinding import rebind
from bridge.operations.request_execution import Requester, Requests
from bridge.operations.requests import carry_out as carry_out_request
from bridge.operations.transition_checks import TransitionChecks
from bridge.operations.webhook_execution import Sinks, Webhooks
from bridge.operations.webhooks import carry_out
from bridge.pipeline.clocks import Clock
from bridge.server.command_socket import Command
from bridge.store.base import State
from bridge.store.state_metadata import Binding
from bridge.store.state_opening import binding_of, place_of

_NEXT_RUN_S = 25.0
"""How long a command waits for a reload to end: the drain takes at most 20 s, and clients give up after 30 s."""


class Commands:
    """The commands of the daemon. They outlast reloads: each is carried out with the polls of the present `DaemonRun`."""

    def __init__(self, state: State, configuration: Configuration, signals: Signals, clock: Clock) -> None:
        """Prepare the commands; before `serve_with`, they are refused."""
        self._state = state
        self._clock = clock
        self._webhooks = Webhooks(state, lambda: configuration.settings, clock)
        self._configuration = configuration
        self._signals = signals
        self._polling: Polling | None = None
        self._changed = asyncio.Condition()

    def by_name(self) -> Mapping[str, Command]:
        """Return the commands by the names used in requests."""
        operations = {name: self._operation(carry_out) for name, carry_out in OPERATIONS.items()}
        return {
            "poll": self.poll,
            "rebaseline": self.rebaseline,
            "rebind": self.rebind,
            "reload": self.reload,
            "webhooks": self.change_webhooks,
            "requests": self.change_requests,
            "mlflow_webhook": self.forwarded_mlflow_webhook,
            **operations,
        }

    def _operation(self, carry_out: Callable[[Operations, Document], Awaitable[Document]]) -> Command:
        """Return the command that carries out an outbox operation with the relay of the present `DaemonRun`."""

        async def command(arguments: Document) -> Document:
            _check(arguments, self._configuration.settings)
            polling = await self._present_polling()
            return await carry_out(polling.operations, arguments)

        return command

    async def serve_with(self, polling: Polling, sinks: Sinks) -> None:
        """Carry out commands with the polls and the sinks of a new `DaemonRun` from now on."""
        await self._webhooks.serve_with(sinks)
        async with self._changed:
            self._polling = polling
            self._changed.notify_all()

    async def webhooks(self) -> Webhooks:
        """Return the webhooks, once there is a `DaemonRun`; they outlast reloads.

        Raises:
            OwnerUnavailable: there is none.
        """
        await self._present_polling()
        return self._webhooks

    async def resources(self) -> Resources:
        """Return the resources of the present `DaemonRun`, or of the next one during a reload.

        Raises:
            OwnerUnavailable: there is none.
        """
        polling = await self._present_polling()
        return Resources(
            self._state, lambda: polling.settings, self._clock, polling.operations, self._webhooks
        )

    async def poll_now(self, order: PollOrder) -> OnceResult:
        """Poll now, and wait for what is delivered soon; raises `OwnerUnavailable` if that is not possible."""
        return await (await self._present_polling()).now(order)

    async def change_webhooks(self, arguments: Document) -> Document:
        """Carry out what ``verb`` says (see `bridge.operations.webhooks.carry_out`), for ``who``."""
        _check(arguments, self._configuration.settings)
        return await carry_out(await self.webhooks(), arguments["verb"], arguments["given"], arguments["who"])

    async def requests(self) -> Requests:
        """Return the transition requests of the present `DaemonRun`, or of the next one during a reload.

        Raises:
            OwnerUnavailable: there is none.
        """
        return (await self._present_polling()).requests

    async def checks(self) -> TransitionChecks:
        """Return the checks of transitions of the present `DaemonRun`; raises as `requests` does."""
        return (await self._present_polling()).checks

    async def hint(self, hints: Sequence[Hint]) -> None:
        """Have the models that ``hints`` name read; raises as `requests` does."""
        (await self._present_polling()).hint(hints)

    async def take_mlflow_webhook(self, delivery: MlflowDelivery) -> None:
        """Have the model read that a webhook of MLflow names; raises as `webhook_hint` and `requests` do."""
        now_s = self._clock.now_ms() // 1000
        hint, workspace = await webhook_hint(self._configuration.settings, delivery, now_s)
        if (await self.checks()).is_of_registry(workspace):
            await self.hint([hint])

    async def forwarded_mlflow_webhook(self, arguments: Document) -> Document:
        """Take a webhook of MLflow that came to a bridge which stands by."""
        body = base64.b64decode(arguments["body"])
        await self.take_mlflow_webhook(MlflowDelivery(**{**arguments, "body": body}))
        return {}

    async def change_requests(self, arguments: Document) -> Document:
        """Carry out what ``verb`` says (see `bridge.operations.requests.carry_out`), for ``who``."""
        _check(arguments, self._configuration.settings)
        caller = Requester(arguments["who"], arguments["user"])
        return await carry_out_request(await self.requests(), arguments["verb"], arguments["given"], caller)

    async def poll(self, arguments: Document) -> Document:
        """Poll now, as the argument ``order`` (a `PollOrder`) says; return an `OnceResult`."""
        _check(arguments, self._configuration.settings)
        order = PollOrder(**arguments["order"])
        patience_s = _NEXT_RUN_S if order.deadline_ms is None else order.deadline_ms / 1000
        polling = await self._present_polling(min(_NEXT_RUN_S, patience_s))
        result = await polling.now(order)
        return result.to_document()

    async def rebaseline(self, arguments: Document) -> Document:
        """Record the registry as it is; return the numbers of models and versions."""
        _check(arguments, self._configuration.settings)
        polling = await self._present_polling()
        models, versions = await polling.rebaseline()
        return {"models": models, "versions": versions}

    async def rebind(self, arguments: Document) -> Document:
        """Read the configuration again, bind the state to the registry that it names, and continue with that.

        ``accept`` means that an operator confirms it to be the same registry despite another fingerprint.
        """
        fresh = self._configuration.moved()
        _check(arguments, fresh, "let both read the same file, in the same environment")
        accept = bool(arguments.get("accept"))
        polling = await self._present_polling()
        return {"done": await polling.between(lambda: self._rebind(fresh, accept=accept))}

    async def reload(self, _arguments: Document) -> Document:
        """Reload the configuration; return whether it changed, and the names of the sinks.

        The new configuration is in force when this returns. The client's registry is not checked: the daemon reads
        its own configuration file.
        """
        await self._present_polling()
        changed = self._configuration.take_up()
        if changed:
            self._begin_anew()
            await self._present_polling()
        return {"changed": changed, "sinks": [sink.name for sink in self._configuration.settings.sinks]}

    def _begin_anew(self) -> None:
        """End this `DaemonRun`, and have another begin with the settings that are now in force."""
        if self._polling is not None:
            self._polling.is_over = True
        self._signals.ask(self._signals.renew)

    async def _rebind(self, fresh: Settings, *, accept: bool) -> str:
        done = await rebind(self._state, fresh, accept=accept)
        self._configuration.settings = fresh
        self._begin_anew()  # polls that wait still use the old URL
        return done

    async def _present_polling(self, patience_s: float = _NEXT_RUN_S) -> Polling:
        """Return the polls of the present `DaemonRun`, or of the next one during a reload."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s), self._changed:
                await self._changed.wait_for(self._is_alive)
        if self._polling is None:
            raise OwnerUnavailable("the running daemon is only starting: try again in a moment")
        if self._polling.is_over:  # its relay may still be draining
            raise OwnerUnavailable(ENDING)
        return self._polling

    def _is_alive(self) -> bool:
        return self._polling is not None and not self._polling.is_over


_ADVICE = "use the daemon's; or, if the registry moved, run 'mlflow-bridge state rebind'"


def _check(arguments: Document, settings: Settings, advice: str = _ADVICE) -> None:
    """Refuse a request for another registry: its client uses another configuration than the daemon."""
    meant, ours = Binding(**arguments["registry"]), binding_of(settings)
    if meant != ours:
        raise StateForeign(
            f"this configuration names {place_of(meant)}, and the running daemon's {place_of(ours)}: {advice}"
        )
