"""The receiver of MLflow's own webhooks: each is a hint that a model has changed."""

import asyncio
from http import HTTPStatus
from typing import Protocol

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.errors import BridgeError
from bridge.operations.mlflow_webhook_hints import MlflowDelivery
from bridge.server.api_arguments import LONGEST_BODY, body_of
from bridge.server.api_endpoints import ApiDoor, error_answer, json_answer, stopping

PATH = "/api/v1/mlflow-webhooks"
_PATIENCE_S = 5.0


class Receiver(Protocol):
    """Takes deliveries, in the daemon's event loop."""

    async def take_mlflow_webhook(self, delivery: MlflowDelivery) -> None:
        """Have the bridge read the model that a delivery names."""
        ...


def mlflow_webhooks_route(door: ApiDoor, receiver: Receiver) -> Route:
    """Return the route; the signature is the authentication, in place of a token."""

    async def endpoint(request: Request) -> Response:
        try:
            headers = request.headers
            delivery = MlflowDelivery(
                headers.get("X-MLflow-Signature", ""),
                headers.get("X-MLflow-Delivery-Id", ""),
                headers.get("X-MLflow-Timestamp", ""),
                await body_of(request, LONGEST_BODY),
            )
            with door.calls:
                await door.daemon_loop.call(lambda: receiver.take_mlflow_webhook(delivery), _PATIENCE_S)
            return json_answer({}, HTTPStatus.ACCEPTED)
        except BridgeError as error:
            return error_answer(error)
        except (TimeoutError, asyncio.CancelledError, ClientDisconnect):
            return stopping()

    return Route(PATH, endpoint, methods=["POST"])
