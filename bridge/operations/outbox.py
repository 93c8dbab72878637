"""Operators' changes to the outbox: made here where nobody owns the state, else by the daemon that does."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from bridge.config import Settings
from bridge.control.socket_messages import Document
from bridge.delivery.resend import Resend
from bridge.errors import BridgeError, StateOwned
from bridge.operations.daemon_requests import ask_to_operate
from bridge.operations.outbox_execution import OPERATIONS, Operations
from bridge.pipeline.clocks import SystemClock
from bridge.store.state_folder import owned_state

_AT_ONCE = 5_000
"""So many entries fit into one request over the control socket."""


def redrive(settings: Settings, entries: list[int]) -> list[int]:
    """Send dead entries again; return those that were dead.

    Raises:
        BridgeError: it was not done, by the message's reason.
    """
    return _in_parts(settings, "redrive", "entries", entries)


def drop(settings: Settings, entries: list[int], statuses: Iterable[str]) -> list[int]:
    """Forget entries that are still of these ``statuses``; return those that were not under way, and so are gone.

    Raises:
        BridgeError: it was not done, by the message's reason.
    """
    return _in_parts(settings, "drop", "entries", entries, statuses=list(statuses))


def replay(settings: Settings, resends: list[Resend], *, new_ids: bool) -> list[int]:
    """Send recorded events again; return the numbers of their entries.

    Raises:
        BridgeError: it was not done, by the message's reason.
    """
    return _in_parts(settings, "replay", "resends", list(map(asdict, resends)), new_ids=new_ids)


def pause(settings: Settings, sink: str) -> Document:
    """Have a sink take nothing until it is resumed; return its condition.

    Raises:
        BridgeError: it was not done, by the message's reason.
    """
    condition: Document = _carry_out(settings, "pause", {"sink": sink})["condition"]
    return condition


def resume(settings: Settings, sink: str) -> Document:
    """Have a sink take entries again; return the condition that it was in.

    Raises:
        BridgeError: it was not done, by the message's reason.
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
    try:
        with owned_state(settings) as state:
            return OPERATIONS[name](Operations(state, SystemClock()), arguments)
    except StateOwned:
        return ask_to_operate(settings, name, arguments)
