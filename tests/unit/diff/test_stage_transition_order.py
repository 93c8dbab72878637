"""The order of transitions within one poll."""

from hypothesis import given
from hypothesis import strategies as st
from support.strategies import STAGES

from bridge.diff.registry_changes import Change, ChangeKind
from bridge.diff.stage_transition_order import in_stage_order


def move(version: int, before: str, after: str) -> Change:
    return Change(ChangeKind.TRANSITIONED, "m", 1, str(version), before=before, after=after)


def order(*moves: Change) -> list[str | None]:
    return [change.version for change in in_stage_order(moves)]


def test_archiving_comes_before_promotion() -> None:
    assert order(move(1, "Staging", "Production"), move(9, "Production", "Archived")) == ["9", "1"]


def test_a_stage_is_left_before_it_is_entered_also_upwards() -> None:
    assert order(move(1, "None", "Staging"), move(2, "Staging", "Production")) == ["2", "1"]


def test_a_chain_through_all_stages_unwinds_from_its_end() -> None:
    moves = [
        move(1, "None", "Staging"),
        move(2, "Staging", "Production"),
        move(3, "Production", "Archived"),
    ]
    assert order(*moves) == ["3", "2", "1"]


def test_versions_that_swap_stages_demote_first() -> None:
    moves = [move(1, "Staging", "Production"), move(2, "Production", "Staging")]

    assert order(*moves) == ["2", "1"]


def test_unrelated_transitions_go_by_number() -> None:
    moves = [move(number, "None", "Staging") for number in (10, 9, 1)]

    assert order(*moves) == ["1", "9", "10"]


@given(st.lists(st.tuples(st.sampled_from(STAGES), st.sampled_from([*STAGES, "Custom"]))))
def test_nothing_is_lost_and_without_a_ring_every_stage_is_left_first(stages) -> None:
    moves = [move(i, a, b) for i, (a, b) in enumerate(stages) if a != b]

    ordered = in_stage_order(moves)

    assert sorted(moves, key=repr) == sorted(ordered, key=repr)
    if not _has_ring(moves):
        for index, change in enumerate(ordered):
            assert change.after not in {later.before for later in ordered[index + 1 :]}


def _has_ring(moves: list[Change]) -> bool:
    edges = {(change.before, change.after) for change in moves}
    reach = {a: {b for x, b in edges if x == a} for a, _ in edges}
    for _ in range(len(reach)):
        for targets in reach.values():
            targets |= {c for b in list(targets) for c in reach.get(b, ())}
    return any(a in to for a, to in reach.items())
