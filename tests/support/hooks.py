"""Webhooks over a state in memory, and a daemon's server that offers their API."""

import base64
import http.client
import json
from contextlib import asynccontextmanager
from http import HTTPStatus

from bridge.config import ServerSettings, routes_of
from bridge.config.file_loading import build
from bridge.errors import BridgeError
from bridge.operations.bridge_api_operations import Resources
from bridge.operations.mlflow_webhook_hints import webhook_hint
from bridge.operations.outbox_execution import Operations
from bridge.operations.poll_requests import OnceResult, PollOrder
from bridge.operations.request_execution import Requests
from bridge.operations.transition_checks import TransitionChecks
from bridge.operations.webhook_execution import Webhooks
from bridge.pipeline.governance_transactions import GovernanceLedger
from bridge.server.bridge_api import api_routes
from bridge.server.http_application import serving, text_answer
from bridge.server.page.page_endpoints import page_routes
from bridge.sinks.http.webhook_sink import with_webhooks
from bridge.sinks.sink_type_table import SETTINGS
from bridge.store.document_state import DocumentState
from bridge.store.memory_store import MemoryDocuments
from support.clock import HandClock
from support.done import done
from support.patience import patience
from support.receiver import free_port

KEY = base64.urlsafe_b64encode(b"k" * 32).decode()
OTHER_KEY = base64.urlsafe_b64encode(b"o" * 32).decode()
TRANSITION = "MODEL_VERSION_TRANSITIONED_STAGE"
ASKED = {"events": [TRANSITION], "http_url_spec": {"url": "https://ci.example.com/hooks"}}
"""The least that a webhook is created from."""


def settings_of(webhooks=None, **sections):
    return build(
        {"registry": {"tracking_uri": "http://registry"}, "webhooks": webhooks or {}, **sections}, SETTINGS
    )


class Sinks:
    """Notes what is done with the sinks of running loops."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.in_force: dict = {}

    def replace(self, webhooks) -> None:
        self.in_force = {one.id: one for one in webhooks}

    def put(self, webhook) -> None:
        self.calls.append(("put", webhook.id))
        self.in_force[webhook.id] = webhook

    async def stop(self, webhook) -> None:
        self.calls.append(("stop", webhook))

    def remove(self, webhook) -> None:
        self.calls.append(("remove", webhook))
        del self.in_force[webhook]


class Present:
    """What the API asks of the daemon."""

    def __init__(self, hooks: "Hooks") -> None:
        self._hooks = hooks
        self.orders: list[PollOrder] = []
        self.hints: list = []

    async def webhooks(self) -> Webhooks:
        return self._hooks.webhooks

    async def resources(self) -> Resources:
        operations = Operations(self._hooks.state, self._hooks.clock)
        return Resources(
            self._hooks.state,
            self._hooks.present_settings,
            self._hooks.clock,
            operations,
            self._hooks.webhooks,
        )

    async def requests(self) -> Requests:
        hooks = self._hooks
        ledger = GovernanceLedger(hooks.state, hooks.clock, lambda: routes_of(hooks.present_settings()))
        return Requests(hooks.state, ledger, hooks.present_settings(), hooks.clock, hooks.catch_up)

    async def checks(self) -> TransitionChecks:
        return TransitionChecks(self._hooks.state, self._hooks.present_settings(), self._hooks.clock)

    async def hint(self, hints) -> None:
        self.hints += hints

    async def take_mlflow_webhook(self, delivery) -> None:
        hint, _ = await webhook_hint(self._hooks.settings, delivery, self._hooks.clock.now_ms() // 1000)
        self.hints.append(hint)

    async def poll_now(self, order: PollOrder) -> OnceResult:
        self.orders.append(order)
        return OnceResult(1, 2, 3, (BridgeError("the registry is down"),))


class Hooks:
    """The webhooks of a bridge, with what their settings are now."""

    def __init__(self, state=None, **webhooks) -> None:
        self.state = state or DocumentState(MemoryDocuments())
        self.clock = HandClock()
        self.sinks = Sinks()
        self.settings = settings_of(webhooks)
        self.webhooks = Webhooks(self.state, lambda: self.settings, self.clock)
        done(self.webhooks.serve_with(self.sinks))
        self.present = Present(self)
        self.polls = 0

    def present_settings(self):
        return with_webhooks(self.settings, self.state.webhooks())

    async def catch_up(self) -> None:
        self.polls += 1

    async def created(self, **more) -> str:
        answer = await self.webhooks.create({**ASKED, **more}, "ann")
        return answer["webhook"]["id"]


class Api:
    """A server with the API; ``ask`` is called in a thread."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, method: str, path: str, body=None, **headers) -> tuple[int, dict]:
        status, text, _ = self.raw(method, path, body, **headers)
        return status, json.loads(text)

    def raw(self, method: str, path: str, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=patience())
        sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, sent, named)
        answer = connection.getresponse()
        found = answer.status, answer.read(), answer.headers
        connection.close()
        return found


@asynccontextmanager
async def api_of(hooks: Hooks, *tokens: dict):
    """Serve the API of ``hooks``."""

    port = free_port()
    server = ServerSettings.model_validate({"listen": f"127.0.0.1:{port}", "tokens": tokens})

    def routes(door):
        yield from api_routes(door, hooks.present)
        yield from page_routes(door, hooks.present, lambda: text_answer(HTTPStatus.OK, "the status"))

    async with serving(server, {}, routes):
        yield Api(port)
