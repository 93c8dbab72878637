"""Databricks' API of registry webhooks (API reference, *Workspace Model Registry*: ``registry-webhooks``).

It answers under the three prefixes that its clients use: databricks-sdk and the documentation the first,
databricks-registry-webhooks the second, pages of MLflow's the third.
"""

from collections.abc import Awaitable, Callable, Iterator

from starlette.routing import Route

from bridge.operations.webhook_execution import Webhooks
from bridge.server.api_endpoints import ApiDoor, Document, Operation
from bridge.server.token_authority import Caller

PREFIXES = ("/api/2.0/mlflow", "/api/2.0/preview/mlflow", "/ajax-api/2.0/mlflow")

PresentWebhooks = Callable[[], Awaitable[Webhooks]]
"""Returns the webhooks of the present run of the daemon; during a reload, of the next one."""


def registry_webhooks_routes(door: ApiDoor, webhooks: PresentWebhooks) -> Iterator[Route]:
    """Yield the routes of the API."""
    for verb, (method, operation) in _operations(webhooks).items():
        endpoint = door.endpoint("webhooks", operation, lists=("events",))
        for prefix in PREFIXES:
            yield Route(f"{prefix}/registry-webhooks/{verb}", endpoint, methods=[method])


def _operations(webhooks: PresentWebhooks) -> dict[str, tuple[str, Operation]]:
    """Return the method and the operation of each verb."""

    async def page(arguments: Document, _caller: Caller) -> Document:
        return await (await webhooks()).page(arguments)

    async def create(arguments: Document, caller: Caller) -> Document:
        return await (await webhooks()).create(arguments, caller.name)

    async def update(arguments: Document, caller: Caller) -> Document:
        return await (await webhooks()).update(arguments, caller.name)

    async def delete(arguments: Document, caller: Caller) -> Document:
        return await (await webhooks()).delete(arguments, caller.name)

    async def test(arguments: Document, _caller: Caller) -> Document:
        return await (await webhooks()).test(arguments)

    return {
        "list": ("GET", page),
        "create": ("POST", create),
        "update": ("PATCH", update),
        "delete": ("DELETE", delete),
        "test": ("POST", test),
    }
