"""What is new to us without being new: hidden until now, or skipped by the pages of a scan. Pure."""

from dataclasses import dataclass, replace

from bridge.diff.pairing import Pair
from bridge.diff.snapshot import ModelVersion, RegisteredModel
from bridge.diff.versions import created_versions


@dataclass(frozen=True, slots=True)
class Horizon:
    """Instants before which nothing can have been created unseen: what is older appeared (promise 4).

    By the registry's clock, in ms; None where there is no such instant.

    Attributes:
        models: for models that are new here.
        versions: for versions that are new here, of models that are known.
    """

    models: int | None = None
    versions: int | None = None

    def hides(self, pair: Pair) -> bool:
        """Whether the model of ``pair`` was hidden until now."""
        if pair.before is not None or pair.after is None or pair.ambiguous or self.models is None:
            return False
        return pair.after.created < self.models

    def hidden(self, old: RegisteredModel | None, new: RegisteredModel | None) -> list[ModelVersion]:
        """Return the versions that were hidden until now, ascending. A number that was known is none."""
        if old is None or new is None or self.versions is None:
            return []
        return [
            version
            for version in created_versions(old, new)
            if version.created < self.versions and version.version not in old.versions
        ]

    def with_hidden(self, old: RegisteredModel, new: RegisteredModel) -> RegisteredModel:
        """Return ``old`` as it would be known if nothing had been hidden."""
        hidden = {version.version: version for version in self.hidden(old, new)}
        return replace(old, versions={**old.versions, **hidden}) if hidden else old


UNLIMITED = Horizon()
"""Nothing was ever hidden: whatever is new was created."""
