"""Ask the running daemon to do what a command would do itself, did it own the state."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from bridge.config import Settings
from bridge.control import ask
from bridge.control.socket_messages import Document, Request
from bridge.errors import BridgeError, OwnerUnavailable
from bridge.operations.poll_requests import OnceResult, PollOrder
from bridge.store.state_folder import binding_of, is_owned

_GRACE_S = 2.0
"""How much longer than a deadline an answer is waited for: it tells what went wrong."""

_SPARE_S = 30.0


def ask_to_poll(settings: Settings, order: PollOrder) -> OnceResult:
    """Have the daemon poll now; return what came of it.

    Raises:
        OwnerUnavailable: there is no daemon to ask, or it gives no answer.
        BridgeError: what the daemon says.
    """
    patience_s = _patience_s(settings)
    if order.deadline_ms is not None:
        patience_s = order.deadline_ms / 1000 + _GRACE_S
    return OnceResult.from_document(_ask(settings, "poll", patience_s, order=asdict(order)))


def ask_to_rebaseline(settings: Settings) -> tuple[int, int]:
    """Have the daemon record the registry as it is; return how many models and versions that is.

    Raises:
        OwnerUnavailable: there is no daemon to ask, or it gives no answer.
        BridgeError: what the daemon says.
    """
    answer = _ask(settings, "rebaseline", _patience_s(settings))
    return answer["models"], answer["versions"]


def ask_to_rebind(settings: Settings, *, accept: bool = False) -> str:
    """Have the daemon bind its state to where the registry is now; return what was done.

    ``accept`` says that it is the same registry, whatever its fingerprint.

    Raises:
        OwnerUnavailable: there is no daemon to ask, or it gives no answer, or it has to be stopped first.
        BridgeError: what the daemon says.
    """
    done: str = _ask(settings, "rebind", _patience_s(settings), accept=accept)["done"]
    return done


def ask_to_reload(settings: Settings) -> Document:
    """Have the daemon take up its configuration; return ``changed``, and the names of its ``sinks``.

    Raises:
        OwnerUnavailable: the daemon gives no answer.
        BridgeError: there is no daemon; or what the daemon says.
    """
    try:
        return _ask(settings, "reload", _SPARE_S)
    except OwnerUnavailable:
        if is_owned(settings):
            raise
        folder = settings.state.folder
        raise BridgeError(
            f"no daemon runs on the state folder {folder}: there is nothing to reload (it reads its configuration "
            "when it starts; a change of state.url needs a restart)"
        ) from None


def ask_to_operate(settings: Settings, operation: str, arguments: Document) -> Document:
    """Have the daemon change its outbox; return what it says of it.

    Raises:
        OwnerUnavailable: there is no daemon to ask, or it gives no answer.
        BridgeError: what the daemon says.
    """
    return _ask(settings, operation, _SPARE_S, **arguments)


def _ask(settings: Settings, command: str, patience_s: float, **arguments: Any) -> Document:
    """Ask, and say which registry is meant: the daemon may have another configuration."""
    binding = binding_of(settings)
    meant = {"uri": binding.uri, "workspace": binding.workspace}
    request = Request(command, {"registry": meant, **arguments})
    return ask(Path(settings.state.folder), request, patience_s)


def _patience_s(settings: Settings) -> float:
    """Return how long an answer may take: a poll under way goes first."""
    return 2 * settings.poll.deadline / 1000 + _SPARE_S
