"""Read any registry that MLflow's own client can reach."""

import logging
import os
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from operator import methodcaller
from typing import Any, TypeVar

from bridge.config import RegistrySettings
from bridge.diff.doubts import Absence, Answer, Doubt, Listing
from bridge.diff.snapshot import ModelVersion, RegisteredModel
from bridge.errors import BridgeError, RegistryLacks, RegistryRefused
from bridge.registry.base import Deadline
from bridge.registry.clock import registry_clock
from bridge.registry.convert import PROMPT_TAG, model_of, name_filter, version_of
from bridge.registry.environment import environment
from bridge.registry.failures import is_absence, is_refusal, translate

T = TypeVar("T")
Page = Callable[..., Any]

_MODELS_PAGE = 1_000
_VERSIONS_PAGE = 10_000
_BY_NAME = ["name ASC"]
_BY_NAME_AND_NUMBER = ["name ASC", "version_number ASC"]
_PROMPTS = f"tags.`{PROMPT_TAG}` = 'true'"


class MlflowRegistry:
    """`bridge.registry.base.Registry` through ``MlflowClient``, which is imported on first use."""

    def __init__(self, settings: RegistrySettings) -> None:
        """Remember where the registry is; nothing is asked yet."""
        self._settings = settings
        self._client: Any = None

    def fingerprint(self, deadline: Deadline) -> str | None:
        """Return the creation time of the Default experiment: that of the registry's database.

        Another workspace than the default one has no such experiment, and so no fingerprint.
        """
        found = self._point_read(deadline, lambda client: client.get_experiment("0"))
        created = None if isinstance(found, Absence) else found.creation_time
        return str(created) if created else None

    def scan(self, deadline: Deadline) -> Listing:
        """List models first, then versions: a model's timestamp is older than what follows it.

        Raises:
            RegistryError: a page did not come.
        """
        clock = self._call(deadline, lambda _client: registry_clock(self._settings.uri))
        models: dict[str, RegisteredModel] = {}
        atomic = True
        for filter_string in self._filters():
            for number, page in enumerate(self._pages(deadline, "search_registered_models", filter_string)):
                atomic = atomic and number == 0
                models.update({one.name: self._expected(one, one.name or "?") for one in map(model_of, page)})
        versions = self._versions(deadline)
        with_versions = {
            name: _with_versions(model, versions.pop(name, {})) for name, model in models.items()
        }
        return Listing(with_versions, frozenset(versions), atomic, clock)

    def _filters(self) -> list[str | None]:
        """Return the searches to make: MLflow leaves prompts out unless they are asked for."""
        return [None, _PROMPTS] if self._settings.include_prompts else [None]

    def _versions(self, deadline: Deadline) -> dict[str, dict[str, ModelVersion]]:
        versions: dict[str, dict[str, ModelVersion]] = defaultdict(dict)
        for filter_string in self._filters():
            for page in self._pages(deadline, "search_model_versions", filter_string):
                for entity in page:
                    versions[entity.name][str(entity.version)] = version_of(entity)
        return versions

    def ask(self, doubts: Sequence[Doubt], deadline: Deadline) -> dict[str, Answer]:
        """Read each of these models by its name.

        Raises:
            RegistryError: an answer did not come.
        """
        rest = deadline.rest()
        return {doubt.name: Absence.UNKNOWN if rest.is_near() else self._ask(doubt, rest) for doubt in doubts}

    def _ask(self, doubt: Doubt, deadline: Deadline) -> Answer:
        found = self._point_read(deadline, lambda client: client.get_registered_model(doubt.name))
        if found is Absence.GONE:
            return self._ask_prompt(doubt.name, deadline)
        if isinstance(found, Absence):
            return found
        model = self._expected(model_of(found), doubt.name)
        versions = self._versions_of(deadline, doubt.name)
        if doubt.known is not None and doubt.known.created == model.created:
            missing = [one for one in doubt.known.versions.values() if one.version not in versions]
            for version in missing:
                answer = self._ask_version(doubt.name, version, deadline)
                if answer is not None:
                    versions[version.version] = answer
        return _with_versions(model, versions)

    def _ask_version(self, name: str, known: ModelVersion, deadline: Deadline) -> ModelVersion | None:
        """Return a version that a search did not show, or None if it is really gone."""
        if deadline.is_near():
            return known
        found = self._point_read(deadline, lambda client: client.get_model_version(name, known.version))
        if found is Absence.GONE:
            return None
        if isinstance(found, Absence):
            return known
        if (found.name, str(found.version)) != (name, known.version):
            raise self._empty()
        return version_of(found)

    def _ask_prompt(self, name: str, deadline: Deadline) -> Answer:
        """Tell a prompt from what is gone: MLflow's point reads deny prompts, its searches don't."""
        wanted = f"{name_filter(name)} AND {_PROMPTS}"
        pages = self._pages(deadline, "search_registered_models", wanted)
        try:
            found = [entity for page in pages for entity in page if entity.name == name]
        except RegistryLacks:  # a registry without this filter has no prompts
            return Absence.GONE
        if not found:
            return Absence.GONE
        if not self._settings.include_prompts:
            return Absence.UNKNOWN
        return _with_versions(model_of(found[0]), self._versions_of(deadline, name, _PROMPTS))

    def _versions_of(self, deadline: Deadline, name: str, more: str = "") -> dict[str, ModelVersion]:
        wanted = " AND ".join(filter(None, [name_filter(name), more]))
        pages = self._pages(deadline, "search_model_versions", wanted)
        return {
            str(entity.version): version_of(entity)
            for page in pages
            for entity in page
            if entity.name == name
        }

    def _expected(self, model: RegisteredModel, name: str) -> RegisteredModel:
        """Refuse an answer that does not say what was asked: ``{}`` parses as a model, too."""
        if model.name != name or not model.created:
            raise self._empty()
        return model

    def _empty(self) -> RegistryRefused:
        uri = self._settings.uri
        return RegistryRefused(
            f"{uri} is not an MLflow server (its answers are empty): check registry.tracking_uri"
        )

    def _pages(self, deadline: Deadline, search: str, filter_string: str | None) -> Iterator[Any]:
        """Yield the pages of a search, ordered by name: of the orders, the least disturbed one."""
        models = search == "search_registered_models"
        arguments = {
            "filter_string": filter_string,
            "max_results": _MODELS_PAGE if models else _VERSIONS_PAGE,
            "order_by": _BY_NAME if models else _BY_NAME_AND_NUMBER,
        }
        token: str | None = None
        seen: set[str] = set()
        while True:
            page = self._call(deadline, methodcaller(search, **arguments, page_token=token))
            yield page
            token = page.token
            if not token:
                return
            if token in seen:
                msg = f"{self._settings.uri} pages endlessly: it gave the same page token twice"
                raise RegistryRefused(msg)
            seen.add(token)

    def _call(self, deadline: Deadline, request: Callable[[Any], T]) -> T:
        """Make one request.

        Raises:
            RegistryError: it got no usable answer, or the deadline has passed.
        """
        try:
            return self._request(deadline, request)
        except BridgeError:
            raise
        except Exception as error:
            raise translate(error, self._settings.uri) from error

    def _point_read(self, deadline: Deadline, request: Callable[[Any], T]) -> T | Absence:
        try:
            return self._request(deadline, request)
        except BridgeError:
            raise
        except Exception as error:
            if is_absence(error):
                return Absence.GONE
            if is_refusal(error):
                return Absence.UNKNOWN
            raise translate(error, self._settings.uri) from error

    def _request(self, deadline: Deadline, request: Callable[[Any], T]) -> T:
        deadline.check()
        os.environ.update(environment(self._settings))
        if self._client is None:
            self._client = _connect(self._settings)
        return request(self._client)


def _with_versions(model: RegisteredModel, versions: dict[str, ModelVersion]) -> RegisteredModel:
    return RegisteredModel(
        model.name, model.created, model.updated, model.description, model.tags, model.aliases, versions
    )


def _connect(settings: RegistrySettings) -> Any:
    """Return a client. Importing MLflow takes most of a second, so it waits until here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient  # noqa: PLC0415

    for noisy in ("urllib3", "mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    web = settings.uri.startswith(("http://", "https://"))
    return MlflowClient(settings.uri if web else settings.tracking_uri, registry_uri=settings.uri)
