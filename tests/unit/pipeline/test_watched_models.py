"""Which models are looked at by name."""

from bridge.delivery.event_routing import Route
from bridge.pipeline.watched_models import MOST_ROWS, MOST_UNNAMED, MOST_VERSIONS, Watch, watch_of

ALIASES, TAGS = ("MODEL_VERSION_ALIAS_SET",), ("MODEL_VERSION_TAG_SET",)


def test_only_events_that_no_timestamp_shows_need_a_watch() -> None:
    assert watch_of([Route("ci", ("MODEL_VERSION_TRANSITIONED_STAGE",), ("m",))], ["m"]) == Watch()


def test_named_models_are_watched_whether_known_or_not_and_globs_among_the_known() -> None:
    routes = [Route("ci", ALIASES, ("new", "fraud-*"))]

    assert watch_of(routes, ["fraud-a", "other"]).rows == {"new", "fraud-a"}


def test_what_a_sink_leaves_out_is_not_watched_for_it() -> None:
    routes = [Route("ci", ALIASES, ("!legacy-*", "a", "legacy-b", "f*")), Route("x", TAGS, ("!*-x",))]

    watch = watch_of(routes, ["fraud", "legacy-b", "f-x"])

    assert (watch.rows, watch.versions) == ({"a", "fraud", "f-x", "legacy-b"}, {"fraud", "legacy-b"})
    assert watch_of(routes[:1], ["fraud", "legacy-b", "b"]).rows == {"a", "fraud"}


def test_a_sink_that_only_leaves_models_out_names_none() -> None:
    names = [f"m{number}" for number in range(MOST_UNNAMED + 1)]

    assert watch_of([Route("ci", ALIASES, ("!m1",))], names) == Watch(is_cut=True)
    assert watch_of([Route("ci", ALIASES, ("!m1",))], names[:3]).rows == {"m0", "m2"}


def test_a_sink_that_names_no_models_watches_all_of_a_few_and_none_of_many() -> None:
    names = [f"m{number}" for number in range(MOST_UNNAMED + 1)]

    assert watch_of([Route("ci", ALIASES)], names[:-1]) == Watch(rows=frozenset(names[:-1]))
    assert watch_of([Route("ci", ALIASES), Route("x", ALIASES, ("a",))], names) == Watch(
        rows=frozenset({"a"}), is_cut=True
    )


def test_tags_of_versions_need_the_versions() -> None:
    watch = watch_of([Route("ci", ALIASES, ("a",)), Route("ci", TAGS, ("b",))], ["a", "b"])

    assert (watch.rows, watch.versions) == ({"a", "b"}, {"b"})


def test_mlflow_s_own_names_are_watched_as_well() -> None:
    assert watch_of([Route("ci", ("model_version_alias.created",), ("a",))], []).rows == {"a"}


def test_what_is_too_much_to_watch_is_said() -> None:
    names = [f"m{number}" for number in range(MOST_ROWS + 1)]

    assert watch_of([Route("ci", ALIASES, ("m*",))], names) == Watch(is_cut=True)
    few = watch_of([Route("ci", TAGS, ("m*",))], names[: MOST_VERSIONS + 1])
    assert (len(few.rows), few.versions, few.is_cut) == (MOST_VERSIONS + 1, frozenset(), True)


def test_a_name_with_brackets_that_is_written_as_it_is_is_watched() -> None:
    names = ["[PROD] churn", "P churn"]

    assert watch_of([Route("ci", ALIASES, ("[PROD] churn",))], names).rows == frozenset(names)
    assert watch_of([Route("ci", ALIASES, ("*", "![PROD] churn"))], names).rows == frozenset()
