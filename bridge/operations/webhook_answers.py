"""The answers to requests about webhooks, in the terms of Databricks' API. Pure."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Any

from bridge.delivery.attempt_outcome import Outcome
from bridge.delivery.webhook import Webhook
from bridge.errors import InvalidArgument
from bridge.operations.sink_trial import Trial
from bridge.operations.webhook_arguments import ListArguments

_REFUSED = re.compile(r"not connected: (\S+) allows no .*")
Document = dict[str, Any]


def webhook_document(webhook: Webhook) -> Document:
    """Return a webhook as the API shows it: without secrets, and without members that are empty."""
    spec = {"url": webhook.url, "enable_ssl_verification": webhook.verifies_tls}
    members = {
        "id": webhook.id,
        "events": list(webhook.events),
        "creation_timestamp": webhook.created_at,
        "last_updated_timestamp": webhook.updated_at,
        "description": webhook.description,
        "status": webhook.status.value,
        "model_name": webhook.model_name,
        "http_url_spec": spec,
    }
    return {name: value for name, value in members.items() if value not in ("", None)}


def answer_of(webhook: Webhook, warnings: Sequence[str]) -> Document:
    """Return the answer that shows a webhook, with warnings if there are any."""
    return {"webhook": webhook_document(webhook), **({"warnings": list(warnings)} if warnings else {})}


def lost_secrets(before: Webhook, after: Webhook) -> list[str]:
    """Return a warning for each secret that an update removed."""
    return [
        f"http_url_spec.{name}: the webhook had one, and has none now, because http_url_spec is replaced as a whole"
        for name in ("secret", "authorization")
        if getattr(before, name) and not getattr(after, name)
    ]


def is_asked_for(webhook: Webhook, arguments: ListArguments) -> bool:
    """Whether a list with these arguments has the webhook."""
    is_of_model = not arguments.model_name or webhook.model_name == arguments.model_name
    return is_of_model and (not arguments.events or not set(webhook.events).isdisjoint(arguments.events))


def page_token(webhook: Webhook) -> str:
    """Return the token of the page that begins after this webhook."""
    return urlsafe_b64encode(f"{webhook.created_at}.{webhook.id}".encode()).decode()


def position_of(token: str) -> tuple[int, str]:
    """Return the place after which a page begins.

    Raises:
        InvalidArgument: it is no token of a page.
    """
    if not token:
        return -1, ""
    try:
        at, _, last = urlsafe_b64decode(token.encode("ascii")).decode("ascii").partition(".")
        return int(at), last
    except ValueError:
        msg = "page_token: is none: give next_page_token of the page before"
        raise InvalidArgument(msg) from None


def test_answer(trial: Trial) -> Document:
    """Return the answer to a test: the receiver's status and the beginning of its body, or why there is none."""
    answer = trial.exchanges[-1].answer if trial.exchanges else trial.outcome
    if isinstance(answer, Outcome):
        return {"body": without_addresses(answer.detail)}
    return {"status_code": answer.status, "status": answer.status, "body": answer.excerpt}


def without_addresses(detail: str) -> str:
    """Return why a host was not connected to, without its addresses: clients may not resolve names by the bridge."""
    return _REFUSED.sub(r"not connected: \1 does not allow this host", detail)
