"""Random mutations of a registry, and what they really did.

What succeeded is written down with the time before and after the request; nobody knows when in
between it took effect.
"""

import random
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from threading import Lock

STAGES = ("None", "Staging", "Production", "Archived")
ACTIVE_STAGES = ("Staging", "Production")
KEYS = ("team", "a.b/c-d", "sha")
ALIASES = ("champion", "challenger", "blue-green")

ANY_VERSION = "*"
"""The version of an effect that may concern any version of its model (archiving)."""

REDACTED = "REDACTED-SOURCE-PATH"
"""The source of a version that MLflow had deleted, before a transition under way brought it back."""

_REFUSALS = {"RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS", "INVALID_PARAMETER_VALUE"}

Made = tuple[str, str | None, str | None, str | None]
"""What a mutation does to its model: what, version, key, value."""


@dataclass(frozen=True)
class Effect:
    """A value that something took (None: it was removed), at some instant from ``began`` to ``ended``.

    ``model`` is the model's name when the request was made.
    """

    what: str
    model: str
    version: str | None
    key: str | None
    value: str | None
    began: float
    ended: float


class Belief:
    """What the threads think that there is: models and their version numbers."""

    def __init__(self) -> None:
        self._models: dict[str, set[str]] = {}
        self._lock = Lock()

    def models(self) -> list[str]:
        with self._lock:
            return sorted(self._models)

    def versions(self, name: str) -> list[str]:
        with self._lock:
            return sorted(self._models.get(name, ()), key=int)

    def note(self, name: str, version: str) -> None:
        with self._lock:
            self._models.setdefault(name, set()).add(version)

    def forget(self, name: str, version: str) -> None:
        with self._lock:
            self._models.get(name, set()).discard(version)

    def move(self, name: str | None, new_name: str | None) -> None:
        """Rename a model; from None it is new, to None it is gone."""
        with self._lock:
            versions = self._models.pop(name, set()) if name else set()
            if new_name:
                self._models[new_name] = versions


