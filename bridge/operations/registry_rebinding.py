"""Bind a state to its registry at a new URL, or with a new fingerprint, after checking that it is the same."""

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
from bridge.store.base import Basis, PollState
from bridge.store.state_metadata import Head
from bridge.store.state_opening import binding_of

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison of the registry that a state was taken from with the configured one.

    ``fingerprint`` is that of the configured registry; None if it cannot be read.
    """

    head: Head
    uri: str
    fingerprint: str | None
    likeness: Likeness

    @property
    def has_same_fingerprint(self) -> bool:
        """Whether both fingerprints are known and equal."""
        return self.fingerprint is not None and self.fingerprint == self.head.fingerprint

    @property
    def is_proven(self) -> bool:
        """Whether it is the same registry without doubt: equal fingerprints, and at least one known model, if any are known."""
        return self.has_same_fingerprint and not self.likeness.is_nothing_alike

    @property
    def is_possible(self) -> bool:
        """Whether it can be the same registry: the fingerprint or a model is the same, or there is nothing to compare."""
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
        """Return the comparison as text lines, one for each property."""
        head, likeness = self.head, self.likeness
        url = f"same URL: {self.uri}" if self.uri == head.uri else f"other URL: {self.uri}, before {head.uri}"
        prints = (_fingerprint_text(self.fingerprint), _fingerprint_text(head.fingerprint))
        known = (
            f"same fingerprint (Default experiment made {prints[0]})"
            if self.has_same_fingerprint
            else f"other fingerprint: Default experiment made {prints[0]}, before {prints[1]}"
        )
        versions = likeness.versions_told()
        models = likeness.models_told() + (f"; {versions}" if versions else "")
        return [url, f"same workspace: {head.workspace or 'default'}", known, f"models: {models}"]


def _fingerprint_text(fingerprint: str | None) -> str:
    """Return a fingerprint, which is an instant in ms since the epoch, as text."""
    if fingerprint is None or not fingerprint.isdigit():
        return fingerprint or "at a time that cannot be read"
    return f"{datetime.fromtimestamp(int(fingerprint) / 1000, UTC):%Y-%m-%d %H:%M:%S UTC}"


async def rebind(state: PollState, settings: Settings, *, accept: bool = False) -> str:
    """Bind ``state``, which this process owns, to the registry in ``settings``; return a text about the result.

    ``accept`` means that an operator confirms it to be the same registry despite another fingerprint; the text
    then includes the comparison.

    Raises:
        StateForeign: it is another registry than the one that the state was taken from, or may be.
        RegistryError: the registry gave no usable answer.
        SecretUnavailable: a credential for the registry cannot be read.
        StateUnwritable: the state could not be written, and is unchanged.
    """
    wanted = binding_of(settings)
    basis = await state.load_basis()
    head = basis.head
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
        found = await _comparison(basis, head, settings)
        _judge(found, accept=accept)
        await state.write_head(
            replace(head, uri=wanted.uri, fingerprint=found.fingerprint or head.fingerprint)
        )
    log.info("state.rebound", registry=wanted.uri, accepted=accept and not found.is_proven)
    return "\n".join([*(found.lines() if accept else ()), f"the state is bound to {wanted.uri}"])


async def _comparison(basis: Basis, head: Head, settings: Settings) -> Comparison:
    """Read the registry and compare it, with a deadline: no poll can run in the meantime."""
    registry = MlflowRegistry(settings.registry)
    deadline = Deadline.after(settings.poll.deadline)

    def ask() -> Comparison:
        if basis.abilities is not None:
            registry.expect(basis.abilities)
        fingerprint = registry.fingerprint(deadline)
        likeness = compare_versions(registry, basis.known, deadline)
        return Comparison(head, settings.registry.shown_uri, fingerprint, likeness)

    try:
        await SharedCall(registry.prepare).within(deadline.remaining())
        return await ThreadedCall(ask).within(deadline.remaining())
    except TimeoutError:
        msg = f"{settings.registry.shown_uri} did not answer in time (poll.deadline)"
        raise RegistryUnreachable(msg) from None


@contextmanager
def _environment_restored_unless_bound() -> Iterator[None]:
    """Restore the environment if the registry is refused.

    MLflow reads credentials from the environment: those of a refused registry must not be sent to the old one.
    """
    before = dict(os.environ)
    try:
        yield
    except BaseException:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)
        raise


def _judge(found: Comparison, *, accept: bool) -> None:
    """Raise unless it is the same registry, or it can be the same and the operator accepts it.

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
