"""Which event goes where."""

import pickle
import re

import pytest
from support.values import transition

from bridge.delivery.event_routing import Route, match, route
from bridge.delivery.storm_guard import hold_storm, hold_vanished
from bridge.diff.registry_changes import ChangeKind as K
from bridge.events.jmespath_expressions import compile_expression

BROAD = "MODEL_VERSION_TRANSITIONED_STAGE"
NARROW = "MODEL_VERSION_TRANSITIONED_TO_PRODUCTION"


EVERY = tuple(kind.value for kind in K)


def matched(event=None, events=(BROAD,), models=(), to_stages=(), **filters) -> str | None:
    return match(
        event or transition(), Route("ci", tuple(events), tuple(models), tuple(to_stages), **filters)
    )


def test_an_event_goes_to_every_sink_that_asks_for_it_in_order() -> None:
    events = [transition(1), transition(2, type=K.VERSION_CREATED, changed={})]
    routes = [Route("a", (BROAD,)), Route("b", ("MODEL_VERSION_CREATED", BROAD))]

    assert [(one.event.id, one.sink) for one in route(events, routes)] == [
        ("event-1", "a"),
        ("event-1", "b"),
        ("event-2", "b"),
    ]


def test_the_narrower_name_wins_whatever_the_order() -> None:
    assert (matched(events=(BROAD, NARROW)), matched(events=(NARROW, BROAD))) == (NARROW, NARROW)


def test_a_narrower_name_selects_its_stage_alone() -> None:
    assert matched(events=("MODEL_VERSION_TRANSITIONED_TO_STAGING",)) is None


def test_mlflow_own_name_is_a_synonym() -> None:
    event = transition(type=K.ALIAS_SET, changed={"alias": "champion"})

    assert matched(event, events=("model_version_alias.created",)) == "MODEL_VERSION_ALIAS_SET"


@pytest.mark.parametrize(
    ("models", "name", "expected"),
    [
        (("fraud-*",), "fraud-detector", True),
        (("fraud-*",), "Fraud-detector", False),
        (("a", "b?"), "bx", True),
        (("a",), "b", False),
        ((), "anything", True),
        (("!legacy-*",), "fraud", True),
        (("!legacy-*",), "legacy-fraud", False),
        (("fraud-*", "!*-old", "!fraud-x"), "fraud-a", True),
        (("fraud-*", "!*-old", "!fraud-x"), "fraud-x", False),
        (("fraud-*", "!*-old"), "fraud-old", False),
        (("!fraud-*", "fraud-a"), "fraud-a", False),
        (("fraud-*", "!*-old"), "other", False),
    ],
)
def test_globs_select_and_exclude_and_are_case_sensitive(models, name, expected) -> None:
    assert (matched(transition(model=name), models=models) is not None) is expected


@pytest.mark.parametrize("glob", ["old", "new"])
def test_a_rename_matches_by_either_name(glob) -> None:
    renamed = transition(model="new", type=K.MODEL_RENAMED, changed={"previous_name": "old"})

    assert matched(renamed, events=("REGISTERED_MODEL_RENAMED",), models=(glob,))


def test_to_stages_constrains_transitions_only() -> None:
    created = transition(type=K.VERSION_CREATED, changed={})
    everything = (BROAD, "MODEL_VERSION_CREATED")

    assert matched(events=everything, to_stages=("Staging",)) is None
    assert matched(created, events=everything, to_stages=("Staging",)) == "MODEL_VERSION_CREATED"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [("legacy-a", "a", True), ("a", "legacy-a", True), ("legacy-a", "legacy-b", False)],
)
def test_a_rename_is_left_out_only_if_both_names_are(old, new, expected) -> None:
    renamed = transition(model=new, type=K.MODEL_RENAMED, changed={"previous_name": old})

    assert bool(matched(renamed, events=EVERY, models=("!legacy-*",))) is expected


