"""Models and versions that are new to the bridge but not new in the registry. Pure.

The bridge could not see them before, or the pages of a scan skipped them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bridge.diff.rename_detection import Pair
from bridge.diff.snapshot import ModelVersion, RegisteredModel
from bridge.diff.version_comparison import created_versions


@dataclass(frozen=True, slots=True)
class Horizon:
    """Creation times before which a model or version was hidden rather than newly created.

    A model or version that is new to the bridge, and older than this, has *appeared*: it is recorded without
    an event. Times are by the registry's clock, in ms; None where there is no such bound.

    Attributes:
        models: the bound for models that are new to the bridge.
        versions: the bound for versions that are new to the bridge, of models that are known.
        aside: a bound of their own for models with skipped rows, by name: what is older may have existed all
            along; what is younger is announced, however late it is read.
    """

    models: int | None = None
    versions: int | None = None
    aside: Mapping[str, int] = field(default_factory=dict)

    def hides(self, pair: Pair) -> bool:
        """Whether the model of ``pair`` existed but was hidden until now."""
        if pair.before is not None or pair.after is None or pair.ambiguous or self.models is None:
            return False
        return pair.after.created < min(self.models, self.aside.get(pair.after.name, self.models))

    def hidden(self, old: RegisteredModel | None, new: RegisteredModel | None) -> list[ModelVersion]:
        """Return the versions that were hidden until now, ascending; a number that was known before is not one."""
        if old is None or new is None:
            return []
        before = max(self.versions or 0, self.aside.get(old.name, 0))
        return [
            version
            for version in created_versions(old, new)
            if version.created < before and version.version not in old.versions
        ]

    def with_hidden(self, old: RegisteredModel, new: RegisteredModel) -> RegisteredModel:
        """Return ``old`` with the versions that were hidden until now."""
        hidden = {version.version: version for version in self.hidden(old, new)}
        return replace(old, versions={**old.versions, **hidden}) if hidden else old


UNLIMITED = Horizon()
"""No bound: whatever is new to the bridge was newly created."""
