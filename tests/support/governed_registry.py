"""A registry in memory that the bridge also writes to, with answers that get lost, and runs with metrics."""

from dataclasses import dataclass, field, replace

from bridge.diff.absence_verification import Absence
from bridge.diff.snapshot import ModelVersion, RegisteredModel
from bridge.errors import RegistryUnreachable, TransitionRefused
from bridge.governance.movement import Movement, Standing
from support.registry import FakeRegistry


@dataclass
class GovernedRegistry(FakeRegistry):
    """Versions with an ``accuracy`` by model and version; ``fault`` befalls the next writes."""

    now: int = 1_000
    accuracy: dict[tuple[str, str], float | None] = field(default_factory=dict)
    fault: str = ""
    refusal: str = ""
    is_unreadable: bool = False
    is_writable: bool = True
    tags: dict[tuple[str, str, str], str] = field(default_factory=dict)
    made: list[Movement] = field(default_factory=list)
    """What the bridge changed, in order."""

    def tick(self) -> int:
        self.now += 10
        return self.now

    def add(self, name: str, version: str, accuracy: float | None, stage: str = "None") -> None:
        at = self.tick()
        model = self.models.get(name) or RegisteredModel(name, at, at)
        one = ModelVersion(version, at, at, stage=stage)
        self.put(replace(model, updated=at, versions={**model.versions, version: one}))
        self.accuracy[name, version] = accuracy

    def transition(self, name: str, version: str, stage: str, *, archives: bool = False) -> int:
        """Do as MLflow's ``transition_model_version_stage`` does."""
        at, model = self.tick(), self.models[name]
        versions = {
            number: replace(one, stage="Archived", updated=at)
            if archives and number != version and one.stage == stage
            else one
            for number, one in model.versions.items()
        }
        versions[version] = replace(versions[version], stage=stage, updated=at)
        self.put(replace(model, updated=at, versions=versions))
        return at

    def touch(self, name: str, version: str) -> None:
        """Change something else about a version."""
        at, model = self.tick(), self.models[name]
        one = replace(model.versions[version], description=f"at {at}", updated=at)
        self.put(replace(model, updated=at, versions={**model.versions, version: one}))

    def rename(self, name: str, to: str) -> None:
        model = self.models.pop(name)
        self.put(replace(model, name=to, updated=self.tick()))
        for (of, version), accuracy in list(self.accuracy.items()):
            if of == name:
                self.accuracy[to, version] = accuracy

    def set_alias(self, name: str, alias: str, version: str | None) -> None:
        model = self.models[name]
        aliases = {key: value for key, value in model.aliases if key != alias}
        if version is not None:
            aliases[alias] = version
        self.put(replace(model, aliases=tuple(sorted(aliases.items()))))

    def drop(self, name: str, version: str) -> None:
        model = self.models[name]
        versions = {number: one for number, one in model.versions.items() if number != version}
        self.put(replace(model, updated=self.tick(), versions=versions))

    # what the bridge asks and does

    def standing(self, movement: Movement, deadline) -> Standing | Absence:
        self._check()
        model = self.models.get(movement.model_name)
        if model is None:
            return Absence.GONE
        holder = dict(model.aliases).get(movement.target.alias)
        if not movement.version:
            return Standing(0, 0, "None", holder)
        one = model.versions.get(movement.version)
        return Standing(one.created, one.updated, one.stage, holder) if one else Absence.GONE

    def make(self, movement: Movement, deadline, *, archives: bool) -> int:
        self._check()
        if self.refusal:
            raise TransitionRefused(self.refusal)
        fault, self.fault = self.fault, ""
        if fault == "down":
            raise RegistryUnreachable("nobody answers")
        at = 0
        if movement.target.alias is not None:
            self.set_alias(movement.model_name, movement.target.alias, movement.version or None)
        else:
            at = self.transition(
                movement.model_name, movement.version, movement.target.stage, archives=archives
            )
        self.made.append(movement)
        if fault == "lost":
            raise RegistryUnreachable("the answer was lost")
        return at

    def write_fault(self, name, deadline) -> str:
        self._check()
        return "" if self.is_writable else "the bridge may not change this model"

    def tag(self, movement, key, value, deadline) -> None:
        self._check()
        model = self.models.get(movement.model_name)
        if model is None or movement.version not in model.versions:
            raise TransitionRefused("there is no such version")
        self.tags[movement.model_name, movement.version, key] = value
        self.touch(movement.model_name, movement.version)

    def version(self, name, version, deadline):
        self._check()
        model = self.models.get(name)
        if model is None or version not in model.versions:
            return Absence.GONE
        return {"version": version, "run_id": f"{name}/{version}", "description": None, "tags": {}}

    def run(self, run_id, deadline):
        self._check()
        name, _, version = run_id.rpartition("/")
        accuracy = self.accuracy[name, version]
        metrics = {} if accuracy is None else {"validation_accuracy": accuracy}
        return {"run_id": run_id, "lifecycle_stage": "active", "metrics": metrics, "params": {}, "tags": {}}

    def _check(self) -> None:
        if self.is_unreadable:
            raise RegistryUnreachable("nobody answers")
