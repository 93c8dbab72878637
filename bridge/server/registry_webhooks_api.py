"""Databricks' API of registry webhooks (API reference, *Workspace Model Registry*: ``registry-webhooks``).

It answers under the three prefixes that its clients use: databricks-sdk and the documentation the first,
databricks-registry-webhooks the second, pages of MLflow's the third.
"""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

from starlette.routing import Route

from bridge.operations.webhook_arguments import (
    Arguments,
    CreateArguments,
    IdArguments,
    ListArguments,
    TestArguments,
    UpdateArguments,
)
from bridge.operations.webhook_execution import Webhooks
from bridge.server.api_endpoints import ApiDoor, Document
from bridge.server.api_operation import Operation, Resource
from bridge.server.token_authority import Caller

PREFIXES = ("/api/2.0/mlflow", "/api/2.0/preview/mlflow", "/ajax-api/2.0/mlflow")

PresentWebhooks = Callable[[], Awaitable[Webhooks]]
"""Returns the webhooks of the present run of the daemon; during a reload, of the next one."""


def registry_webhooks_routes(door: ApiDoor, webhooks: PresentWebhooks) -> Iterator[Route]:
    """Yield the routes of the API."""
    for resource in webhook_resources(webhooks):
        for prefix in PREFIXES:
            path = resource.path.replace(PREFIXES[0], prefix)
            yield replace(resource, path=path).route(door)


def webhook_resources(webhooks: PresentWebhooks) -> list[Resource]:
    """Return what the API takes, under its first prefix."""

    async def page(given: Document, _caller: Caller) -> Document:
        return await (await webhooks()).page(given)

    async def create(given: Document, caller: Caller) -> Document:
        return await (await webhooks()).create(given, caller.name)

    async def update(given: Document, caller: Caller) -> Document:
        return await (await webhooks()).update(given, caller.name)

    async def delete(given: Document, caller: Caller) -> Document:
        return await (await webhooks()).delete(given, caller.name)

    async def test(given: Document, _caller: Caller) -> Document:
        return await (await webhooks()).test(given)

    return [
        _resource("GET", "list", "List the webhooks, oldest first", ListArguments, "Webhooks", page),
        _resource("POST", "create", "Create a webhook", CreateArguments, "WebhookAnswer", create),
        _resource("PATCH", "update", "Change a webhook", UpdateArguments, "WebhookAnswer", update),
        _resource("DELETE", "delete", "Delete a webhook", IdArguments, "Nothing", delete),
        _resource("POST", "test", "Send a synthetic event to a webhook", TestArguments, "WebhookTest", test),
    ]


def _resource(
    method: str, verb: str, summary: str, arguments: type[Arguments], answer: str, operation: Operation
) -> Resource:
    path = f"{PREFIXES[0]}/registry-webhooks/{verb}"
    return Resource(method, path, "webhooks", summary, arguments, answer, operation, is_strict=False)
