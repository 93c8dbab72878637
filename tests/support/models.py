"""Models held in memory, for stand-ins of registries that cannot run here."""

from dataclasses import dataclass, field

USER = "ann@example.com"


@dataclass
class HeldVersion:
    number: int
    created: int
    updated: int
    stage: str = "None"
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class HeldModel:
    name: str
    created: int
    updated: int
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    versions: dict[int, HeldVersion] = field(default_factory=dict)


class HeldModels:
    """What tests change directly: no request of theirs can be mistaken for one of the bridge."""

    def __init__(self) -> None:
        self._now = 1_790_000_000_000
        self.models: dict[str, HeldModel] = {}
        self.denied: set[str] = set()

    def _tick(self) -> int:
        self._now += 1_000
        return self._now

    def create(self, name: str, versions: int = 1) -> None:
        now = self._tick()
        owned = {number: HeldVersion(number, now, now) for number in range(1, versions + 1)}
        self.models[name] = HeldModel(name, now, now, versions=owned)

    def delete(self, name: str) -> None:
        del self.models[name]

    def transition(self, name: str, number: int, stage: str) -> None:
        model = self.models[name]
        model.updated = model.versions[number].updated = self._tick()
        model.versions[number].stage = stage

    def add_version(self, name: str) -> None:
        model = self.models[name]
        model.updated = now = self._tick()
        number = max(model.versions, default=0) + 1
        model.versions[number] = HeldVersion(number, now, now)

    def set_alias(self, name: str, alias: str, number: int) -> None:
        """Move an alias. No timestamp tells of it, as on open-source MLflow."""
        self.models[name].aliases[alias] = number

    def deny(self, name: str) -> None:
        """Take a grant away: searches leave the model out, a point read answers 403."""
        self.denied.add(name)

    def visible(self) -> list[HeldModel]:
        return [model for name, model in self.models.items() if name not in self.denied]
