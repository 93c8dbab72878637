"""A server that fails on some rows is read around them; one that fails altogether is not asked much."""

import pytest
from support.failing_rows import FailingServer
from support.json_api import invalid, one

from bridge.config import RegistrySettings
from bridge.diff.absence_verification import Absence, Doubt
from bridge.diff.known_snapshot import PlainModels
from bridge.diff.snapshot import ModelVersion, RegisteredModel
from bridge.errors import RegistryRefused, RegistryUnreachable
from bridge.registry.base import Deadline
from bridge.registry.failing_row_isolation import offset_of, token_of
from bridge.registry.mlflow_reader import MlflowRegistry

pytestmark = pytest.mark.filterwarnings("ignore")

NAMES = [f"m{number:02}" for number in range(40)]


@pytest.fixture
def server():
    server = FailingServer()
    for name in NAMES:
        server.create(name, versions=2)
    yield server
    server.api.stop()


@pytest.fixture
def registry(server, monkeypatch) -> MlflowRegistry:
    monkeypatch.setattr("bridge.registry.mlflow_searches.MODELS_PAGE", 16)
    monkeypatch.setattr("bridge.registry.mlflow_searches.VERSIONS_PAGE", 16)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    return MlflowRegistry(RegistrySettings(tracking_uri=server.api.url, timeout="5s"))


def soon() -> Deadline:
    return Deadline.after(60_000)


def scan(registry):
    return registry.scan(PlainModels(), soon(), with_facts=False)


def whys(registry) -> list[str]:
    return [row.why for row in registry.odd_rows()]


@pytest.mark.parametrize("status", [500, 503])
@pytest.mark.parametrize(
    "odd",
    [
        ["m00"],
        ["m39"],
        ["m15"],
        ["m16"],
        ["m07", "m08"],
        ["m00", "m01", "m02", "m03", "m04"],
        ["m00", "m20", "m39"],
        NAMES[5:38],
    ],
    ids=lambda odd: "-".join(odd[:3]),
)
def test_all_other_models_are_read_wherever_the_odd_ones_are(server, registry, odd, status) -> None:
    server.failing_models, server.status = set(odd), status

    listing = scan(registry)

    assert sorted(listing.models) == sorted(set(NAMES) - set(odd))
    assert (listing.atomic, set(listing.orphans)) == (False, set(odd))
    assert len(registry.odd_rows()) == len(odd)


@pytest.mark.parametrize(
    "odd", [[("m00", 1)], [("m39", 2)], [("m08", 1), ("m08", 2)], [(name, 1) for name in NAMES[3:30]]]
)
def test_all_other_versions_are_read_wherever_the_odd_ones_are(server, registry, odd) -> None:
    server.failing_versions = set(odd)

    listing = scan(registry)

    read = {(name, int(number)) for name in NAMES for number in listing.models[name].versions}
    assert read == {(name, number) for name in NAMES for number in (1, 2)} - set(odd)
    assert listing.pages_versions


def test_a_row_is_told_by_the_one_before_it(server, registry) -> None:
    server.failing_models = {"m00", "m21"}
    scan(registry)
    models = whys(registry)
    server.failing_models, server.failing_versions = set(), {("m21", 2)}
    scan(registry)

    assert models == [
        "the server fails on one row (the first): its log says more",
        "the server fails on one row (after 'm20'): its log says more",
    ]
    assert whys(registry) == ["the server fails on one row (after version 1 of 'm21'): its log says more"]


def test_the_models_changed_last_are_read_around_an_odd_one(server, registry) -> None:
    registry.expect(scan(registry).abilities)
    server.failing_models = {"m38"}

    pages = [[row.name for row in next(pages)] for pages in registry.latest(soon())]

    assert [name for page in pages for name in page][:1] == ["m39"]


def test_a_server_on_which_the_newest_row_fails_can_do_all_the_same(server, registry) -> None:
    server.failing_models, server.failing_versions = {"m39"}, {("m00", 1)}

    found = scan(registry).abilities

    assert (found.has_order, found.lists_models, found.lists_versions) == (True, True, True)


@pytest.mark.parametrize("status", [500, 503])
def test_a_server_that_is_down_is_not_asked_much_more(server, registry, status) -> None:
    scan(registry)
    server.down, server.status = True, status
    server.api.asked.clear()

    with pytest.raises(RegistryUnreachable, match=f"HTTP {status}"):
        scan(registry)

    assert len(server.api.asked) < 10


def test_a_server_that_is_down_from_the_start_can_not_be_told_what_it_can_do(server, registry) -> None:
    server.down = True

    with pytest.raises(RegistryUnreachable, match="HTTP 500"):
        scan(registry)


def test_a_server_that_goes_down_while_versions_are_asked_for_is_down(server, registry, monkeypatch) -> None:
    def fall(_query) -> dict:
        server.down = True
        raise server._failure()

    monkeypatch.setattr(server, "_search_versions", fall)

    with pytest.raises(RegistryUnreachable, match="HTTP 500"):
        scan(registry)


def test_a_server_that_goes_away_while_a_page_is_halved_is_away(server, registry, monkeypatch) -> None:
    experiment = server._get_experiment

    def leave(query) -> dict:
        server.status = 502
        return experiment(query)

    monkeypatch.setattr(server, "_get_experiment", leave)
    server.failing_models = {"m20"}

    with pytest.raises(RegistryUnreachable, match="HTTP 502"):
        scan(registry)


