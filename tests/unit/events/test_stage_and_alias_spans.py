"""Which version held which stage and alias when."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.values import model, transition

from bridge.diff.registry_changes import ChangeKind as K
from bridge.diff.snapshot import ModelVersion
from bridge.events.stage_and_alias_spans import Span, spans_of

BEGIN, END = 1_000, 9_000


def moved(at: int, before: str, after: str, number: str = "1"):
    event = transition(at)
    return replace(
        event,
        timestamp=at,
        observed_at=at,
        model_version=number,
        changed={"from_stage": before, "to_stage": after},
    )


def alias(at: int, to: str | None, before: str | None = None, name: str = "champion"):
    kind = K.ALIAS_SET if to else K.ALIAS_DELETED
    return replace(
        transition(at), type=kind, timestamp=at, observed_at=at, model_version=to or before,
        changed={"alias": name, "previous_version": before},
    )  # fmt: skip


def test_a_promotion_and_its_archiving_are_spans() -> None:
    events = [
        moved(2_000, "None", "Staging"),
        moved(4_000, "Staging", "Production"),
        moved(8_000, "Production", "Archived"),
    ]

    assert spans_of(None, events, BEGIN, END) == [
        Span("Production", "1", 4_000, 8_000, is_earlier=False, is_now=False),
        Span("Staging", "1", 2_000, 4_000, is_earlier=False, is_now=False),
        Span("Archived", "1", 8_000, END, is_earlier=False, is_now=True),
    ]


def test_what_was_so_before_the_first_event_began_earlier() -> None:
    (first, _) = spans_of(None, [moved(4_000, "Production", "Archived")], BEGIN, END)

    assert first == Span("Production", "1", BEGIN, 4_000, is_earlier=True, is_now=False)


def test_what_began_with_the_first_event_did_not_begin_earlier() -> None:
    events = [moved(BEGIN, "Staging", "Production"), alias(BEGIN, "1")]

    assert spans_of(None, events, BEGIN, END) == [
        Span("Production", "1", BEGIN, END, is_earlier=False, is_now=True),
        Span("@champion", "1", BEGIN, END, is_earlier=False, is_now=True),
    ]


def test_what_no_event_changed_is_as_it_is_now() -> None:
    present = replace(
        model(),
        versions={"7": ModelVersion("7", 1, 1, stage="Production"), "8": ModelVersion("8", 1, 1)},
        aliases=(("best", "7"),),
    )

    assert spans_of(present, [], BEGIN, END) == [
        Span("Production", "7", BEGIN, END, is_earlier=True, is_now=True),
        Span("@best", "7", BEGIN, END, is_earlier=True, is_now=True),
    ]


def test_an_alias_moves_and_is_deleted() -> None:
    events = [alias(2_000, "1"), alias(5_000, "2", "1"), alias(7_000, None, "2")]

    assert [(one.holder, one.version, one.begin, one.end) for one in spans_of(None, events, BEGIN, END)] == [
        ("@champion", "1", 2_000, 5_000),
        ("@champion", "2", 5_000, 7_000),
    ]


@given(
    st.lists(
        st.tuples(
            st.integers(BEGIN, END), st.sampled_from(["None", "Staging", "Production"]), st.sampled_from("12")
        ),
        max_size=12,
    )
)
def test_spans_of_a_version_never_overlap_and_stay_between_the_times(steps) -> None:
    now, events = {"1": "None", "2": "None"}, []
    for at, stage, number in sorted(steps):
        events.append(moved(at, now[number], stage, number))
        now[number] = stage

    for number in "12":
        ours = sorted(
            (one.begin, one.end) for one in spans_of(None, events, BEGIN, END) if one.version == number
        )
        assert all(BEGIN <= begin < end <= END for begin, end in ours)
        assert all(end <= begin for (_, end), (begin, _) in pairwise(ours))


@pytest.mark.parametrize("begin", [BEGIN, END - 1])
def test_nothing_is_known_of_a_model_that_never_was(begin) -> None:
    assert spans_of(None, [], begin, END) == []
