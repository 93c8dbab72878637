"""Read the registry once, to show whether the bridge can work with it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from bridge.config import Settings
from bridge.diff.absence_verification import Listing
from bridge.diff.known_snapshot import PlainModels
from bridge.errors import RegistryUnreachable
from bridge.events.display_text import count
from bridge.pipeline.worker_threads import ThreadedCall
from bridge.registry.base import Deadline
from bridge.registry.mlflow_reader import MlflowRegistry
from bridge.registry.scan_position import ScanProgress

_GRACE_S = 5.0
"""How many seconds longer than the deadline a request under way may take."""


@dataclass(frozen=True, slots=True)
class RegistryAnswer:
    """A summary of a registry's content as text, and the names of its models."""

    told: str
    names: frozenset[str]


_SCAN = "check"
"""What the parts of the scan are called; they are in memory only."""


async def ask_registry(
    settings: Settings, scanned: Callable[[int, int], None] | None = None
) -> RegistryAnswer:
    """Read the registry and return its content; ``scanned`` is called with the progress.

    Raises:
        RegistryError: the registry gives no usable answer.
        SecretUnavailable: a credential cannot be read.
    """
    registry, progress = MlflowRegistry(settings.registry, scanned), ScanProgress()
    while True:
        deadline = Deadline.after(settings.poll.deadline)
        asking = ThreadedCall(partial(_ask, registry, progress, deadline))
        try:
            listing, fingerprint = await asking.within(deadline.remaining() + _GRACE_S)
            break
        except (TimeoutError, RegistryUnreachable) as error:
            if progress.pages and deadline.remaining() == 0:
                kept = progress.keep(_SCAN)
                progress = ScanProgress(kept, progress.all_parts(_SCAN).__getitem__)
            elif isinstance(error, RegistryUnreachable):
                raise
            else:
                msg = f"{settings.registry.shown_uri} did not answer everything in time (poll.deadline)"
                raise RegistryUnreachable(msg) from None
    models, versions = listing.counted
    known = "" if fingerprint else ", its database cannot be told from another (no fingerprint)"
    return RegistryAnswer(
        f"answers, {count(models, 'model')}, {count(versions, 'version')}{known}", frozenset(listing.models)
    )


def _ask(registry: MlflowRegistry, progress: ScanProgress, deadline: Deadline) -> tuple[Listing, str | None]:
    listing = registry.scan(PlainModels(), deadline, with_facts=False, progress=progress)
    return listing, registry.fingerprint(deadline)
