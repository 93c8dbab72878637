"""Identities of events."""

from dataclasses import replace
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st
from support.strategies import snapshots

from bridge.diff.snapshot import ModelVersion, RegisteredModel
from bridge.diff.snapshot_comparison import compare
from bridge.events.event_synthesis import Identities, synthesize

STATE = UUID(int=1)
VERSION = ModelVersion("1", created=110, updated=110)
MODEL = RegisteredModel("m", created=100, updated=110, versions={"1": VERSION})


class History:
    """A registry that is observed again and again."""

    def __init__(self, state_id: UUID = STATE) -> None:
        self.state_id = state_id
        self.snapshot = {}
        self.known = Identities()

    def observe(self, after, *, commit: bool = True):
        found = synthesize(compare(self.snapshot, after), self.known, self.state_id, 1_000)
        if commit:
            kept = {name: one for name, one in self.known.by_name.items() if name in after}
            self.known = Identities({**kept, **found.identities}, found.floor, found.past_lanes)
            self.snapshot = after
        return found.events


def at(stage: str, updated: int = 200) -> dict[str, RegisteredModel]:
    return {"m": replace(MODEL, versions={"1": replace(VERSION, stage=stage, updated=updated)})}


@given(st.lists(snapshots(), max_size=6))
def test_no_two_events_of_a_history_share_an_id(observations) -> None:
    history = History()
    ids = [event.id for after in observations for event in history.observe(after)]

    assert len(set(ids)) == len(ids)


@given(st.lists(snapshots(), max_size=4))
def test_a_poll_repeated_before_its_commit_gives_the_same_ids(observations) -> None:
    history = History()
    for after in observations:
        first = [event.id for event in history.observe(after, commit=False)]
        assert first == [event.id for event in history.observe(after)]


@given(snapshots())
def test_a_rebuilt_state_never_reuses_an_id(after) -> None:
    first = {event.id for event in History(uuid4()).observe(after)}

    assert first.isdisjoint(event.id for event in History(uuid4()).observe(after))


def test_going_back_and_forth_gives_distinct_ids() -> None:
    history = History()
    history.observe(at("None"))

    ids = [history.observe(at(stage))[0].id for stage in ("Staging", "None", "Staging", "None")]

    assert len(set(ids)) == 4


def test_a_model_that_goes_and_comes_back_unchanged_gets_new_ids() -> None:
    history = History()
    history.observe(at("None"))
    first = history.observe(at("Staging"))
    history.observe({})
    history.observe(at("None"))

    assert first[0].id != history.observe(at("Staging"))[0].id


def test_a_lane_survives_a_rename() -> None:
    history = History()
    history.observe({"m": MODEL})
    (renamed,) = history.observe({"n": replace(MODEL, name="n")})
    (later,) = history.observe({"n": replace(MODEL, name="n", description="d")})

    assert (renamed.lane, later.lane) == ("m", "m")


def test_a_model_created_under_the_name_of_a_deleted_one_continues_its_lane() -> None:
    history = History()
    history.observe({"m": MODEL})
    history.observe({"n": replace(MODEL, name="n")})
    (deleted,) = history.observe({})
    (created,) = history.observe({"n": RegisteredModel("n", 500, 500)})

    assert (deleted.lane, created.lane) == ("m", "m")


def test_the_timestamp_is_the_registry_own_where_it_has_one() -> None:
    history = History()
    history.observe(at("None"))

    moved = history.observe(at("Staging", 333))
    tagged = history.observe(
        {"m": replace(MODEL, tags=(("k", "v"),), versions=at("Staging", 333)["m"].versions)}
    )

    assert (moved[0].timestamp, tagged[0].timestamp) == (333, 1_000)
