"""The bridge's own API, ``/api/v1/``, with the OpenAPI description of all that the bridge's address takes."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Protocol

from starlette.routing import Route

from bridge.events.change_hints import Hint
from bridge.operations.bridge_api_arguments import (
    EntriesArguments,
    EntryArguments,
    EventArguments,
    EventsArguments,
    HintsArguments,
    NoArguments,
    NumbersArguments,
    PageArguments,
    PollArguments,
    ReplayArguments,
    SinkArguments,
    SinkTestArguments,
)
from bridge.operations.bridge_api_operations import Resources
from bridge.operations.poll_requests import OnceResult, PollOrder
from bridge.operations.request_arguments import RequestArguments, RequestsArguments
from bridge.operations.request_execution import Requester, Requests
from bridge.operations.transition_checks import CheckArguments, TransitionChecks
from bridge.operations.webhook_execution import Webhooks
from bridge.server.api_endpoints import ApiDoor, Document
from bridge.server.api_operation import Operation, Resource, openapi
from bridge.server.mlflow_webhooks_api import Receiver, mlflow_webhooks_route
from bridge.server.registry_webhooks_api import registry_webhooks_routes, webhook_resources
from bridge.server.token_authority import Caller
from bridge.server.transition_requests_api import request_resources, transition_requests_routes

_V1 = "/api/v1"


class Present(Receiver, Protocol):
    """The present run of the daemon; during a reload, the next one."""

    async def resources(self) -> Resources:
        """Return its resources."""
        ...

    async def webhooks(self) -> Webhooks:
        """Return its webhooks."""
        ...

    async def requests(self) -> Requests:
        """Return its transition requests."""
        ...

    async def checks(self) -> TransitionChecks:
        """Return its checks of transitions."""
        ...

    async def hint(self, hints: Sequence[Hint]) -> None:
        """Have it read the models that hints name."""
        ...

    async def poll_now(self, order: PollOrder) -> OnceResult:
        """Poll now, and return the result."""
        ...


def api_routes(door: ApiDoor, present: Present) -> Iterator[Route]:
    """Yield the routes of the whole API."""
    for resource in bridge_resources(present):
        yield resource.route(door)
    yield from registry_webhooks_routes(door, present.webhooks)
    yield from transition_requests_routes(door, present.requests)
    yield mlflow_webhooks_route(door, present)


def api_resources(present: Present) -> list[Resource]:
    """Return all that the API takes."""
    return [
        *bridge_resources(present),
        *webhook_resources(present.webhooks),
        *request_resources(present.requests),
    ]


def bridge_resources(present: Present) -> list[Resource]:
    """Return what is under ``/api/v1/``."""
    asks, does = _asking(present), _doing(present)

    async def poll(arguments: PollArguments, _caller: Caller) -> Document:
        order = PollOrder(accept_held=arguments.accept_held, full=arguments.full)
        return (await present.poll_now(order)).to_document()

    async def hint(given: HintsArguments, _caller: Caller) -> Document:
        checks = await present.checks()
        if checks.is_of_registry(given.workspace):
            await present.hint([one.hint() for one in given.hints])
        return checks.guards(given.workspace)

    async def check(given: CheckArguments, caller: Caller) -> Document:
        return await (await present.checks()).check(given, Requester(caller.name, caller.user))

    async def description(_arguments: NoArguments, _caller: Caller) -> Document:
        return openapi(api_resources(present))

    return [  # a path comes before one with an argument that would match it
        _get("status", NoArguments, "Status", asks("status")),
        _get("events", EventsArguments, "Events", asks("events")),
        _post("replays", ReplayArguments, "Numbers", does("replay")),
        _get("events/{event_id}", EventArguments, "EventWithDeliveries", asks("event")),
        _get("notes", PageArguments, "Notes", asks("notes")),
        _get("outbox", EntriesArguments, "Entries", asks("entries")),
        _post("outbox/redrive", NumbersArguments, "Numbers", does("redrive")),
        _post("outbox/drop", NumbersArguments, "Numbers", does("drop")),
        _get("outbox/{number}", EntryArguments, "EntryWithAttempts", asks("entry")),
        _get("sinks", NoArguments, "Sinks", asks("sinks")),
        _post("sinks/{name}/pause", SinkArguments, "Paused", does("pause")),
        _post("sinks/{name}/resume", SinkArguments, "Resumed", does("resume")),
        _post("sinks/{name}/test", SinkTestArguments, "Trial", asks("test")),
        _get("requests", RequestsArguments, "Requests", asks("requests")),
        _get("requests/{request_id}", RequestArguments, "Request", asks("request")),
        _get("gates", NoArguments, "Gates", asks("gates")),
        _post("polls", PollArguments, "Poll", poll),
        _of_server("hints", HintsArguments, "Guards", hint),
        _of_server("transition-checks", CheckArguments, "TransitionCheck", check),
        _get("openapi.json", NoArguments, "Description", description),
    ]


_SUMMARIES = {
    "status": "Return the registry, the last poll and the sinks' backlog, as the command `status` does",
    "events": "List observed events, newest first",
    "events/{event_id}": "Return one event with its deliveries",
    "replays": "Send recorded events again, to sinks that ask for them now",
    "notes": "List the notes of the audit trail, newest first: who did what, and what was odd",
    "outbox": "List the entries of the outbox, newest first",
    "outbox/{number}": "Return one entry with its attempts",
    "outbox/redrive": "Send dead entries again",
    "outbox/drop": "Remove pending and dead entries for good",
    "sinks": "List the sinks, with what they ask for and what waits for them",
    "sinks/{name}/pause": "Hold back deliveries to a sink",
    "sinks/{name}/resume": "Let deliveries to a sink go on",
    "sinks/{name}/test": "Send a synthetic event to a sink, and return the requests and the answers",
    "requests": "List transition requests, newest first",
    "requests/{request_id}": "Return one transition request, with the verdicts of its gates and the decisions on it",
    "gates": "List the gates of the configuration",
    "polls": "Poll the registry now, and wait for what is delivered soon",
    "hints": "Say which models were changed, so that they are read at once; for MLflow's server",
    "transition-checks": "Ask whether the enforcing gates let a transition through; for MLflow's server",
    "openapi.json": "Return this description",
}


def _get(place: str, arguments: Any, answer: str, operation: Operation) -> Resource:
    return Resource("GET", f"{_V1}/{place}", "read", _SUMMARIES[place], arguments, answer, operation)


def _post(place: str, arguments: Any, answer: str, operation: Operation) -> Resource:
    return Resource("POST", f"{_V1}/{place}", "operate", _SUMMARIES[place], arguments, answer, operation)


def _of_server(place: str, arguments: Any, answer: str, operation: Operation) -> Resource:
    """Return what the plug-in in MLflow's server asks for: its token has ``acts_for_users``."""
    summary = _SUMMARIES[place]
    return Resource(
        "POST", f"{_V1}/{place}", "read", summary, arguments, answer, operation, is_for_server=True
    )


def _asking(present: Present) -> Callable[[str], Operation]:
    """Return what makes an operation of a method of `Resources` that changes nothing."""

    def of(name: str) -> Operation:
        async def operation(arguments: Any, _caller: Caller) -> Document:
            method: Callable[..., Awaitable[Document]] = getattr(await present.resources(), name)
            return await (method() if isinstance(arguments, NoArguments) else method(arguments))

        return operation

    return of


def _doing(present: Present) -> Callable[[str], Operation]:
    """Return what makes an operation of a method of `Resources` that changes something."""

    def of(name: str) -> Operation:
        async def operation(arguments: Any, caller: Caller) -> Document:
            method: Callable[..., Awaitable[Document]] = getattr(await present.resources(), name)
            return await method(arguments, caller.name)

        return operation

    return of
