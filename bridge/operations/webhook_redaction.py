"""What may be shown of a webhook to whoever may look: of its URL the origin, and no secret. Pure."""

from typing import Any

from bridge.config import WebhookSettings
from bridge.delivery.webhook import Webhook
from bridge.sinks.http.webhook_sink import sink_of_webhook


def redacted_webhook(webhook: Webhook, settings: WebhookSettings | None) -> dict[str, Any]:
    """Return the facts as a JSON document; paths of URLs may hold secrets."""
    return {
        "id": webhook.id,
        "to": sink_of_webhook(webhook, settings or WebhookSettings()).origin(),
        "status": webhook.status.value,
        "events": list(webhook.events),
        "model_name": webhook.model_name,
        "description": webhook.description,
        "is_signed": bool(webhook.secret),
        "has_authorization": bool(webhook.authorization),
        "created_at": webhook.created_at,
        "updated_at": webhook.updated_at,
    }
