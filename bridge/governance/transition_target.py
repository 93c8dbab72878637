"""What a version is to get: a stage, or an alias."""

from dataclasses import dataclass

from bridge.events.event_names import STAGES

_ARCHIVING = frozenset({"Staging", "Production"})
_BY_SPELLING = {stage.lower(): stage for stage in STAGES}


@dataclass(frozen=True, slots=True)
class Target:
    """A stage or an alias: exactly one of them is given."""

    stage: str | None = None
    alias: str | None = None

    @property
    def told(self) -> str:
        """The target in a sentence."""
        return self.stage if self.stage is not None else f"@{self.alias}"

    @property
    def can_archive(self) -> bool:
        """Whether MLflow takes ``archive_existing_versions`` with it: for any other stage, it answers 500."""
        return self.stage in _ARCHIVING


def canonical_stage(name: str) -> str | None:
    """Return a stage as MLflow spells it (MLflow, ``get_canonical_stage``: in any case); None if there is none."""
    return _BY_SPELLING.get(name.lower())
