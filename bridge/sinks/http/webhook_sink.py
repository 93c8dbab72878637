"""The sinks of webhooks: their settings are made from what the state holds, instead of a configuration file."""

from collections.abc import Iterable
from functools import lru_cache
from glob import escape
from typing import Any, Literal

from bridge.config import DeliverySettings, Secret, Settings, WebhookSettings
from bridge.config.encrypted_secrets import EncryptedSecret
from bridge.delivery.allowed_destinations import PUBLIC, Targets
from bridge.delivery.webhook import Webhook
from bridge.events.event_names import EVENT_NAMES
from bridge.events.formats import Body
from bridge.events.formats.registry_webhooks import render_for
from bridge.sinks.base import Delivery
from bridge.sinks.http.http_sink import HttpSettings, HttpSink
from bridge.sinks.sink_type_definition import Kind

_MOST_KEPT = 20_000


class WebhookSinkSettings(HttpSettings):
    """The settings of the sink of a webhook. Its name is the webhook's id."""

    type: Literal["webhook"]  # type: ignore[assignment]  # a type that no configuration file can have
    """`webhook`: created at run time."""
    is_active: bool = True
    """Whether the webhook is switched on."""
    hosts: tuple[str, ...] | None = None
    """`allowed_hosts` of ``[webhooks]``."""

    @property
    def gets_events(self) -> bool:
        """Whether the webhook is switched on."""
        return self.is_active

    @property
    def requests_as_transitions(self) -> bool:
        """Receivers of webhooks decide on requests, and most ask for transitions alone."""
        return True

    def targets(self, delivery: DeliverySettings) -> tuple[Targets | None, str]:
        """Return the hosts that it may point to, and the key of the list: all public addresses, if there is no list."""
        if self.hosts is None and delivery.allowed_hosts:
            return super().targets(delivery)
        return Targets.of_webhooks(self.hosts or (PUBLIC,)), "webhooks.allowed_hosts"


class WebhookSink(HttpSink):
    """`bridge.sinks.base.Sink` for `WebhookSinkSettings`: receivers get the webhook's own id."""

    def _body(self, delivery: Delivery) -> Body:
        return render_for(delivery.event, delivery.event_name, self._settings.name)


def with_webhooks(settings: Settings, webhooks: Iterable[Webhook]) -> Settings:
    """Return ``settings`` with the sinks of ``webhooks`` besides those of the file; none if webhooks are switched off."""
    if settings.webhooks is None:
        return settings
    taken = {sink.name for sink in settings.sinks}
    sinks = [sink_of_webhook(one, settings.webhooks) for one in webhooks if one.id not in taken]
    return settings.model_copy(update={"sinks": (*settings.sinks, *sinks)}) if sinks else settings


@lru_cache(_MOST_KEPT)
def sink_of_webhook(webhook: Webhook, settings: WebhookSettings) -> WebhookSinkSettings:
    """Return the settings of a webhook's sink."""
    events = routable_events(webhook.events)
    table: dict[str, Any] = {
        "name": webhook.id,
        "type": "webhook",
        "is_active": webhook.is_active and bool(events),
        "hosts": settings.allowed_hosts,
        "url": webhook.url,
        "format": "registry",
        **({"events": events} if events else {}),
    }
    if webhook.model_name is not None:
        table["models"] = (_glob_of(webhook.model_name),)
    if webhook.secret:
        table |= {"secret": _secret(webhook, webhook.secret, settings), "signature": "registry"}
    if webhook.authorization:
        table["headers"] = {"Authorization": _secret(webhook, webhook.authorization, settings)}
    return WebhookSinkSettings.model_validate(table)


def routable_events(events: Iterable[str]) -> tuple[str, ...]:
    """Return those of ``events`` that polls can observe."""
    return tuple(name for name in events if name in EVENT_NAMES)


def _glob_of(model_name: str) -> str:
    """Return a glob that matches this one name; at its beginning, an exclamation mark would exclude models."""
    glob = escape(model_name)
    return f"[\0!]{glob[1:]}" if glob.startswith("!") else glob


def _secret(webhook: Webhook, ciphertext: str, settings: WebhookSettings) -> Secret:
    return EncryptedSecret(owner=f"webhook {webhook.id}", ciphertext=ciphertext, keys=settings.keys)


KIND = Kind(WebhookSinkSettings, WebhookSink, is_http=True)