@pytest.mark.parametrize("others", [[], ["m00"]])
def test_models_without_a_name_alone_are_no_models_of_mlflow(server, registry, others) -> None:
    nameless = server.models["m01"]
    nameless.name = ""
    server.models = {"": nameless, **{name: server.models[name] for name in others}}

    if others:
        assert list(scan(registry).models) == others
        assert whys(registry) == ["it has no name"]
    else:
        with pytest.raises(RegistryRefused, match="is not an MLflow server"):
            scan(registry)


def test_where_every_row_fails_it_is_the_server_that_is_at_fault(server, registry) -> None:
    registry.expect(scan(registry).abilities)
    server.failing_models = set(NAMES)
    server.api.asked.clear()

    with pytest.raises(RegistryUnreachable, match="HTTP 500"):
        scan(registry)

    assert len(server.api.asked) < 100


@pytest.mark.parametrize("status", [502, 504, 404, 429])
def test_what_a_proxy_answers_says_nothing_of_a_row(server, registry, status) -> None:
    server.failing_models, server.status = {"m20"}, status

    with pytest.raises(Exception, match=r"HTTP \d+|cannot be reached|does not|no answer|no such") as caught:
        scan(registry)

    assert caught.type.__module__ == "bridge.errors"


def test_tokens_of_another_kind_are_left_alone(server, registry) -> None:
    server.tokens, server.failing_models = "databricks-", {"m20"}

    with pytest.raises(RegistryUnreachable, match="HTTP 500"):
        scan(registry)


def test_what_only_looks_like_an_offset_leaves_the_failure_as_it_is(server, registry, monkeypatch) -> None:
    begin = server._begin
    monkeypatch.setattr(server, "_begin", lambda token: _refuse() if token else begin(token))

    def _refuse():
        raise invalid("no such page")

    server.failing_models = {"m03"}

    with pytest.raises(RegistryUnreachable, match="HTTP 500"):
        scan(registry)


def test_a_registry_of_one_odd_model_is_not_taken_for_one_that_misreads(server, registry) -> None:
    server.models = {"m00": server.models["m00"]}
    server.failing_models = {"m00"}

    assert scan(registry).abilities.lists_models
    assert [list(next(pages)) for pages in registry.latest(soon())] == [[]]


def test_names_that_differ_in_case_are_two_models_where_the_database_has_both(server, registry) -> None:
    server.create("M20")

    listing = scan(registry)
    answers = registry.ask([Doubt("m20"), Doubt("M20")], soon())

    assert {"m20", "M20"} < set(listing.models)
    assert answers["m20"].created != answers["M20"].created
    assert [row.name for row in registry.rows(["M20"], soon())] == ["M20"]


def test_an_answer_about_another_name_is_none_about_this_one(server, registry, monkeypatch) -> None:
    """As MySQL answers: a point read compares without case, a search to the letter."""
    server.create("Only")
    registry.expect(scan(registry).abilities)
    get = server._get_model
    monkeypatch.setattr(server, "_get_model", lambda query: get({"name": [one(query, "name").capitalize()]}))

    answers = registry.ask([Doubt("only"), Doubt("Only")], soon())

    assert answers["only"] is Absence.GONE
    assert answers["Only"].name == "Only"


def test_an_answer_about_nothing_is_no_mlflow_server(server, registry, monkeypatch) -> None:
    monkeypatch.setattr(server, "_get_model", lambda _query: {})

    with pytest.raises(RegistryRefused, match="is not an MLflow server"):
        registry.ask([Doubt("m20")], soon())


def known(name: str) -> RegisteredModel:
    versions = {str(n): ModelVersion(str(n), 100, 100) for n in (1, 2)}
    return RegisteredModel(name, 100, 100, versions=versions)


def test_a_model_on_which_the_server_fails_is_neither_there_nor_gone(server, registry) -> None:
    server.failing_models = {"m20"}

    answers = registry.ask([Doubt("m20", known("m20")), Doubt("m21"), Doubt("nobody")], soon())

    assert (answers["m20"], answers["nobody"]) == (Absence.UNKNOWN, Absence.GONE)
    assert answers["m21"].name == "m21"
    assert [(row.model, row.why) for row in registry.odd_rows()] == [
        ("m20", "the server fails on it: its log says more")
    ]


def test_a_version_on_which_the_server_fails_stays_as_it_was_known(server, registry) -> None:
    held = server.models["m20"]
    was = RegisteredModel(
        "m20", held.created, held.created, versions={"1": ModelVersion("1", 7, 7, stage="Staging")}
    )
    server.failing_versions = {("m20", 1)}

    answer = registry.ask([Doubt("m20", was)], soon())["m20"]

    assert sorted(answer.versions) == ["1", "2"]
    assert answer.versions["1"] == was.versions["1"]
    assert {(row.model, row.version) for row in registry.odd_rows()} == {("m20", "1"), ("m20", "")}


def test_a_model_of_which_every_version_fails_is_left_out_of_a_fast_read(server, registry) -> None:
    server.models["m20"].versions.clear()
    for number in range(1, 21):
        server.add_version("m20")
        server.failing_versions.add(("m20", number))
    rows = [RegisteredModel(name, 100, 100) for name in ("m20", "m21")]

    assert list(registry.with_versions(rows, soon())) == ["m21"]
    assert ("m20", "") in {(row.model, row.version) for row in registry.odd_rows()}


@pytest.mark.parametrize(
    "token", ["5", "abc", "", None, token_of(0), token_of(7), "eyJvZmZzZXQiOiAifQ==", "W10=", "é"]
)
def test_a_token_tells_its_offset_or_none(token) -> None:
    expected = {None: 0, "": 0, token_of(7): 7}.get(token)

    assert offset_of(token) == expected
