"""A registry whose server takes the client's question for models for another one."""

import pytest
from support.json_api import one
from support.misreading import MisreadingServer

from bridge.config import RegistrySettings
from bridge.diff.known_snapshot import PlainModels
from bridge.diff.registry_abilities import Abilities
from bridge.registry.base import Deadline
from bridge.registry.mlflow_reader import MlflowRegistry

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def old():
    old = MisreadingServer()
    yield old
    old.api.stop()


@pytest.fixture
def registry(old) -> MlflowRegistry:
    return MlflowRegistry(RegistrySettings(tracking_uri=old.api.url, timeout="5s"))


def soon() -> Deadline:
    return Deadline.after(30_000)


def scan(registry):
    return registry.scan(PlainModels(), soon(), with_facts=False)


def latest(registry) -> list[str]:
    return [row.name for pages in registry.latest(soon()) for row in next(pages)]


def point_reads(old) -> list[str]:
    return [path for path in old.api.asked if "/get?" in path and "experiments" not in path]


def test_it_is_asked_in_another_way(old, registry) -> None:
    old.create("churn", versions=2)

    found = scan(registry)

    assert (list(found.models), found.orphans, found.counted) == (["churn"], frozenset(), (1, 2))
    assert not found.abilities.lists_models
    assert latest(registry) == ["churn"]


def test_an_empty_registry_can_not_tell_and_is_doubted_at_the_next_scan(old, registry) -> None:
    assert scan(registry).abilities.lists_models
    for name in ("churn", "without versions"):
        old.create(name, versions=name == "churn")

    found = scan(registry)

    assert (sorted(found.models), found.orphans) == (["churn", "without versions"], frozenset())
    assert not found.abilities.lists_models
    assert point_reads(old) == []


def test_an_empty_registry_is_doubted_by_fast_reads_too(old, registry) -> None:
    registry.expect(Abilities("MLflow 2.9.2"))
    assert latest(registry) == []
    old.create("churn")

    assert latest(registry) == ["churn"]


def test_a_server_that_hides_its_version_is_found_out_by_a_list_without_a_model(old, registry) -> None:
    old.version, old.misreads = "<html>", False
    old.create("churn")
    assert scan(registry).abilities.lists_models
    old.misreads = True

    found = scan(registry)

    assert (list(found.models), found.orphans) == (["churn"], frozenset())


def test_another_version_under_the_same_url_is_probed_again(old, registry) -> None:
    old.create("churn")
    assert scan(registry).abilities.server == "MLflow 2.9.2"
    old.version, old.misreads = "2.22.5", False
    asked = len(old.api.asked)

    found = scan(registry)

    assert (found.abilities.server, found.abilities.lists_models) == ("MLflow 2.22.5", True)
    old.api.asked, again = [], len(old.api.asked) - asked
    scan(registry)
    assert len(old.api.asked) < again


def test_a_registry_without_models_is_asked_no_more_than_a_question_or_two(old, registry) -> None:
    old.misreads = False
    scan(registry)
    old.api.asked.clear()

    scan(registry)

    assert len(old.api.asked) == 4  # its version, models, whether it misreads, versions


def test_prompts_alone_are_no_models_that_are_kept_back(old, registry, monkeypatch) -> None:
    """A server over a file store leaves prompts out by the tag that the bridge names in passing."""
    old.create("greeting")
    search = old._search_models
    monkeypatch.setattr(old, "_search_models", lambda query: search(plainly(query)))
    old.misreads = False

    def plainly(query):
        text = one(query, "filter")
        is_asked_for = "= 'true'" in text and "!=" not in text
        return {**query, "filter": ["" if is_asked_for or "::" in text else "name = 'nobody'"]}

    assert scan(registry).abilities.lists_models
