"""What is new to us without being new: hidden until now, or skipped by the pages of a scan. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bridge.diff.model_pairing import Pair
from bridge.diff.snapshot import ModelVersion, RegisteredModel
from bridge.diff.version_comparison import created_versions


@dataclass(frozen=True, slots=True)
class Horizon:
    """Instants before which nothing can have been created unseen: what is older appeared (promise 4).

    By the registry's clock, in ms; None where there is no such instant.

    Attributes:
        models: for models that are new here.
        versions: for versions that are new here, of models that are known.
        aside: for models of which something was left aside, by their names: what is older than that
            may have been there all the time, and what is younger is news, however late it is read.
    """

    models: int | None = None
    versions: int | None = None
    aside: Mapping[str, int] = field(default_factory=dict)

    def hides(self, pair: Pair) -> bool:
        """Whether the model of ``pair`` was hidden until now."""
        if pair.before is not None or pair.after is None or pair.ambiguous or self.models is None:
            return False
        return pair.after.created < min(self.models, self.aside.get(pair.after.name, self.models))

    def hidden(self, old: RegisteredModel | None, new: RegisteredModel | None) -> list[ModelVersion]:
        """Return the versions that were hidden until now, ascending. A number that was known is none."""
        if old is None or new is None:
            return []
        before = max(self.versions or 0, self.aside.get(old.name, 0))
        return [
            version
            for version in created_versions(old, new)
            if version.created < before and version.version not in old.versions
        ]

    def with_hidden(self, old: RegisteredModel, new: RegisteredModel) -> RegisteredModel:
        """Return ``old`` as it would be known if nothing had been hidden."""
        hidden = {version.version: version for version in self.hidden(old, new)}
        return replace(old, versions={**old.versions, **hidden}) if hidden else old


UNLIMITED = Horizon()
"""Nothing was ever hidden: whatever is new was created."""
