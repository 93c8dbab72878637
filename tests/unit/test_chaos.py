"""The judge of a storm finds what it is there to find, and a seed draws the same storm again."""

import json
from dataclasses import replace
from itertools import islice

import pytest
from support.chaos.judge import (
    Due,
    Noted,
    Request,
    altered,
    carried_over,
    forged,
    forgotten,
    lost,
    out_of_order,
    repeats,
    signature,
)
from support.chaos.schedule import COMMIT, POINTS, lives
from support.fidelity import Model, Models
from support.promotions import (
    PREFIX,
    past_the_gate,
    told_past_the_gate,
    unlike_decisions,
    unlike_last_told,
)
from support.values import request as asked

from bridge.governance.transition_request import RequestStatus

SECRET = "s"
DUE = [Due("ci", f"event-{number}", f"lane-{number % 2}", number) for number in range(1, 7)]


def request(due: Due, at: float = 0.0, **values) -> Request:
    bare = Request(due.sink, due.id, f'{{"n":{due.number}}}', at, timestamp="7", **values)
    return replace(bare, signature=signature(bare, SECRET))


ALL = [request(one, float(one.number)) for one in DUE]
WANTED = [(one.sink, one.id) for one in DUE]


def faults(requests, due=DUE, wanted=WANTED) -> list[str]:
    return [
        *lost(requests, due, wanted),
        *out_of_order(requests, due),
        *altered(requests, due),
        *forged(requests, SECRET),
        *carried_over(requests),
        *forgotten(requests, [Noted(one.sink, one.id, one.at) for one in requests]),
    ]


def test_a_storm_that_cost_nothing_is_found_to_have_cost_nothing() -> None:
    assert faults(ALL) == []


@pytest.mark.parametrize("dropped", range(len(ALL)))
def test_a_delivery_that_never_came_is_lost(dropped) -> None:
    came = [*ALL[:dropped], *ALL[dropped + 1 :]]
    assert len(lost(came, DUE)) == 1


@pytest.mark.parametrize("refused", range(len(ALL)))
def test_so_is_one_that_came_and_was_never_taken(refused) -> None:
    came = [*ALL[:refused], replace(ALL[refused], taken=False), *ALL[refused + 1 :]]
    assert len(lost(came, DUE)) == 1


def test_so_is_an_event_that_the_filters_name_and_that_was_not_routed() -> None:
    assert len(lost(ALL[1:], DUE[1:], WANTED)) == 1


@pytest.mark.parametrize("first", range(len(ALL) - 2))
def test_two_deliveries_of_a_lane_in_the_wrong_order_are_found(first) -> None:
    came = list(ALL)
    came[first], came[first + 2] = came[first + 2], came[first]
    assert len(out_of_order(came, DUE)) == 1
    assert not lost(came, DUE)


def test_lanes_go_on_side_by_side() -> None:
    assert faults([*ALL[1::2], *ALL[::2]]) == []


def test_an_attempt_before_its_turn_is_found_even_where_it_was_not_taken() -> None:
    early = replace(ALL[2], taken=False)
    assert len(out_of_order([early, *ALL], DUE)) == 1


def test_a_repeat_under_the_same_id_is_counted_and_no_fault() -> None:
    came = [*ALL[:3], ALL[0], *ALL[3:]]
    assert (faults(came), repeats(came)) == ([], 1)


def test_an_attempt_that_was_refused_is_no_repeat() -> None:
    came = [replace(ALL[0], taken=False), *ALL]
    assert (faults(came), repeats(came)) == ([], 0)


def test_a_repeat_under_another_id_is_found() -> None:
    again = request(replace(DUE[0], id="another"))
    assert len(altered([*ALL, again], DUE)) == 1


def test_an_id_that_stands_for_two_bodies_is_found() -> None:
    assert len(altered([*ALL, replace(ALL[0], raw="{}")], DUE)) == 1


def test_an_event_of_another_sink_is_found() -> None:
    assert altered([*ALL, replace(ALL[0], sink="other")], DUE)


@pytest.mark.parametrize("change", [{"raw": "{}"}, {"id": "event-2"}, {"timestamp": "8"}, {"signature": ""}])
def test_a_signature_that_does_not_fit_is_found(change) -> None:
    assert len(forged([replace(ALL[0], **change)], SECRET)) == 1


def test_a_cookie_that_is_sent_back_is_found() -> None:
    assert carried_over(ALL) == []
    assert len(carried_over([*ALL, replace(ALL[0], cookie="session=1")])) == 1


def test_a_delivery_that_is_made_again_long_after_it_was_settled_is_found() -> None:
    noted = [Noted("ci", ALL[0].id, 1.0)]
    assert not forgotten([*ALL, replace(ALL[0], at=2.0)], noted)
    assert len(forgotten([*ALL, replace(ALL[0], at=60.0)], noted)) == 1


def test_a_seed_draws_the_same_storm_again_and_another_seed_another() -> None:
    one, again, other = (list(islice(lives(seed, ["a", "b"], restarts=True), 200)) for seed in (5, 5, 6))
    assert one == again
    assert one != other


def test_a_long_storm_comes_to_every_commit_point() -> None:
    drawn = [life.faults["kill"] for life in islice(lives(1, ["a"]), 100) if life.kind == COMMIT]
    assert {(call, how) for call, how, _ in drawn} == set(POINTS)


def promoted(version: str, sink: str = "ci") -> Request:
    body = {"model_name": f"{PREFIX}0", "model_version": version, "to_stage": "Production"}
    return Request(sink, f"event-of-{version}", json.dumps(body), 1.0)


def in_stages(**stages: str) -> Models:
    slots = {("stage", version.removeprefix("v"), None): stage for version, stage in stages.items()}
    return {f"{PREFIX}0": Model(f"{PREFIX}0", slots)}


def test_a_promotion_that_a_gate_refuses_is_found_where_it_was_told_and_where_it_stayed() -> None:
    assert len(told_past_the_gate([promoted("1"), promoted("2")])) == 1
    assert len(past_the_gate(in_stages(v1="Production", v2="Production", v4="Staging"))) == 1


def test_a_stage_that_was_not_told_of_is_found() -> None:
    assert unlike_last_told([promoted("1")], in_stages(v1="Production", v3="Archived")) == []
    assert len(unlike_last_told([promoted("1")], in_stages(v1="Archived"))) == 1


def test_a_request_that_was_forgotten_left_open_or_decided_against_its_gate_is_found() -> None:
    good = replace(asked("tr_1"), version="1", status=RequestStatus.APPLIED, event_id="event-of-1")
    bad = replace(asked("tr_2"), version="2", status=RequestStatus.APPLIED)
    told = {"tr_1": "1"}

    assert unlike_decisions(told, [good], [promoted("1")]) == []
    assert len(unlike_decisions(told, [], [])) == 1
    assert len(unlike_decisions(told, [good], [])) == 1
    assert len(unlike_decisions(told, [good, replace(good, id="tr_3")], [promoted("1")])) == 1
    assert (
        len(
            unlike_decisions(
                told,
                [good, replace(good, id="tr_3", event_id="", status=RequestStatus.REJECTED)],
                [promoted("1")],
            )
        )
        == 1
    )
    assert len(unlike_decisions({}, [bad], [])) == 1
    assert len(unlike_decisions({}, [replace(good, status=RequestStatus.PENDING)], [])) == 1
