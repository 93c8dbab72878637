"""What a model was like at an instant, from the present snapshot and the events."""

from dataclasses import replace
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from support.clock import HandClock
from support.paging_mutations import KINDS, Mutation
from support.paging_registry import PagingRegistry
from support.values import STATE_ID, model, transition

from bridge.diff.registry_changes import ChangeKind as K
from bridge.diff.snapshot import ModelVersion, RegisteredModel
from bridge.diff.snapshot_comparison import compare
from bridge.events.event import Event
from bridge.events.event_synthesis import Identities, Identity, synthesize
from bridge.events.stages_at_time import Late, ModelAtTime, Recorded, VersionAtTime, models_at

MUTATIONS = st.builds(
    Mutation, st.sampled_from(KINDS), st.integers(0, 6), st.integers(0, 2), st.integers(0, 7)
)


class Watched:
    """A registry whose every observation is kept: the instant, and what was there."""

    def __init__(self, models: int) -> None:
        self.clock = HandClock()
        self.registry = PagingRegistry(self.clock.now_ms)
        for number in range(models):
            self.mutate(Mutation("create_registered_model", number))
            self.mutate(Mutation("create_model_version", number))
        self.known: dict[str, RegisteredModel] = self.registry.models
        self.identities = {name: Identity(name, 0) for name in self.known}
        self.floor, self.past_lanes = 0, {}
        self.events: list[Event] = []
        self.told: set[tuple[K, int, int | None]] = set()  # by the creation of model and version
        self.moments: list[tuple[int, dict[str, RegisteredModel]]] = []
        self._note()

    def mutate(self, mutation: Mutation) -> None:
        self.clock.sleep(1)
        call = mutation.call(self.registry.models)
        if call is not None:
            method, *arguments = call
            getattr(self.registry, method)(*arguments)

    def observe(self) -> None:
        now = self.registry.models
        differences = compare(self.known, now)
        known = Identities(self.identities, self.floor, self.past_lanes)
        found = synthesize(differences, known, UUID(STATE_ID), self.clock.now_ms())
        gone = {one.before.name for one in differences if one.before}
        kept = {name: identity for name, identity in self.identities.items() if name not in gone}
        self.identities = {**kept, **found.identities}
        self.floor, self.past_lanes = found.floor, dict(found.past_lanes)
        self.events += found.events
        self.told |= {
            (change.kind, change.model_created, change.version_created)
            for one in differences
            for change in one.changes
        }
        self.known = now
        self._note()

    def _note(self) -> None:
        self.moments.append((self.clock.now_ms(), self.registry.models))

    def at(self, instant: int, selects=lambda _: True) -> list[ModelAtTime]:
        since = self.moments[0][0]
        return models_at(Recorded(self.known, self.identities, self.events, since), instant, selects)

    def check(self, instant: int, truth: dict[str, RegisteredModel]) -> None:
        found = self.at(instant)
        assert [one.name for one in found] == sorted(truth)
        for one in found:
            self._check_versions(one, truth[one.name])

    def _check_versions(self, one: ModelAtTime, truth: RegisteredModel) -> None:
        then = {version.version: version for version in one.versions}
        living = {model.created: name for name, model in self.known.items()}
        is_told = (K.MODEL_CREATED, truth.created, None) in self.told
        assert (one.now, one.is_complete) == (
            living.get(truth.created),
            is_told or truth.created in living,
        )
        assert (
            then.keys() == truth.versions.keys() if one.is_complete else then.keys() <= truth.versions.keys()
        )
        present = self.known[one.now].versions if one.now else {}
        for number, version in then.items():
            known = truth.versions[number]
            facts = {(kind, truth.created, known.created) for kind in (K.VERSION_CREATED, K.TRANSITIONED)}
            is_known = number in present or bool(facts & self.told)
            assert version.stage == (known.stage if is_known else None)
            aliases = {alias for alias, held in truth.aliases if held == number}
            assert set(version.aliases) == aliases if one.is_complete else set(version.aliases) <= aliases


