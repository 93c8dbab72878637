"""Operators' changes to the outbox: made in this process, or by the daemon if it owns the state."""

import asyncio
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from bridge.config import Settings
from bridge.control.socket_messages import Document
from bridge.delivery.resend import Resend
from bridge.errors import BridgeError, StateOwned
from bridge.operations.command_user import command_user
from bridge.operations.daemon_requests import ask_to_operate
from bridge.operations.outbox_execution import OPERATIONS, Operations
from bridge.pipeline.clocks import SystemClock
from bridge.store.state_opening import owned_state

_AT_ONCE = 5_000
"""The number of entries that fit into one request over the control socket."""


def redrive(settings: Settings, entries: list[int]) -> list[int]:
    """Send dead entries again; return the numbers of those that were dead.

    Raises:
        BridgeError: the operation failed; the message says why.
    """
    return _in_parts(settings, "redrive", "entries", entries)


def drop(settings: Settings, entries: list[int], statuses: Iterable[str]) -> list[int]:
    """Drop entries that still have one of ``statuses`` and are not being sent; return their numbers.

    Raises:
        BridgeError: the operation failed; the message says why.
    """
    return _in_parts(settings, "drop", "entries", entries, statuses=list(statuses))


def replay(settings: Settings, resends: list[Resend], *, new_ids: bool) -> list[int]:
    """Send recorded events again; return the numbers of their new entries.

    Raises:
        BridgeError: the operation failed; the message says why.
    """
    return _in_parts(settings, "replay", "resends", list(map(asdict, resends)), new_ids=new_ids)


def pause(settings: Settings, sink: str) -> Document:
    """Pause deliveries to a sink; return its new state as a document.

    Raises:
        BridgeError: the operation failed; the message says why.
    """
    condition: Document = _carry_out(settings, "pause", {"sink": sink})["condition"]
    return condition


def resume(settings: Settings, sink: str) -> Document:
    """Resume deliveries to a sink; return its previous state as a document.

    Raises:
        BridgeError: the operation failed; the message says why.
    """
    condition: Document = _carry_out(settings, "resume", {"sink": sink})["condition"]
    return condition


def _in_parts(settings: Settings, name: str, key: str, items: list[Any], **more: Any) -> list[int]:
    done: list[int] = []
    for start in range(0, len(items), _AT_ONCE):
        arguments = {key: items[start : start + _AT_ONCE], **more}
        try:
            done += _carry_out(settings, name, arguments)["entries"]
        except BridgeError as error:
            if start:
                error.args = (f"{error} (after {start} of {len(items)} had been done: {name})",)
            raise
    return done


def _carry_out(settings: Settings, name: str, arguments: Document) -> Document:
    given = {**arguments, "by": command_user()}
    try:
        return asyncio.run(_carry_out_here(settings, name, given))
    except StateOwned:
        return ask_to_operate(settings, name, given)


async def _carry_out_here(settings: Settings, name: str, arguments: Document) -> Document:
    async with owned_state(settings) as state:
        return await OPERATIONS[name](Operations(state, SystemClock()), arguments)
