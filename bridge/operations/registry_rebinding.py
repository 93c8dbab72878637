"""Bind a state to its registry at another URL, or with another fingerprint."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog

from bridge.config import Settings
from bridge.errors import RegistryUnreachable, StateForeign
from bridge.pipeline.registry_identity import Likeness, compare_versions
from bridge.pipeline.worker_threads import SharedCall, ThreadedCall
from bridge.registry.base import Deadline
from bridge.registry.mlflow_reader import MlflowRegistry
from bridge.store.state import State
from bridge.store.state_folder import binding_of
from bridge.store.state_values import Head

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a state knows of its registry, and how that compares with the configured one.

    ``fingerprint`` is the registry's as it is now, None where it cannot be read.
    """

    head: Head
    uri: str
    fingerprint: str | None
    likeness: Likeness

    @property
    def has_same_fingerprint(self) -> bool:
        """Whether both fingerprints are known, and the same."""
        return self.fingerprint is not None and self.fingerprint == self.head.fingerprint

    @property
    def is_proven(self) -> bool:
        """Whether nobody has to be asked: the database is the same, and so are models in it, if any are known."""
        return self.has_same_fingerprint and not self.likeness.is_nothing_alike

    @property
    def is_possible(self) -> bool:
        """Whether it can be the same registry: something is the same, or nothing can be compared."""
        return self.has_same_fingerprint or not self.likeness.is_nothing_alike

    @property
    def doubt(self) -> str:
        """Why it may be another registry."""
        if self.has_same_fingerprint:
            return "none of the models that were asked for is there"
        if self.fingerprint and self.head.fingerprint:
            return "its database has another fingerprint"
        return "the fingerprint of its database cannot be read, so nothing shows that it is the same"

    def lines(self) -> list[str]:
        """Return what is the same and what is not, a line each."""
        head, likeness = self.head, self.likeness
        url = f"same URL: {self.uri}" if self.uri == head.uri else f"other URL: {self.uri}, before {head.uri}"
        prints = (_told(self.fingerprint), _told(head.fingerprint))
        known = (
            f"same fingerprint (Default experiment made {prints[0]})"
            if self.has_same_fingerprint
            else f"other fingerprint: Default experiment made {prints[0]}, before {prints[1]}"
        )
        versions = likeness.versions_told()
        models = likeness.models_told() + (f"; {versions}" if versions else "")
        return [url, f"same workspace: {head.workspace or 'default'}", known, f"models: {models}"]


def _told(fingerprint: str | None) -> str:
    """Return the instant that a fingerprint is (ms since the epoch), for people."""
    if fingerprint is None or not fingerprint.isdigit():
        return fingerprint or "at a time that cannot be read"
    return f"{datetime.fromtimestamp(int(fingerprint) / 1000, UTC):%Y-%m-%d %H:%M:%S UTC}"


async def rebind(state: State, settings: Settings, *, accept: bool = False) -> str:
    """Bind ``state``, which is owned, to the registry that ``settings`` name; return what was done.

    ``accept`` says that an operator knows it to be the same registry though its fingerprint does not show it:
    then what is the same and what is not is part of what is returned.

    Raises:
        StateForeign: it is another registry than the one that the state was taken from, or may be.
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
        found = await _comparison(state, head, settings)
        _judge(found, accept=accept)
        now = state.head or head  # what the relay wrote meanwhile stays
        state.write_head(replace(now, uri=wanted.uri, fingerprint=found.fingerprint or now.fingerprint))
    log.info("state.rebound", registry=wanted.uri, accepted=accept and not found.is_proven)
    return "\n".join([*(found.lines() if accept else ()), f"the state is bound to {wanted.uri}"])


async def _comparison(state: State, head: Head, settings: Settings) -> Comparison:
    """Ask the registry, and don't wait for ever: no poll can be made meanwhile."""
    registry = MlflowRegistry(settings.registry)
    deadline = Deadline.after(settings.poll.deadline)

    def ask() -> Comparison:
        if state.abilities is not None:
            registry.expect(state.abilities)
        fingerprint = registry.fingerprint(deadline)
        likeness = compare_versions(registry, state.known(), deadline)
        return Comparison(head, settings.registry.uri, fingerprint, likeness)

    try:
        await SharedCall(registry.prepare).within(deadline.remaining())
        return await ThreadedCall(ask).within(deadline.remaining())
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


def _judge(found: Comparison, *, accept: bool) -> None:
    """Refuse what nothing shows to be the same registry, and ask about what something speaks against.

    Raises:
        StateForeign: it is, or may be, another registry.
    """
    if found.is_proven or (accept and found.is_possible):
        return
    compared = "\n".join(f"  {line}" for line in found.lines())
    if not found.is_possible:
        msg = (
            f"{found.uri} is not the registry that the state was taken from: {found.doubt}, and none of the models "
            f"that were asked for is there; choose a new folder in state.url\n{compared}"
        )
        raise StateForeign(msg)
    msg = (
        f"{found.uri} may not be the registry that the state was taken from: {found.doubt}\n{compared}\n"
        "nothing was changed: if you know it to be the same registry, run 'mlflow-bridge state rebind --accept'; "
        "if it is another one, choose a new folder in state.url"
    )
    raise StateForeign(msg)