class Hand:
    """One thread's client and chance."""

    def __init__(self, url: str, names: Sequence[str], belief: Belief, seed: int) -> None:
        warnings.filterwarnings("ignore")  # MLflow warns that stages are deprecated
        from mlflow import MlflowClient

        self._names = names
        self._belief = belief
        self._numbers = (f"{seed}-{number}" for number in count(1))
        self.done: list[Effect] = []
        self.outcomes: Counter[str] = Counter()
        self.unsure: list[str] = []
        self._chance = random.Random(seed)  # noqa: S311
        self._client = MlflowClient(url)
        self._weighted: dict[Callable[[str], Iterator[Made]], int] = {
            self.create_model: 5,
            self.delete_model: 3,
            self.rename_model: 6,
            self.describe_model: 4,
            self.tag_model: 6,
            self.untag_model: 3,
            self.create_version: 12,
            self.delete_version: 6,
            self.transition: 24,
            self.describe_version: 6,
            self.tag_version: 10,
            self.untag_version: 4,
            self.set_alias: 12,
            self.delete_alias: 4,
        }

    def mutate(self) -> None:
        [action] = self._chance.choices(list(self._weighted), list(self._weighted.values()))
        believed = self._belief.models()
        known = believed if believed and self._chance.random() < 0.95 else self._names
        if action == self.create_model:
            known = [name for name in self._names if name not in believed] or known
        self.attempt(action, self._chance.choice(known))

    def attempt(self, action: Callable[[str], Iterator[Made]], name: str) -> None:
        """Do it to the model of that name, and write down what came of it.

        A refusal changed nothing. After any other failure nobody knows: its effects, as far as they
        can be told without an answer, count as possible.
        """
        from mlflow.exceptions import MlflowException

        began, made, outcome = time.time(), [], action.__name__
        try:
            for one in action(name):
                made.append(one)  # noqa: PERF402 - what came before a failure has to be kept
        except MlflowException as error:
            outcome = "refused" if error.error_code in _REFUSALS else "unsure"
            if outcome == "unsure":
                self.unsure.append(f"{action.__name__}: {error}"[:300])
            else:
                made.clear()
        ended = time.time()
        self.outcomes[outcome] += 1
        self.done += [
            Effect(what, name, version, key, value, began, ended) for what, version, key, value in made
        ]

    def _value(self, what: str) -> str:
        """Return a value that nothing else ever has (``#`` marks it): whoever tells it, means this."""
        odd = self._chance.choice(("", "ü", "'", '"'))
        return f"{what} #{next(self._numbers)} {odd}".strip()

    def _version(self, name: str) -> str:
        believed = self._belief.versions(name)
        return self._chance.choice(believed[-4:]) if believed else str(self._chance.randint(1, 3))

    def _tags(self, what: str) -> dict[str, str]:
        return {
            key: self._value(what) for key in self._chance.sample(KEYS, self._chance.choice((0, 0, 1, 2)))
        }

    # What a mutation makes is told before the request, so that it counts where no answer comes.

    def create_model(self, name: str) -> Iterator[Made]:
        description, tags = self._value("model"), self._tags("tag")
        yield "model", None, None, "there"
        yield "description", None, None, description
        yield from (("tag", None, key, value) for key, value in tags.items())
        self._client.create_registered_model(name, tags, description)
        self._belief.move(None, name)

    def delete_model(self, name: str) -> Iterator[Made]:
        yield "model", None, None, None
        self._client.delete_registered_model(name)
        self._belief.move(name, None)

    def rename_model(self, name: str) -> Iterator[Made]:
        free = [other for other in self._names if other not in self._belief.models()]
        new_name = self._chance.choice(free or self._names)
        yield "name", None, None, new_name
        self._client.rename_registered_model(name, new_name)
        self._belief.move(name, new_name)

    def describe_model(self, name: str) -> Iterator[Made]:
        text = self._value("text") if self._chance.random() < 0.8 else ""
        yield "description", None, None, text
        self._client.update_registered_model(name, text)

    def tag_model(self, name: str) -> Iterator[Made]:
        key, value = self._chance.choice(KEYS), self._value("tag")
        yield "tag", None, key, value
        self._client.set_registered_model_tag(name, key, value)

    def untag_model(self, name: str) -> Iterator[Made]:
        key = self._chance.choice(KEYS)
        yield "tag", None, key, None
        self._client.delete_registered_model_tag(name, key)

    def create_version(self, name: str) -> Iterator[Made]:
        source, tags = f"s3://bucket/{next(self._numbers)}", self._tags("version tag")
        description = self._value("version") if self._chance.random() < 0.5 else ""
        # The number is the answer's; until then, what nothing else has tells enough.
        yield "version description", ANY_VERSION, None, description
        yield from (("version tag", ANY_VERSION, key, value) for key, value in tags.items())
        try:
            made = self._client.create_model_version(
                name, source, tags=tags, description=description, await_creation_for=0
            )
        except Exception:
            yield "version", ANY_VERSION, None, source
            raise
        self._belief.note(name, str(made.version))
        yield "version", str(made.version), None, source

    def delete_version(self, name: str) -> Iterator[Made]:
        version = self._version(name)
        yield "version", version, None, None
        yield "version description", version, None, ""  # a transition under way may bring it back, bare
        self._client.delete_model_version(name, version)
        self._belief.forget(name, version)

    def transition(self, name: str) -> Iterator[Made]:
        version, stage = self._version(name), self._chance.choice(STAGES)
        archives = stage in ACTIVE_STAGES and self._chance.random() < 0.6
        yield "stage", version, None, stage
        if archives:
            yield "stage", ANY_VERSION, None, "Archived"
        self._client.transition_model_version_stage(name, version, stage, archive_existing_versions=archives)

    def describe_version(self, name: str) -> Iterator[Made]:
        version = self._version(name)
        text = self._value("text") if self._chance.random() < 0.8 else ""
        yield "version description", version, None, text
        self._client.update_model_version(name, version, text)

    def tag_version(self, name: str) -> Iterator[Made]:
        version, key, value = self._version(name), self._chance.choice(KEYS), self._value("version tag")
        yield "version tag", version, key, value
        self._client.set_model_version_tag(name, version, key, value)

    def untag_version(self, name: str) -> Iterator[Made]:
        version, key = self._version(name), self._chance.choice(KEYS)
        yield "version tag", version, key, None
        self._client.delete_model_version_tag(name, version, key)

    def set_alias(self, name: str) -> Iterator[Made]:
        version, alias = self._version(name), self._chance.choice(ALIASES)
        yield "alias", None, alias, version
        self._client.set_registered_model_alias(name, alias, version)

    def delete_alias(self, name: str) -> Iterator[Made]:
        alias = self._chance.choice(ALIASES)
        yield "alias", None, alias, None
        self._client.delete_registered_model_alias(name, alias)
