"""Requests to the running daemon, for operations on a state that the daemon owns."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from bridge.config import Settings
from bridge.control.socket_messages import Document, Request, decode_answer, encode_request
from bridge.errors import BridgeError, OwnerUnavailable
from bridge.operations.poll_requests import OnceResult, PollOrder
from bridge.operations.sealed_orders import sealed
from bridge.store.state_opening import binding_of, is_owned, state_database

_GRACE_S = 2.0
"""How many seconds longer than the deadline to wait for the answer, which says why the deadline passed."""

_SPARE_S = 30.0


def ask_to_poll(settings: Settings, order: PollOrder) -> OnceResult:
    """Have the daemon poll now; return the result.

    Raises:
        OwnerUnavailable: no daemon listens, or it gives no answer.
        BridgeError: the daemon answered with this error.
    """
    patience_s = _patience_s(settings)
    if order.deadline_ms is not None:
        patience_s = order.deadline_ms / 1000 + _GRACE_S
    return OnceResult.from_document(_ask(settings, "poll", patience_s, order=asdict(order)))


def ask_to_rebaseline(settings: Settings) -> tuple[int, int]:
    """Have the daemon record the registry as it is; return the numbers of models and versions.

    Raises:
        OwnerUnavailable: no daemon listens, or it gives no answer.
        BridgeError: the daemon answered with this error.
    """
    answer = _ask(settings, "rebaseline", _patience_s(settings))
    return answer["models"], answer["versions"]


def ask_to_rebind(settings: Settings, *, accept: bool = False) -> str:
    """Have the daemon bind its state to the registry's new URL; return a text about the result.

    ``accept`` means that an operator confirms it to be the same registry despite another fingerprint.

    Raises:
        OwnerUnavailable: no daemon listens, or it gives no answer, or it must be stopped first.
        BridgeError: the daemon answered with this error.
    """
    done: str = _ask(settings, "rebind", _patience_s(settings), accept=accept)["done"]
    return done


def ask_to_reload(settings: Settings) -> Document:
    """Have the daemon reload its configuration; return ``changed``, and the names of its ``sinks``.

    Raises:
        OwnerUnavailable: the daemon gives no answer.
        BridgeError: no daemon runs, or the daemon answered with this error.
    """
    try:
        return _ask(settings, "reload", _SPARE_S)
    except OwnerUnavailable:
        if is_owned(settings):
            raise
        place = (
            settings.state.place
            if settings.state.is_database
            else f"the state folder {settings.state.folder}"
        )
        raise BridgeError(
            f"no daemon runs on {place}: there is nothing to reload (it reads its configuration "
            "when it starts; a change of state.url needs a restart)"
        ) from None


def ask_to_operate(settings: Settings, operation: str, arguments: Document) -> Document:
    """Have the daemon carry out an outbox operation; return its result.

    Raises:
        OwnerUnavailable: no daemon listens, or it gives no answer.
        BridgeError: the daemon answered with this error.
    """
    return _ask(settings, operation, _SPARE_S, **arguments)


def _ask(settings: Settings, command: str, patience_s: float, **arguments: Any) -> Document:
    """Send a request with the registry of ``settings``: the daemon may have another configuration, and then refuses."""
    binding = binding_of(settings)
    meant = {"uri": binding.uri, "workspace": binding.workspace}
    request = Request(command, {"registry": meant, **arguments})
    if settings.state.is_database:
        return ask_owner(settings, request, patience_s)
    from bridge.control.socket_client import ask  # noqa: PLC0415 - httpx is slow to import

    return ask(Path(settings.state.folder), request, patience_s)


def ask_owner(settings: Settings, request: Request, patience_s: float) -> Document:
    """Return the answer of the bridge that owns a state in a database; wait at most ``patience_s`` seconds.

    Raises:
        OwnerUnavailable: none took the order, or gave an answer.
        BridgeError: the owner answered with this error.
    """
    message = encode_request(sealed(settings, request))
    return decode_answer(state_database(settings).ask_owner(message, patience_s))


def _patience_s(settings: Settings) -> float:
    """Return how many seconds an answer may take, including a poll under way before it."""
    return 2 * settings.poll.deadline / 1000 + _SPARE_S
