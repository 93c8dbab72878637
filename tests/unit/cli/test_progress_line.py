"""How far a scan has come is told to people, and to nobody else."""

import io
import sys

import pytest

from bridge.cli.progress_line import LINE, Progress, TransientLine, scan_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Context:
    def __init__(self, **options) -> None:
        self.obj = {"quiet": False, "log_format": "console", **options}

    def find_root(self):
        return self


class Told(TransientLine):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def draw(self, text: str) -> None:
        self.texts.append(text)


def told(*pages: tuple[float, int, int]) -> list[str]:
    """Return what is drawn while pages come in, each at a time (s), with models and versions so far."""
    line, now = Told(), [0.0]
    progress = Progress(lambda: now[0], line)
    for at, models, versions in pages:
        now[0] = at
        progress(models, versions)
    return line.texts


def test_a_scan_that_is_over_at_once_is_not_told_of() -> None:
    assert told((9.0, 10, 0), (9.2, 10, 100), (9.4, 10, 200)) == []


def test_a_long_one_is_told_with_its_rate_since_the_first_page() -> None:
    assert told((9.0, 1000, 0), (11.0, 1000, 5000)) == [
        "reading the registry: 1,000 models, 5,000 versions (2,500 a second)"
    ]


def test_it_is_drawn_no_more_than_a_few_times_a_second() -> None:
    pages = [(number / 100, number, 0) for number in range(1_000)]

    assert 30 <= len(told(*pages)) <= 40


def test_a_scan_that_begins_again_has_a_rate_of_its_own() -> None:
    assert told((0, 1000, 90_000), (10, 10, 0), (12, 10, 20)) == [
        "reading the registry: 10 models, 20 versions (10 a second)"
    ]


@pytest.mark.parametrize(
    ("options", "is_terminal", "is_shown"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"quiet": True}, True, False),
        ({"log_format": "json"}, True, False),
    ],
)
def test_it_needs_somebody_to_see_it(monkeypatch, options, is_terminal, is_shown) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal() if is_terminal else io.StringIO())

    with scan_progress(Context(**options)) as scanned:
        assert (scanned is not None) is is_shown


def test_the_line_is_erased_at_the_end_and_before_anything_is_logged(monkeypatch) -> None:
    from bridge.cli.log_setup import Stderr

    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)

    with scan_progress(Context()):
        LINE.draw("half way")
        Stderr().write("a log line\n")
        LINE.draw("nearly there")

    assert stream.getvalue() == "\r\x1b[Khalf way\r\x1b[Ka log line\n\r\x1b[Knearly there\r\x1b[K"
    assert LINE.erase() is None
    assert stream.getvalue().endswith("nearly there\r\x1b[K")
