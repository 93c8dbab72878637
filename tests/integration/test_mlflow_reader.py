"""Reading a real MLflow server."""

from contextlib import suppress

import pytest
from mlflow.exceptions import MlflowException
from support.receiver import Answer, RawReceiver, WebServer, free_port

from bridge.config import RegistrySettings
from bridge.diff.absence_verification import Absence, Doubt
from bridge.diff.known_snapshot import PlainModels
from bridge.diff.registry_abilities import Abilities
from bridge.diff.snapshot_comparison import compare
from bridge.errors import RegistryRefused, RegistryUnreachable
from bridge.registry.base import Deadline
from bridge.registry.mlflow_reader import MlflowRegistry
from bridge.registry.mlflow_searches import Searches

pytestmark = pytest.mark.filterwarnings("ignore")


def reader(url: str, **settings) -> MlflowRegistry:
    return MlflowRegistry(RegistrySettings(tracking_uri=url, **{"timeout": "5s", **settings}))


def soon(seconds: float = 30) -> Deadline:
    return Deadline.after(int(seconds * 1000))


def scanned(server, name: str):
    return reader(server.url).scan(PlainModels(), soon(), with_facts=True).models.get(name)


NAMES = [
    "plain",
    "it's",
    'say "hi"',
    "both ' and \"",
    "back\\slash",
    "100% _x_",
    "emoji \N{ROCKET}",
    "a;b--c",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_read_in_full_whatever_its_name(server, client, name) -> None:
    client.create_registered_model(name, tags={"team": "risk"}, description="about")
    client.create_model_version(name, "s3://bucket/model", tags={"k": "v"}, description="first")
    client.transition_model_version_stage(name, "1", "Staging")
    client.set_registered_model_alias(name, "champion", "1")

    listed = scanned(server, name)
    asked = reader(server.url).ask([Doubt(name)], soon())[name]

    assert listed == asked
    version = listed.versions["1"]
    assert (listed.description, listed.tags, listed.aliases) == (
        "about",
        (("team", "risk"),),
        (("champion", "1"),),
    )
    assert (version.stage, version.status, version.description, version.tags, version.user_id) == (
        "Staging",
        "READY",
        "first",
        (("k", "v"),),
        "",
    )
    assert version.source == "s3://bucket/model"
    assert version.updated >= version.created >= listed.created


def test_a_scan_goes_through_all_pages(server, client, monkeypatch) -> None:
    monkeypatch.setattr("bridge.registry.mlflow_searches.MODELS_PAGE", 2)
    monkeypatch.setattr("bridge.registry.mlflow_searches.VERSIONS_PAGE", 3)
    for number in range(5):
        client.create_registered_model(f"page-{number}")
        client.create_model_version(f"page-{number}", "s3://b/x")
        client.create_model_version(f"page-{number}", "s3://b/y")

    listing = reader(server.url).scan(PlainModels(), soon(), with_facts=True)

    assert not listing.atomic
    assert listing.orphans == frozenset()
    assert all(len(listing.models[f"page-{number}"].versions) == 2 for number in range(5))


def latest(registry: MlflowRegistry) -> list[list[str]]:
    return [[row.name for row in page] for pages in registry.latest(soon()) for page in pages]


def test_the_models_changed_last_come_first_a_few_and_then_all(server, client) -> None:
    for number in range(12):
        client.create_registered_model(f"recent-{number}")
    client.create_model_version("recent-2", "s3://b/x")

    first, second, third, *_ = latest(reader(server.url))

    assert second == ["recent-2", *(f"recent-{number}" for number in (11, 10, 9, 8, 7, 6, 5, 4, 3))]
    assert (first, third[:12]) == (second[:3], [*second, "recent-1", "recent-0"])


def test_where_a_small_page_was_not_enough_lately_a_larger_one_comes_first(server, client) -> None:
    for number in range(12):
        client.create_registered_model(f"busy-{number}")
    registry = reader(server.url)

    def first_page() -> int:
        return len(next(next(registry.latest(soon()))))

    assert [first_page() for _ in range(12)] == [3] * 12
    assert [len(page) for page in latest(registry)][:2] == [3, 10]
    assert [first_page() for _ in range(12)] == [10] * 10 + [3] * 2


def test_rows_are_read_by_name_whatever_the_names(server, client) -> None:
    names = ["row plain", "row's", 'row "quoted"', "row ' and \""]
    for name in names:
        client.create_registered_model(name, tags={"k": "v"})
        client.create_model_version(name, "s3://b/x")
        client.set_registered_model_alias(name, "champion", "1")
    registry = reader(server.url)

    rows = registry.rows([*names, "row of nobody"], soon())

    assert sorted(row.name for row in rows) == sorted(names)
    assert {(row.tags, row.aliases, len(row.versions)) for row in rows} == {
        ((("k", "v"),), (("champion", "1"),), 0)
    }
    complete = registry.with_versions(rows, soon())
    assert {name: scanned(server, name) for name in names} == complete


def test_what_a_server_can_do_is_found_out_by_asking(server) -> None:
    import mlflow

    found = reader(server.url).scan(PlainModels(), soon(), with_facts=False).abilities

    assert found == Abilities(f"MLflow {mlflow.__version__}")


def test_what_a_point_read_says(server, client) -> None:
    client.create_registered_model("lossy")
    for _ in range(2):
        client.create_model_version("lossy", "s3://b/x")
    before = scanned(server, "lossy")
    client.delete_model_version("lossy", "1")

    answers = reader(server.url).ask([Doubt("lossy", before), Doubt("never")], soon())

    assert answers["never"] is Absence.GONE
    assert list(answers["lossy"].versions) == ["2"]


@pytest.mark.parametrize("is_given_away", [False, True])
def test_a_model_renamed_while_it_is_asked_for_has_lost_no_versions(
    server, client, model, is_given_away, monkeypatch
) -> None:
    known = scanned(server, model)
    read = Searches.versions_of

    def late(searches, name, *rest):
        with suppress(MlflowException):  # it is renamed once
            client.rename_registered_model(model, f"{model} renamed")
            if is_given_away:
                client.create_registered_model(model)
                client.create_model_version(model, "s3://b/another")
        return read(searches, name, *rest)

    monkeypatch.setattr(Searches, "versions_of", late)
    answer = reader(server.url).ask([Doubt(model, known)], soon())[model]

    if is_given_away:
        assert answer.created > known.created
        assert answer.versions["1"].created > known.versions["1"].created
    else:
        assert answer is Absence.GONE


def test_a_version_deleted_while_its_model_is_asked_for_takes_its_alias_along(
    server, client, model, monkeypatch
) -> None:
    client.set_registered_model_alias(model, "champion", "1")
    read = Searches.versions_of

    def late(searches, name, *rest):
        with suppress(MlflowException):
            client.delete_model_version(model, "1")
        return read(searches, name, *rest)

    monkeypatch.setattr(Searches, "versions_of", late)
    answer = reader(server.url).ask([Doubt(model)], soon())[model]

    assert (answer.versions, answer.aliases) == ({}, ())


def test_each_mutation_is_one_observed_change(server, client) -> None:
    name = "mutable"
    client.create_registered_model(name)
    client.create_model_version(name, "s3://b/x")
    mutations = {
        "TRANSITIONED": lambda: client.transition_model_version_stage(name, "1", "Production"),
        "VERSION_TAG_SET": lambda: client.set_model_version_tag(name, "1", "k", "v"),
        "VERSION_TAG_DELETED": lambda: client.delete_model_version_tag(name, "1", "k"),
        "MODEL_TAG_SET": lambda: client.set_registered_model_tag(name, "k", "v"),
        "MODEL_TAG_DELETED": lambda: client.delete_registered_model_tag(name, "k"),
        "ALIAS_SET": lambda: client.set_registered_model_alias(name, "champion", "1"),
        "ALIAS_DELETED": lambda: client.delete_registered_model_alias(name, "champion"),
        "VERSION_UPDATED": lambda: client.update_model_version(name, "1", "text"),
        "MODEL_UPDATED": lambda: client.update_registered_model(name, "text"),
        "VERSION_CREATED": lambda: client.create_model_version(name, "s3://b/y"),
        "VERSION_DELETED": lambda: client.delete_model_version(name, "2"),
    }
    for expected, mutate in mutations.items():
        before = {name: scanned(server, name)}
        mutate()
        found = compare(before, {name: scanned(server, name)})
        assert [change.kind.name for one in found for change in one.changes] == [expected]


def test_a_rename_and_a_deletion_are_observed(server, client) -> None:
    client.create_registered_model("before")
    client.create_model_version("before", "s3://b/x")
    before = scanned(server, "before")
    client.rename_registered_model("before", "after")

    (renamed,) = compare({"before": before}, {"after": scanned(server, "after")})
    client.delete_registered_model("after")

    assert [change.kind.name for change in renamed.changes] == ["MODEL_RENAMED"]
    assert scanned(server, "after") is None


def test_prompts_are_left_out_unless_asked_for(server, client) -> None:
    client.create_prompt("greeting")
    client.create_prompt_version("greeting", "hi")

    without = reader(server.url).scan(PlainModels(), soon(), with_facts=True)
    included = reader(server.url, include_prompts=True).scan(PlainModels(), soon(), with_facts=True)

    assert "greeting" not in without.models
    assert "greeting" not in without.orphans
    assert list(included.models["greeting"].versions) == ["1"]


def test_a_live_prompt_is_never_called_gone(server, client) -> None:
    client.create_prompt("lasting")
    for _ in range(2):
        client.create_prompt_version("lasting", "hi")
    included = reader(server.url, include_prompts=True)
    known = included.scan(PlainModels(), soon(), with_facts=True).models["lasting"]
    client.delete_prompt_version("lasting", "1")

    doubt = Doubt("lasting", known)
    assert list(included.ask([doubt], soon())["lasting"].versions) == ["2"]
    assert reader(server.url).ask([doubt], soon()) == {"lasting": Absence.UNKNOWN}


@pytest.mark.parametrize("code", ["404", "403", "401", "500"])
def test_a_name_that_reads_like_an_error_is_a_name(server, code) -> None:
    name = f"failed with error code {code} != 200."

    assert reader(server.url).ask([Doubt(name)], soon()) == {name: Absence.GONE}


def test_near_the_deadline_questions_wait_for_the_next_poll(server, client) -> None:
    client.create_registered_model("patient")
    names = [f"patient-{number}" for number in range(2_000)]

    answers = reader(server.url).ask([Doubt("patient"), *map(Doubt, names)], soon(3))

    assert answers["patient"].name == "patient"
    assert (answers[names[0]], answers[names[-1]]) == (Absence.GONE, Absence.UNKNOWN)


def test_the_fingerprint_is_that_of_the_database(server) -> None:
    first = reader(server.url).fingerprint(soon())

    assert first == reader(server.url).fingerprint(soon())
    assert first.isdigit()


def test_a_registry_that_is_down_is_unreachable_within_seconds() -> None:
    with pytest.raises(RegistryUnreachable, match="connection refused: is the server running"):
        reader(f"http://127.0.0.1:{free_port()}").scan(PlainModels(), soon(), with_facts=True)


def test_a_host_that_does_not_exist_is_said_to_be_that() -> None:
    with pytest.raises(RegistryUnreachable, match="cannot be reached"):
        reader("http://no-such-host.invalid").scan(PlainModels(), soon(), with_facts=True)


@pytest.mark.parametrize(
    ("answer", "expected", "message"),
    [
        (
            Answer(200, {"Content-Type": "text/html"}, b"<html>hello</html>"),
            RegistryRefused,
            "not an MLflow server",
        ),
        (Answer(404, {}, b"<html>nothing here</html>"), RegistryRefused, "not an MLflow server"),
        (Answer(401, {}, b"You are not authenticated."), RegistryRefused, "refuses the credentials"),
        (Answer(403, {}, b"Permission denied"), RegistryRefused, "READ permission"),
        (Answer(403, {}, b'{"error_code": "PERMISSION_DENIED"}'), RegistryRefused, "READ permission"),
        (Answer(503, {}, b"busy"), RegistryUnreachable, "answers with errors"),
        (Answer(429, {}, b"slow down"), RegistryUnreachable, "is busy"),
        (Answer(200, {}, b'{"registered_models": [{}]}'), RegistryRefused, "answers are empty"),
        (Answer(200, {}, b"[1, 2]"), RegistryRefused, "not an MLflow server"),
        (Answer(200, {}, b'{"registered_models": 7}'), RegistryUnreachable, "can read"),
        (Answer(500, {}, b'{"error_code": "INTERNAL_ERROR"}'), RegistryUnreachable, ""),
    ],
    ids=lambda value: value.body[:12].decode() if isinstance(value, Answer) else None,
)
def test_a_bad_answer_is_one_clear_sentence(answer, expected, message) -> None:
    server = WebServer(answer)
    try:
        with pytest.raises(expected, match=message) as caught:
            reader(server.url).scan(PlainModels(), soon(), with_facts=True)
    finally:
        server.stop()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "answer", [Answer(404, {}, b"<html>"), Answer(500, {}, b"oops"), Answer(401, {}, b"no")]
)
def test_a_point_read_that_fails_is_never_an_absence(answer) -> None:
    server = WebServer(answer)
    try:
        with pytest.raises((RegistryRefused, RegistryUnreachable)):
            reader(server.url).ask([Doubt("m")], soon())
    finally:
        server.stop()


