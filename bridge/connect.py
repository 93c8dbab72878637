"""Ask the registry the few questions that show whether the bridge can work with it."""

from collections.abc import Callable
from dataclasses import dataclass

from bridge.config import Settings
from bridge.diff.doubts import Listing
from bridge.diff.known import PlainModels
from bridge.pipeline.threads import in_thread
from bridge.registry.base import Deadline
from bridge.registry.mlflow_reader import MlflowRegistry


@dataclass(frozen=True, slots=True)
class RegistryAnswer:
    """What a registry shows, in a few words, and the names of its models."""

    told: str
    names: frozenset[str]


async def ask_registry(
    settings: Settings, scanned: Callable[[int, int], None] | None = None
) -> RegistryAnswer:
    """Return what the registry shows; ``scanned`` is told how far reading it has come.

    Raises:
        RegistryError: it gives no usable answer.
        SecretUnavailable: a credential is not where the configuration says.
    """
    listing, fingerprint = await in_thread(lambda: _ask(settings, scanned))
    models, versions = listing.counted
    known = "" if fingerprint else ", its database cannot be told from another (no fingerprint)"
    return RegistryAnswer(f"answers, {models} models, {versions} versions{known}", frozenset(listing.models))


def _ask(settings: Settings, scanned: Callable[[int, int], None] | None) -> tuple[Listing, str | None]:
    registry = MlflowRegistry(settings.registry, scanned)
    deadline = Deadline.after(settings.poll.deadline)
    return registry.scan(PlainModels(), deadline, with_facts=False), registry.fingerprint(deadline)
