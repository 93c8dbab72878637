"""What a command asks of the transition requests: carried out in this process, or by the daemon if it owns the state."""

import asyncio
from collections.abc import Mapping
from typing import Any

from bridge.app import application
from bridge.config import Settings
from bridge.errors import BridgeError, StateOwned
from bridge.operations.daemon_requests import ask_to_operate
from bridge.operations.request_execution import Document, Requester, Requests

_PATIENCE_S = 30.0
"""How long a command without a daemon waits for verdicts, and for MLflow; the next `once` goes on."""


def change_requests(settings: Settings, verb: str, given: Mapping[str, Any], caller: Requester) -> Document:
    """Create, approve, reject or cancel a request, as ``verb`` says, with the arguments of the API; return its answer.

    Raises:
        BridgeError: it failed; the message says why.
    """
    try:
        return asyncio.run(_alone(settings, verb, given, caller))
    except StateOwned:
        asked = {"verb": verb, "given": dict(given), "who": caller.who, "user": caller.user}
        return ask_to_operate(settings, "requests", asked)


async def _alone(settings: Settings, verb: str, given: Mapping[str, Any], caller: Requester) -> Document:
    """Carry a change out in this process, and what follows from it at once: verdicts, and the transition."""
    async with application(settings) as app:
        requests = Requests(app.state, app.ledger, app.settings, app.clock, app.poll.run)
        answer = await carry_out(requests, verb, given, caller)
        await app.governance.run_due(app.clock.monotonic() + _PATIENCE_S)
        return answer


async def carry_out(requests: Requests, verb: str, given: Mapping[str, Any], caller: Requester) -> Document:
    """Carry out one change; raises as the methods of `Requests` do."""
    match verb:
        case "create":
            return await requests.create(given, caller)
        case "approve":
            return await requests.approve(given, caller)
        case "reject":
            return await requests.reject(given, caller)
        case "cancel":
            return await requests.cancel(given, caller)
    raise BridgeError(f"requests cannot be asked to {verb!r:.40}: after an upgrade, restart the daemon")
