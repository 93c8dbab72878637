"""What a command asks of the webhooks: carried out in this process, or by the daemon if it owns the state."""

import asyncio
from collections.abc import Mapping
from typing import Any

from bridge.config import Settings
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
        return ask_to_operate(settings, "webhooks", {"verb": verb, "given": dict(given), "who": who})


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
