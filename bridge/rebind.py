"""Bind a state to its registry at another URL."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from bridge.config import Settings
from bridge.errors import RegistryUnreachable, StateForeign
from bridge.pipeline.threads import SharedCall, ThreadedCall
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
    with _environment_restored_unless_bound():
        _compare(head.fingerprint, await _fingerprint(settings), wanted.uri)
        state.write_head(replace(head, uri=wanted.uri))
    return f"the state is bound to {wanted.uri}"


async def _fingerprint(settings: Settings) -> str | None:
    """Ask for the fingerprint, and don't wait for ever: no poll can be made meanwhile."""
    registry = MlflowRegistry(settings.registry)
    deadline = Deadline.after(settings.poll.deadline)
    try:
        await SharedCall(registry.prepare).within(deadline.remaining())
        return await ThreadedCall(lambda: registry.fingerprint(deadline)).within(deadline.remaining())
    except TimeoutError:
        msg = f"{settings.registry.uri} did not answer in time (poll.deadline)"
        raise RegistryUnreachable(msg) from None


@contextmanager
def _environment_restored_unless_bound() -> Iterator[None]:
    """MLflow takes credentials from the environment: a refused registry's must not go to the old one."""
    before = dict(os.environ)
    try:
        yield
    except BaseException:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)
        raise


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
