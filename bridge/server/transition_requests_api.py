"""Databricks' API of transition requests (API reference, *Workspace Model Registry*: ``transition-requests``).

It answers under the prefixes of `bridge.server.registry_webhooks_api`. A request is named as Databricks does, by version
and stage, or by its id.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from starlette.routing import Route

from bridge.config import Permission
from bridge.operations.request_arguments import (
    ApproveArguments,
    CancelArguments,
    MakeArguments,
    OpenArguments,
    WhichArguments,
)
from bridge.operations.request_execution import Requester, Requests
from bridge.operations.webhook_arguments import Arguments
from bridge.server.api_endpoints import ApiDoor, Document
from bridge.server.api_operation import Operation, Resource
from bridge.server.registry_webhooks_api import PREFIXES
from bridge.server.token_authority import Caller

PresentRequests = Callable[[], Awaitable[Requests]]
"""Returns the transition requests of the present run of the daemon; during a reload, of the next one."""

Change = Callable[[Requests, Mapping[str, Any], Requester], Awaitable[Document]]


def transition_requests_routes(door: ApiDoor, requests: PresentRequests) -> Iterator[Route]:
    """Yield the routes of the API."""
    for resource in request_resources(requests):
        for prefix in PREFIXES:
            yield replace(resource, path=resource.path.replace(PREFIXES[0], prefix)).route(door)


def request_resources(requests: PresentRequests) -> list[Resource]:
    """Return what the API takes, under its first prefix."""

    async def open_ones(given: Document, _caller: Caller) -> Document:
        return await (await requests()).open_ones(given)

    def changing(change: Change) -> Operation:
        async def operation(given: Document, caller: Caller) -> Document:
            requester = Requester(
                caller.name,
                caller.user,
                may_decide="decide" in caller.may,
                is_forwarded=caller.on_behalf_of is not None,
            )
            return await change(await requests(), given, requester)

        return operation

    make, approve = changing(Requests.create), changing(Requests.approve)
    reject, cancel = changing(Requests.reject), changing(Requests.cancel)
    return [
        _resource(
            "GET",
            "list",
            "read",
            "List the open requests about a version",
            OpenArguments,
            "OpenRequests",
            open_ones,
        ),
        _resource("POST", "create", "request", "Ask for a transition", MakeArguments, "RequestAnswer", make),
        _resource(
            "POST", "approve", "decide", "Approve a request", ApproveArguments, "ActivityAnswer", approve
        ),
        _resource("POST", "reject", "decide", "Reject a request", WhichArguments, "ActivityAnswer", reject),
        _resource(
            "DELETE", "delete", "request", "Take a request back", CancelArguments, "ActivityAnswer", cancel
        ),
    ]


def _resource(
    method: str,
    verb: str,
    permission: Permission,
    summary: str,
    arguments: type[Arguments],
    answer: str,
    operation: Operation,
) -> Resource:
    path = f"{PREFIXES[0]}/transition-requests/{verb}"
    return Resource(method, path, permission, summary, arguments, answer, operation, is_strict=False)