def test_from_stages_constrains_transitions_only() -> None:
    created = transition(type=K.VERSION_CREATED, changed={})

    assert matched(from_stages=("Staging", "None"))
    assert matched(from_stages=("None",)) is None
    assert matched(created, events=EVERY, from_stages=("None",))


@pytest.mark.parametrize(
    ("alias", "expected"), [("champion", True), ("canary-7", True), ("canary-x", False), ("champions", False)]
)
@pytest.mark.parametrize("kind", [K.ALIAS_SET, K.ALIAS_DELETED])
def test_aliases_match_as_a_whole_and_constrain_their_own_events_only(kind, alias, expected) -> None:
    patterns = (re.compile("champion"), re.compile(r"canary-\d+"))

    assert (
        bool(matched(transition(type=kind, changed={"alias": alias}), events=EVERY, aliases=patterns))
        is expected
    )
    assert matched(events=EVERY, aliases=patterns)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"key": "team", "value": "fraud", "previous_value": None}, True),
        ({"key": "team", "value": "Fraud", "previous_value": "fraud"}, False),
        ({"key": "release", "value": "", "previous_value": None}, True),
        ({"key": "release", "previous_value": "x"}, True),
        ({"key": "team", "previous_value": "other"}, False),
        ({"key": "other", "value": "fraud", "previous_value": None}, False),
    ],
)
def test_tags_match_by_key_and_value_and_constrain_their_own_events_only(changed, expected) -> None:
    conditions = (("team", "fraud"), ("release", "*"))
    for kind in (K.MODEL_TAG_SET, K.MODEL_TAG_DELETED, K.VERSION_TAG_SET, K.VERSION_TAG_DELETED):
        event = transition(type=kind, changed=changed)
        assert bool(matched(event, events=EVERY, tags=conditions)) is expected
    assert matched(events=EVERY, tags=conditions)


def test_when_sees_what_templates_see_under_the_name_asked_for() -> None:
    text = f"event == '{NARROW}' && sink == 'ci' && model_version == '1' && from_stage != 'None'"

    assert matched(events=(NARROW,), when=compile_expression(text)) == NARROW
    assert matched(events=(BROAD,), when=compile_expression(text)) is None


def test_what_cannot_be_decided_is_delivered_and_said() -> None:
    way = Route("ci", (BROAD,), when=compile_expression("length(user_id) > `3`"))

    (routed,) = route([transition()], [way])

    assert routed.doubt == (
        "'length(user_id) > `3`' has no value: length() takes string or array or object, not null"
    )
    assert route([transition(user_id="ann")], [way]) == []


def test_a_route_is_a_value() -> None:
    way = Route(
        "ci", (BROAD,), ("!a",), (), (), (re.compile("x"),), (("k", "*"),), compile_expression("a == 'b'")
    )

    again = pickle.loads(pickle.dumps(way))  # noqa: S301 - our own
    assert (again, hash(again)) == (way, hash(way))


def test_a_few_models_may_vanish_and_a_share_of_many() -> None:
    names = [f"m{n}" for n in range(60)]

    assert hold_vanished(6, names[:5], 0.5) is None
    assert hold_vanished(100, names[:50], 0.5) is None
    hold = hold_vanished(100, names[:51], 0.5)
    assert hold is not None
    assert hold.message.startswith(
        "51 of 100 known models are gone from the registry's listing ('m0', 'm1', 'm2' and 48 more)"
    )


def test_a_worse_difference_has_another_digest() -> None:
    names = [f"m{n}" for n in range(60)]
    first, second = hold_vanished(60, names[:40], 0.5), hold_vanished(60, names[:41], 0.5)

    assert first.digest != second.digest
    assert first == hold_vanished(60, names[:40], 0.5)


def test_a_storm_is_counted_by_sink() -> None:
    routed = route([transition(n) for n in range(3)], [Route("a", (BROAD,)), Route("b", (BROAD,))])

    assert hold_storm(routed, 3) is None
    assert "3 for a, 3 for b" in hold_storm(routed, 2).message
