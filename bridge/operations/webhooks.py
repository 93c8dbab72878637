"""What a command asks of the webhooks: carried out in this process, or by the daemon if it owns the state."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from bridge.config import Settings
from bridge.config.encrypted_secrets import Keys
from bridge.errors import BridgeError, StateOwned
from bridge.operations.daemon_requests import ask_to_operate
from bridge.operations.webhook_execution import Document, Webhooks
from bridge.pipeline.clocks import SystemClock
from bridge.store.state_opening import owned_state


def change_webhooks(settings: Settings, verb: str, given: Mapping[str, Any], who: str) -> Document:
    """Create, update, delete or rekey webhooks, as ``verb`` says, with the arguments of the API; return its answer.

    Raises:
        BridgeError: it failed; the message says why.
    """
    try:
        return asyncio.run(_carry_out_here(settings, verb, given, who))
    except StateOwned:
        order = {"verb": verb, "given": dict(given), "who": who}
        return ask_to_operate(settings, "webhooks", _sealed(settings, order))


def _sealed(settings: Settings, order: Document) -> Document:
    """Return ``order`` so that its secrets are not in the database, which an order to another host passes.

    Raises:
        SecretUnavailable: it holds a secret, and there is no key to encrypt it with.
    """
    if not settings.state.is_database or settings.webhooks is None:
        return order
    spec = order["given"].get("http_url_spec") or {}
    has_secret = any(spec.get(name) for name in ("secret", "authorization"))
    if not (settings.webhooks.keys or has_secret):
        return order
    return {"sealed": Keys.read(settings.webhooks.keys).encrypted(json.dumps(order))}


def unsealed(settings: Settings, arguments: Document) -> Document:
    """Return the order that `change_webhooks` sealed, or the arguments as they are.

    Raises:
        SecretUnavailable: the command and the daemon have different keys.
    """
    if "sealed" not in arguments or settings.webhooks is None:
        return arguments
    text = Keys.read(settings.webhooks.keys).decrypted(arguments["sealed"], "an order")
    return {**arguments, **json.loads(text)}


async def _carry_out_here(settings: Settings, verb: str, given: Mapping[str, Any], who: str) -> Document:
    async with owned_state(settings) as state:
        return await carry_out(Webhooks(state, lambda: settings, SystemClock()), verb, given, who)


async def carry_out(webhooks: Webhooks, verb: str, given: Mapping[str, Any], who: str) -> Document:
    """Carry out one change; raises as the methods of `Webhooks` do."""
    match verb:
        case "create":
            return await webhooks.create(given, who)
        case "update":
            return await webhooks.update(given, who)
        case "delete":
            return await webhooks.delete(given, who)
        case "rekey":
            return {"webhooks": await webhooks.rekey(who)}
    raise BridgeError(f"webhooks cannot be asked to {verb!r:.40}: after an upgrade, restart the daemon")
