"""The registry double against a real server: the same mutations, and the same answers."""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from operator import methodcaller
from typing import Any

import pytest
from support.paging_client import PagingClient
from support.paging_mutations import KINDS, Mutation
from support.paging_registry import PagingRegistry, Refusal

from bridge.registry.entity_conversion import (
    ANY_NAME,
    PROMPTS,
    model_of,
    name_filter,
    names_filter,
    version_of,
)
from bridge.registry.error_translation import is_absence

pytestmark = pytest.mark.filterwarnings("ignore")

BY_TIME = ["last_updated_timestamp DESC"]
BY_NAME = ["name ASC"]
BY_NUMBER = ["name ASC", "version_number ASC"]


class Both:
    """A real registry and its double, which see the same; ``prefix`` keeps other tests' models out."""

    def __init__(self, client, prefix: str) -> None:
        self.prefix = prefix
        self.now = 1_000_000
        self.registry = PagingRegistry(lambda: self.now)
        self.double = PagingClient(self.registry)
        self.client = client
        self.stamps: list[dict] = [{}, {}]

    def mutate(self, method: str, *arguments: Any) -> None:
        time.sleep(0.002)  # the real clock has to move on by a millisecond
        self.now += 1
        told = [_outcome(methodcaller(method, *arguments), one) for one in (self.client, self.registry)]
        assert told[0] == told[1], (method, arguments)

    def answers(self, request: Callable[[Any], Any]) -> None:
        real, double = (_outcome(request, one) for one in (self.client, self.double))
        assert real == double

    @property
    def own(self) -> str:
        return f"name LIKE '{self.prefix}%'"

    def compare(self) -> None:
        for order in (BY_NAME, BY_TIME):
            self.answers(lambda client, order=order: rows(client, filter_string=self.own, order_by=order))
        for order in (None, BY_NUMBER):
            self.answers(lambda client, order=order: versions(client, filter_string=self.own, order_by=order))

    def compare_stamps(self) -> None:
        before = self.stamps
        self.stamps = [stamps(one, self.own) for one in (self.client, self.double)]
        real, double = (_moved(*pair) for pair in zip(before, self.stamps, strict=True))
        assert real == double

    def ask(self, name: str) -> None:
        """Ask as the bridge does where it looks for a model by its name."""
        wanted = (
            name_filter(name),
            f"{name_filter(name)} AND {PROMPTS}",
            f"{name_filter(name)} AND {ANY_NAME}",
        )
        for condition in (*wanted, names_filter([f"{self.prefix}a", f"{self.prefix}b"])):
            self.answers(lambda client, wanted=condition: rows(client, filter_string=wanted))
        for condition in (name_filter(name), f"{name_filter(name)} AND {PROMPTS}"):
            self.answers(lambda client, wanted=condition: versions(client, filter_string=wanted))
        self.answers(lambda client: _row(client.get_registered_model(name)))
        for number in ("1", "2"):
            self.answers(lambda client, number=number: _version(client.get_model_version(name, number)))


def _outcome(request: Callable[[Any], Any], client: Any) -> Any:
    """Return what a request comes to; a mutation answers with more than we look at."""
    from mlflow.exceptions import MlflowException

    try:
        answer = request(client)
    except (MlflowException, Refusal) as error:
        return ("absent", is_absence(error)) if is_absence(error) else ("refused", str(error.error_code))
    return answer if isinstance(answer, list | tuple) else None


def _row(entity: Any) -> tuple:
    return replace(model_of(entity), created=0, updated=0), "is a row"


def _version(entity: Any) -> tuple:
    return entity.name, replace(version_of(entity), created=0, updated=0)


def pages(client: Any, search: str, **arguments: Any) -> Iterator[list]:
    arguments = {"max_results": 2, **arguments}
    token = None
    while token != "":
        page = getattr(client, search)(**arguments, page_token=token)
        yield page
        token = page.token or ""


def rows(client: Any, **arguments: Any) -> list:
    return [list(map(_row, page)) for page in pages(client, "search_registered_models", **arguments)]


def versions(client: Any, **arguments: Any) -> list:
    return [list(map(_version, page)) for page in pages(client, "search_model_versions", **arguments)]


def stamps(client: Any, condition: str) -> dict[tuple[str, str], tuple[int, int]]:
    """Return when each model and each version was made and changed."""
    found = {}
    for search in ("search_registered_models", "search_model_versions"):
        for page in pages(client, search, filter_string=condition, max_results=100):
            for one in page:
                key = (one.name, str(getattr(one, "version", "")))
                found[key] = (one.creation_timestamp, one.last_updated_timestamp)
    return found


def _moved(before: dict, after: dict) -> dict:
    """Return which timestamps moved, and which are those of their model."""
    return {
        key: (
            [old == new for old, new in zip(before.get(key, (0, 0)), after[key], strict=True)],
            after[key][1] == after[key[0], ""][1],
        )
        for key in after
    }


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_mutations_leave_the_same_registry(client, seed) -> None:
    dice = random.Random(seed)  # noqa: S311 - no secret
    both = Both(client, f"double{seed}-")
    for step in range(60):
        method = dice.choice(KINDS if step > 8 else KINDS[:1] * 2 + ("create_model_version",) * 3)
        mutation = Mutation(method, *(dice.randrange(8) for _ in range(3)))
        call = mutation.call(both.registry.models, both.prefix)
        if call is not None:
            both.mutate(*call)
            both.compare_stamps()
        if step % 5 == 4:
            both.compare()
        if step % 20 == 19:
            for name in [*both.registry.models, f"{both.prefix}gone"]:
                both.ask(name)


@pytest.mark.parametrize(
    ("order", "mutation"),
    [
        (BY_NAME, ("delete_registered_model", "a")),
        (BY_NAME, ("rename_registered_model", "d", "a2")),
        (BY_TIME, ("update_registered_model", "a", "newest")),
        (BY_TIME, ("delete_registered_model", "e")),
    ],
)
def test_what_happens_between_two_pages_skips_and_repeats_the_same_rows(
    client, request, order, mutation
) -> None:
    both = Both(client, f"{request.node.name}-".replace("'", ""))
    for name in "abcde":
        both.mutate("create_registered_model", both.prefix + name)
    own = {"filter_string": both.own, "order_by": order}
    walks = [pages(one, "search_registered_models", **own) for one in (client, both.double)]
    first = [list(map(_row, next(walk))) for walk in walks]
    method, *names = mutation
    both.mutate(method, *(both.prefix + name for name in names))
    rest = [[list(map(_row, page)) for page in walk] for walk in walks]

    assert first[0] == first[1]
    assert rest[0] == rest[1]