@given(st.integers(0, 3), st.lists(MUTATIONS, max_size=25), st.integers(0, 999))
def test_where_each_change_is_seen_at_once_the_answer_is_what_was_there(models, mutations, later) -> None:
    watched = Watched(models)
    for mutation in mutations:
        watched.mutate(mutation)
        watched.observe()

    for instant, truth in watched.moments:
        watched.check(instant + later, truth)


@given(st.integers(0, 3), st.lists(st.lists(MUTATIONS, max_size=6), max_size=8))
def test_where_changes_are_seen_together_the_answer_is_what_was_there_at_each_observation(
    models, polls
) -> None:
    watched = Watched(models)
    for mutations in polls:
        for mutation in mutations:
            watched.mutate(mutation)
        watched.clock.sleep(1)
        watched.observe()

    for instant, truth in watched.moments:
        watched.check(instant, truth)


BORN, NOW = 1_000, 100_000


def event(kind: K, at: int, version: str | None = "1", name: str = "m", seen: int = 0, **changed) -> Event:
    return transition(
        model=name,
        type=kind,
        timestamp=at,
        observed_at=seen or at,
        lane="m",
        model_version=version,
        changed=changed,
    )


def moved(at: int, before: str, after: str, version: str = "1", **fields) -> Event:
    return event(K.TRANSITIONED, at, version, from_stage=before, to_stage=after, **fields)


def ask(at: int, *events: Event, now: RegisteredModel | None = None, name: str = "m", **fields):
    models = {now.name: now} if now else {}
    identities = {now.name: Identity("m", 0)} if now else {}
    return models_at(Recorded(models, identities, events, BORN, **fields), at, lambda one: one == name)


def stages(*arguments, **options) -> dict[str, str | None]:
    (one,) = ask(*arguments, **options)
    return {version.version: version.stage for version in one.versions}


def test_a_change_counts_from_its_own_instant_on() -> None:
    change, now = moved(5_000, "Staging", "Production"), model("m", "Production")

    assert stages(4_999, change, now=now) == {"1": "Staging"}
    assert stages(5_000, change, now=now) == {"1": "Production"}
    (one,) = ask(5_000, change, now=now)
    assert [version.since for version in one.versions] == [5_000]


def test_the_registrys_time_counts_unless_it_is_later_than_the_observation() -> None:
    late = moved(5_000, "Staging", "Production", seen=9_000)
    ahead = moved(9_000, "Staging", "Production", seen=5_000)

    for change in (late, ahead):
        assert stages(6_000, change, now=model("m", "Production")) == {"1": "Production"}


def test_a_renamed_model_answers_to_the_name_it_had_then_and_to_its_present_one() -> None:
    rename = event(K.MODEL_RENAMED, 5_000, None, "n", previous_name="m")

    for name in ("m", "n"):
        (before,) = ask(4_000, rename, now=model("n"), name=name)
        assert (before.name, before.now) == ("m", "n")
    assert ask(6_000, rename, now=model("n"), name="m") == []
    assert [one.name for one in ask(6_000, rename, now=model("n"), name="n")] == ["n"]


def test_of_a_deleted_model_only_what_events_told_is_known() -> None:
    history = [
        moved(3_000, "Staging", "Production"),
        event(K.VERSION_TAG_SET, 3_500, "2", key="k", value="v", previous_value=None),
        event(K.ALIAS_SET, 3_600, "2", alias="champion", previous_version="1"),
        event(K.MODEL_DELETED, 5_000, None),
    ]

    (one,) = ask(4_000, *history)

    assert one == ModelAtTime(
        "m",
        None,
        (VersionAtTime("1", "Production", (), 3_000), VersionAtTime("2", None, ("champion",), None)),
        is_complete=False,
    )
    assert stages(2_000, *history) == {"1": "Staging", "2": None}
    (before,) = ask(2_000, *history)
    assert {version.version: version.aliases for version in before.versions} == {"1": ("champion",), "2": ()}
    assert ask(5_000, *history) == []


