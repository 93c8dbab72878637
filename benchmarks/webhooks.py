"""MLflow's own webhooks: `mlflow.webhooks.delivery` over MLflow's own store, called as its server calls it.

Loopback and plain http have to be allowed, and secrets to be encrypted, by its environment variables.
As many threads as the others have requests under way; its default is ten.
"""

import asyncio
import os
import time
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from mlflow.entities.webhook import WebhookAction, WebhookEntity, WebhookEvent
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from outbox import AT_A_TIME, url_of

_APART_S = 0.02
_TOLD = {"name": "model-1", "version": "1", "source": "s3://models/1", "run_id": "0" * 32}


class Webhooks:
    """One webhook, and what makes it fire."""

    def __init__(self, folder: Path, port: int) -> None:
        os.environ |= {
            "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http",
            "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
            "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": Fernet.generate_key().decode(),
            "MLFLOW_WEBHOOK_DELIVERY_MAX_WORKERS": str(AT_A_TIME),
        }
        # Importing it starts as many threads as the environment says.
        from mlflow.webhooks.delivery import deliver_webhook  # noqa: PLC0415

        self._deliver: Any = deliver_webhook
        self._store = SqlAlchemyStore(f"sqlite:///{folder}/webhooks.db")
        self._event = WebhookEvent(WebhookEntity.MODEL_VERSION, WebhookAction.CREATED)
        self._store.create_webhook(name="ci", url=url_of(0, port), events=[self._event], secret="secret")

    def _send(self, number: int) -> None:
        """Hand over events; threads deliver them, and nobody is told when."""
        payload: Any = {**_TOLD, "tags": {}, "description": None}
        for _ in range(number):
            self._deliver(event=self._event, payload=payload, store=self._store)

    async def throughput(self, _: int, number: int) -> dict[str, Any]:
        began = time.monotonic()
        self._send(number)
        return {"began": began}

    async def single(self, _: int, trials: int) -> dict[str, Any]:
        began = []
        for _n in range(trials):
            began.append(time.monotonic())
            self._send(1)
            await asyncio.sleep(_APART_S)
        return {"began": began}
