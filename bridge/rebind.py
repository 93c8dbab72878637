"""Bind a state to its registry at another URL."""

from dataclasses import replace

from bridge.config import Settings
from bridge.errors import StateForeign
from bridge.pipeline.threads import in_thread
from bridge.registry.base import Deadline
from bridge.registry.mlflow_reader import MlflowRegistry
from bridge.states import binding_of
from bridge.store.state import State


async def rebind(state: State, settings: Settings) -> str:
    """Bind ``state``, which is owned, to the registry that ``settings`` name; return what was done.

    Raises:
        StateForeign: it is another registry than the one that the state was taken from.
        RegistryError: it gave no usable answer.
        SecretUnavailable: a credential for it is not where the configuration says.
        StateUnwritable: the state stays as it was.
    """
    wanted = binding_of(settings)
    head = state.head
    if head is None:
        return "nothing to bind: there is no baseline yet, and the first poll binds the state"
    if head.workspace != wanted.workspace:
        msg = (
            f"the state is of workspace {head.workspace or 'default'!r}, and the configuration names "
            f"{wanted.workspace or 'default'!r}: another workspace is another registry; choose a new "
            "folder in state.url"
        )
        raise StateForeign(msg)
    registry = MlflowRegistry(settings.registry)
    deadline = Deadline.after(settings.poll.deadline)
    fingerprint = await in_thread(lambda: registry.fingerprint(deadline))
    _compare(head.fingerprint, fingerprint, wanted.uri)
    state.write_head(replace(head, uri=wanted.uri))
    return f"the state is bound to {wanted.uri}"


def _compare(known: str | None, found: str | None, uri: str) -> None:
    if known is not None and known == found:
        return
    why = (
        "its database has another fingerprint"
        if known and found
        else "the fingerprint of its database cannot be read, so nothing shows that it is the same"
    )
    msg = f"{uri} is not the registry that the state was taken from: {why}; choose a new folder in state.url"
    raise StateForeign(msg)
