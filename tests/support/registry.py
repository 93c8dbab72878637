"""A registry in memory that answers as it is told to."""

from dataclasses import dataclass, field, replace

from bridge.diff.doubts import Absence, Answers, Listing
from bridge.diff.snapshot import RegisteredModel


@dataclass
class FakeRegistry:
    """What is there (`models`), what a listing shows of it, and what a point read refuses."""

    models: dict[str, RegisteredModel] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    print: str | None = "1"
    failure: Exception | None = None
    asked: list[str] = field(default_factory=list)
    atomic: bool = True
    clock: int | None = None

    def fingerprint(self, deadline) -> str | None:
        deadline.check()
        if self.failure:
            raise self.failure
        return self.print

    def scan(self, deadline) -> Listing:
        shown = {name: model for name, model in self.models.items() if name not in self.hidden}
        return Listing(shown, atomic=self.atomic, clock=self.clock)

    def ask(self, doubts, deadline) -> Answers:
        self.asked += [doubt.name for doubt in doubts]
        return {doubt.name: self._answer(doubt.name) for doubt in doubts}

    def _answer(self, name: str):
        if name in self.refused:
            return Absence.UNKNOWN
        return self.models.get(name, Absence.GONE)

    def put(self, *models: RegisteredModel) -> None:
        self.models.update({model.name: model for model in models})

    def move(self, name: str, version: str, stage: str, at: int = 500) -> None:
        model = self.models[name]
        moved = replace(model.versions[version], stage=stage, updated=at)
        self.models[name] = replace(model, updated=at, versions={**model.versions, version: moved})
