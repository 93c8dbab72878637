"""A model registry in this process: what MLflow's keeps, and which timestamps it moves when.

`tests/integration/test_paging_registry.py` holds it against a real server; `support.paging_client`
is how it is read.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from bridge.diff.snapshot import ModelVersion, RegisteredModel, pairs

LATEST_MS = 115_000
"""A mutation becomes visible at most this long after its own timestamp: what the bridge allows for."""

_ACTIVE = ("Staging", "Production")


class Refusal(Exception):
    """An error document, as MLflow's client raises it."""

    json = None

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.error_code = code


@dataclass(frozen=True)
class Kept:
    """A model, whatever it is called; ``last`` is the highest version number that it ever gave."""

    uid: int
    model: RegisteredModel
    last: int = 0


Rows = dict[str, Kept]


@dataclass
class PagingRegistry:
    """Mutations under the names that MlflowClient has for them; ``clock`` is in ms.

    ``moments`` are all the registries that there ever were to see, the present one last.
    """

    clock: Callable[[], int]
    moments: list[Rows] = field(default_factory=lambda: [{}])
    hidden: set[int] = field(default_factory=set)
    ever_hidden: set[int] = field(default_factory=set)
    under_way: list[tuple[int, str, tuple]] = field(default_factory=list)
    back: int = 0
    _at: int | None = None
    _uids: int = 0

    @property
    def rows(self) -> Rows:
        return self.moments[-1]

    @property
    def models(self) -> dict[str, RegisteredModel]:
        return {name: kept.model for name, kept in self.rows.items()}

    def _now(self) -> int:
        """The time at the begin of a transaction, by the clock of the replica that makes it."""
        return self.clock() - self.back if self._at is None else self._at

    def begin(self, method: str, *arguments) -> None:
        """Begin a mutation that becomes visible when it is released, with the time of now."""
        self.under_way.append((self.clock(), method, arguments))

    def release(self, until: int | None = None) -> None:
        """Let what is under way become visible: all of it, or what cannot wait ``until`` then."""
        due = [one for one in self.under_way if until is None or until - one[0] > LATEST_MS]
        self.under_way = [one for one in self.under_way if one not in due]
        for began, method, arguments in due:
            self._at = began
            with suppress(Refusal):  # what it was about went in the meantime
                getattr(self, method)(*arguments)
            self._at = None

    def revoke(self, name: str) -> None:
        self.hidden.add(self.rows[name].uid)
        self.ever_hidden.add(self.rows[name].uid)

    def grant(self) -> None:
        self.hidden.clear()

    def _kept(self, name: str) -> Kept:
        if name not in self.rows:
            raise Refusal("RESOURCE_DOES_NOT_EXIST")
        return self.rows[name]

    def _version(self, name: str, version: str) -> ModelVersion:
        versions = self._kept(name).model.versions
        if version not in versions:
            raise Refusal("RESOURCE_DOES_NOT_EXIST")
        return versions[version]

    def _put(self, name: str, *versions: ModelVersion, last: int | None = None, **fields) -> None:
        kept = self._kept(name)
        changed = {**kept.model.versions, **{one.version: one for one in versions}}
        model = replace(kept.model, **{"versions": changed, **fields})
        rows = {**self.rows, name: replace(kept, model=model, last=kept.last if last is None else last)}
        self.moments.append(rows)

    def create_registered_model(self, name, tags=None, description=None) -> None:
        if name in self.rows:
            raise Refusal("RESOURCE_ALREADY_EXISTS")
        self._uids += 1
        now = self._now()
        model = RegisteredModel(name, now, now, description or "", pairs(tags))
        self.moments.append({**self.rows, name: Kept(self._uids, model)})

    def rename_registered_model(self, name, new_name) -> None:
        kept, now = self._kept(name), self._now()
        if new_name in self.rows and new_name != name:
            raise Refusal("RESOURCE_ALREADY_EXISTS")
        versions = {number: replace(one, updated=now) for number, one in kept.model.versions.items()}
        model = replace(kept.model, name=new_name, updated=now, versions=versions)
        rows = {other: one for other, one in self.rows.items() if other != name}
        self.moments.append({**rows, new_name: replace(kept, model=model)})

    def update_registered_model(self, name, description=None) -> None:
        self._put(name, description=description or "", updated=self._now())

    def delete_registered_model(self, name) -> None:
        self._kept(name)
        self.moments.append({other: one for other, one in self.rows.items() if other != name})

    def set_registered_model_tag(self, name, key, value) -> None:
        self._put(name, tags=pairs({**dict(self._kept(name).model.tags), key: value}))

    def delete_registered_model_tag(self, name, key) -> None:
        tags = dict(self._kept(name).model.tags)
        tags.pop(key, None)
        self._put(name, tags=pairs(tags))

    def set_registered_model_alias(self, name, alias, version) -> None:
        self._version(name, version)
        self._put(name, aliases=pairs({**dict(self._kept(name).model.aliases), alias: version}))

    def delete_registered_model_alias(self, name, alias) -> None:
        aliases = dict(self._kept(name).model.aliases)
        aliases.pop(alias, None)
        self._put(name, aliases=pairs(aliases))

    def create_model_version(self, name, source, run_id=None, tags=None) -> None:
        number, now = self._kept(name).last + 1, self._now()
        version = ModelVersion(str(number), now, now, tags=pairs(tags), source=source)
        self._put(name, version, last=number, updated=now)

    def update_model_version(self, name, version, description=None) -> None:
        one = self._version(name, version)
        self._put(name, replace(one, description=description or "", updated=self._now()))

    def transition_model_version_stage(self, name, version, stage, archive_existing_versions=False) -> None:
        one, now = self._version(name, version), self._now()
        if archive_existing_versions and stage not in _ACTIVE:
            raise Refusal("INVALID_PARAMETER_VALUE")
        archived = [
            replace(other, stage="Archived", updated=now)
            for other in self._kept(name).model.versions.values()
            if archive_existing_versions and other.stage == stage and other.version != version
        ]
        self._put(name, *archived, replace(one, stage=stage, updated=now), updated=now)

    def set_model_version_tag(self, name, version, key, value) -> None:
        one = self._version(name, version)
        self._put(name, replace(one, tags=pairs({**dict(one.tags), key: value})))

    def delete_model_version_tag(self, name, version, key) -> None:
        one = self._version(name, version)
        self._put(name, replace(one, tags=pairs({k: v for k, v in one.tags if k != key})))

    def delete_model_version(self, name, version) -> None:
        self._version(name, version)
        model = self._kept(name).model
        versions = {number: one for number, one in model.versions.items() if number != version}
        aliases = tuple(pair for pair in model.aliases if pair[1] != version)
        self._put(name, versions=versions, aliases=aliases, updated=self._now())