def test_an_answer_that_says_nothing_is_no_model() -> None:
    server = WebServer(Answer(200, {}, b"{}"))
    try:
        with pytest.raises(RegistryRefused, match="answers are empty"):
            reader(server.url).ask([Doubt("m")], soon())
    finally:
        server.stop()


def test_a_refused_point_read_is_unknown() -> None:
    server = WebServer(Answer(403, {}, b'{"error_code": "PERMISSION_DENIED", "message": "no"}'))
    try:
        assert reader(server.url).ask([Doubt("m")], soon()) == {"m": Absence.UNKNOWN}
    finally:
        server.stop()


def test_a_black_hole_ends_with_the_timeout() -> None:
    hole = RawReceiver(b"", hang=30)
    with pytest.raises(RegistryUnreachable, match=r"no answer within registry\.timeout"):
        reader(hole.url, timeout="1s").scan(PlainModels(), soon(), with_facts=True)
    hole.stop()


def test_a_server_that_pages_endlessly_is_refused() -> None:
    page = b'{"registered_models": [{"name": "a", "creation_timestamp": 1}], "next_page_token": "again"}'
    server = WebServer(Answer(200, {}, page))
    try:
        with pytest.raises(RegistryRefused, match="pages endlessly"):
            reader(server.url).scan(PlainModels(), soon(), with_facts=True)
    finally:
        server.stop()


def test_a_deadline_ends_a_scan_between_its_pages() -> None:
    page = b'{"registered_models": [], "next_page_token": "%d"}'
    count = iter(range(10_000))
    server = WebServer(lambda _got: Answer(200, {}, page % next(count), delay=0.05))
    try:
        with pytest.raises(RegistryUnreachable, match="in time"):
            reader(server.url).scan(PlainModels(), soon(0.5), with_facts=True)
    finally:
        server.stop()
