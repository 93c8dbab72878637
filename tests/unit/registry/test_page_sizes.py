"""How many rows are asked for at once."""

import pytest

from bridge.registry.page_sizes import PageSize


def test_what_is_too_much_is_quartered_down_to_a_few() -> None:
    size, seen = PageSize(1_000), []
    while size.shrink(size.rows):
        seen.append(size.rows)
    assert seen == [250, 62, 15, 10]
    assert not size.can_shrink(10)


@pytest.mark.parametrize(
    ("asked", "got", "seconds", "after"),
    [
        (100, 100, 2.4, 200),
        (100, 100, 2.6, 100),  # twice as many could take more than half of the timeout
        (100, 99, 0.1, 100),  # the last page of a search says little
        (10, 10, 0.1, 100),  # nor does one that was meant to be small
    ],
)
def test_quick_and_full_pages_are_doubled(asked, got, seconds, after) -> None:
    size = PageSize(1_000)
    size.rows = 100
    size.note(asked, got, seconds, 10)
    assert size.rows == after


@pytest.mark.parametrize(
    ("asked", "got", "seconds", "after"),
    [
        (250, 250, 0.2, 500),
        (250, 250, 0.3, 250),
        (250, 250, 0.9, 250),
        (250, 250, 1.1, 125),  # no fewer: each request may be slow, however few rows it asks for
        (250, 100, 1.1, 250),
        (50, 50, 1.1, 250),  # a read of a named model says nothing about pages of a scan
    ],
)
def test_brief_pages_take_half_a_second_or_so(asked, got, seconds, after) -> None:
    size = PageSize(1_000)
    size.be_brief(brief=True)
    assert size.rows == 250
    size.note(asked, got, seconds, 10)
    assert size.rows == after
    size.be_brief(brief=False)
    size.note(after, after, 2.4, 10)
    assert size.rows == 2 * after


def test_a_registry_whose_every_request_is_slow_is_not_asked_for_ever_smaller_pages() -> None:
    size = PageSize(5_000)
    size.be_brief(brief=True)
    for _ in range(10):
        size.note(size.rows, size.rows, 3.0, 10)
    assert size.rows == 625
    size.shrink(size.rows)  # what the registry cannot give at all is another matter
    size.note(size.rows, size.rows, 3.0, 10)
    assert size.rows == 156


def test_they_grow_no_larger_than_they_were_at_first() -> None:
    size = PageSize(1_000)
    for _ in range(3):
        size.note(size.rows, size.rows, 0.1, 10)
    assert (size.rows, size.is_less) == (1_000, False)