def test_a_version_deleted_since_is_there_with_its_last_stage_or_none_that_is_known() -> None:
    gone = [event(K.VERSION_DELETED, 5_000, number) for number in ("1", "2", "3")]
    history = [moved(2_000, "None", "Archived"), event(K.VERSION_CREATED, 2_500, "3"), *gone]

    assert stages(4_000, *history, now=model(versions=0)) == {"1": "Archived", "2": None, "3": "None"}
    assert stages(2_400, *history, now=model(versions=0)) == {"1": "Archived", "2": None}
    assert stages(5_000, *history, now=model(versions=0)) == {}


def test_a_number_given_again_between_two_looks_stands_for_one_version_at_a_time() -> None:
    history = [
        moved(2_000, "Staging", "Production"),
        event(K.VERSION_CREATED, 5_000, seen=7_000),
        moved(6_000, "None", "Archived", seen=7_000),
        event(K.VERSION_DELETED, 7_000),
    ]

    found = [stages(at, *history, now=model("m", "Archived")) for at in (4_000, 5_500, 7_000, NOW)]

    assert [{"1": stage} for stage in ("Production", "None", "Archived", "Archived")] == found


def test_a_name_given_again_between_two_looks_stands_for_one_model_at_a_time() -> None:
    history = [
        event(K.MODEL_DELETED, 7_000, None),
        event(K.MODEL_CREATED, 5_000, None, seen=7_000, description=""),
        event(K.VERSION_CREATED, 5_000, seen=7_000),
    ]

    for at, now in ((4_999, None), (5_000, "m"), (7_000, "m")):
        assert [one.now for one in ask(at, *history, now=model())] == [now]


def test_a_name_that_another_model_took_between_two_looks_was_free_by_then() -> None:
    left = event(K.MODEL_RENAMED, 7_000, None, "n", previous_name="m")
    took = replace(event(K.MODEL_RENAMED, 5_000, None, "m", seen=7_000, previous_name="x"), lane="x")
    models = {"m": model("m"), "n": model("n")}
    identities = {"m": Identity("x", 1), "n": Identity("m", 1)}

    for at, names in ((4_999, ["m", "x"]), (5_000, ["m", "n"])):
        found = models_at(Recorded(models, identities, [left, took], BORN), at, lambda _: True)
        assert [one.name for one in found] == names


def test_a_model_that_came_into_view_late_is_not_known_before() -> None:
    late = [Late(5_000, "m")]

    (before,) = ask(4_999, now=model(), late=late)
    (after,) = ask(5_000, now=model(), late=late)

    assert (before.hidden_until, before.versions) == (5_000, ())
    assert (after.hidden_until, len(after.versions)) == (None, 1)


def test_the_stage_of_a_version_that_was_overlooked_is_not_known_before() -> None:
    late, now = [Late(5_000, "m", "1")], model("m", "Production")
    change = moved(6_000, "Staging", "Production")

    assert [stages(at, now=now, late=late) for at in (4_999, 5_000)] == [{"1": None}, {"1": "Production"}]
    found = [stages(at, change, now=now, late=late) for at in (4_999, 5_000, 6_000)]
    assert [{"1": stage} for stage in (None, "Staging", "Production")] == found


def test_what_was_observed_before_everything_known_is_left_aside() -> None:
    assert stages(2_000, moved(BORN - 1, "None", "Staging"), now=model()) == {"1": "None"}
    (one,) = ask(2_000, moved(BORN - 1, "None", "Staging"), now=model())
    assert one.versions[0].since is None


def test_production_comes_first_and_no_stage_last() -> None:
    kinds = ("None", "Archived", "Staging", "Production", "Production")
    versions = {str(n): ModelVersion(str(n), 1, 1, stage=stage) for n, stage in enumerate(kinds, start=9)}

    (one,) = ask(NOW, now=replace(model(), versions=versions))

    assert [version.version for version in one.versions] == ["13", "12", "11", "10", "9"]
