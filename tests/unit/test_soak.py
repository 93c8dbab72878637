"""The judge of the soak finds what is planted, and nothing else."""

import pytest
from support.soak import FLAKY, Sample, course, growth_faults, log_faults

WARMING = [Sample(100 + number, 30, 9) for number in range(100)]
STEADY = [Sample(200 + number % 3, 15 + number % 2, 4) for number in range(300)]


def judged(late: list[Sample]) -> list[str]:
    return growth_faults(course(WARMING + STEADY[:200] + late), 0.05)


def test_what_is_steady_after_its_warm_up_has_no_fault() -> None:
    assert judged(STEADY[200:]) == []


@pytest.mark.parametrize(
    ("planted", "fault"),
    [
        (lambda n: Sample(201 + n * 0.4, 15, 4), "memory went from 201.0 to 22"),
        (lambda n: Sample(180, 15, 4), "memory went from 201.0 to 180"),
        (lambda n: Sample(201, 15 + n // 10, 4), "open files went from"),
        (lambda n: Sample(201, 15, 4 + n // 10), "threads went from 4 to"),
    ],
)
def test_what_grows_or_shrinks_is_a_fault(planted, fault) -> None:
    (found,) = judged([planted(number) for number in range(100)])

    assert found.startswith(fault)


def test_one_moment_that_stands_out_is_none() -> None:
    assert judged([*STEADY[201:], Sample(900, 90, 40)]) == []


def test_warnings_are_faults_but_for_those_that_were_planted() -> None:
    planted = {"level": "warning", "event": "delivery.retry", "sink": FLAKY}
    lines = [
        planted,
        {"level": "info", "event": "poll.committed"},
        {**planted, "sink": "steady"},
        {**planted, "event": "sink.stopped"},
        {"level": "error", "event": "poll.failed"},
    ]

    assert len(log_faults(lines)) == 3
