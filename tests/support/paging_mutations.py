"""Mutations of a registry as values, which fit whatever registry they meet."""

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.diff.snapshot import RegisteredModel, version_order
from support.strategies import STAGES

NAMES = ("a", "b", "c", "d'\"e", "e's", "f", "g")

OF_MODELS = (
    "rename_registered_model",
    "update_registered_model",
    "delete_registered_model",
    "set_registered_model_tag",
    "delete_registered_model_tag",
    "delete_registered_model_alias",
    "create_model_version",
)
OF_VERSIONS = (
    "transition_model_version_stage",
    "update_model_version",
    "set_model_version_tag",
    "delete_model_version_tag",
    "set_registered_model_alias",
    "delete_model_version",
)
KINDS = ("create_registered_model", *OF_MODELS, *OF_VERSIONS)


@dataclass(frozen=True)
class Mutation:
    """A method of MlflowClient; ``model``, ``version`` and ``value`` choose among what there is."""

    method: str
    model: int = 0
    version: int = 0
    value: int = 0

    def call(self, models: Mapping[str, RegisteredModel], prefix: str = "") -> tuple | None:
        """Return method and arguments for ``models``, or None where there is nothing to change."""
        free = [prefix + name for name in NAMES if prefix + name not in models]
        if self.method == "create_registered_model":
            return (self.method, free[self.model % len(free)]) if free else None
        names = sorted(models)
        if not names or (self.method == "rename_registered_model" and not free):
            return None
        name = names[self.model % len(names)]
        if self.method in OF_MODELS:
            return (self.method, name, *self._of_model(free))
        versions = sorted(models[name].versions, key=version_order)
        if not versions:
            return None
        return self._of_version(name, versions[self.version % len(versions)])

    def _of_model(self, free: list[str]) -> tuple:
        return {
            "rename_registered_model": lambda: (free[self.value % len(free)],),
            "update_registered_model": lambda: (self._word(),),
            "set_registered_model_tag": lambda: (self._key(), self._word()),
            "delete_registered_model_tag": lambda: (self._key(),),
            "delete_registered_model_alias": lambda: (self._key(),),
            "create_model_version": lambda: ("s3://bucket/model",),
        }.get(self.method, tuple)()

    def _of_version(self, name: str, version: str) -> tuple:
        if self.method == "transition_model_version_stage":
            stage = STAGES[self.value % 4]
            return (self.method, name, version, stage, self.value >= 4 and stage in STAGES[1:3])
        if self.method == "set_registered_model_alias":
            return (self.method, name, self._key(), version)
        return (
            self.method,
            name,
            version,
            *{
                "update_model_version": (self._word(),),
                "set_model_version_tag": (self._key(), self._word()),
                "delete_model_version_tag": (self._key(),),
            }.get(self.method, ()),
        )

    def _key(self) -> str:
        return "kl"[self.value // 2 % 2]

    def _word(self) -> str:
        return "xy"[self.value % 2]
