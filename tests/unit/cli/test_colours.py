"""When there are colours."""

import io

import pytest

from bridge.cli.terminal_output import has_colours
from bridge.cli.text_tables import print_table

NAMES = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TERM")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("variables", "on_a_terminal", "elsewhere"),
    [
        ({}, True, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "0"}, True, False),
        ({"CLICOLOR_FORCE": "1"}, True, True),
        ({"CLICOLOR": "0"}, False, False),
        ({"TERM": "dumb"}, False, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True, True),
    ],
)
def test_the_environment_decides_before_the_terminal_does(
    monkeypatch, variables, on_a_terminal, elsewhere
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert (has_colours(Terminal()), has_colours(io.StringIO())) == (on_a_terminal, elsewhere)


def test_statuses_alone_are_coloured_and_only_where_that_is_wanted(capsys, monkeypatch) -> None:
    rows = [{"MODEL": "dead", "STATUS": "dead"}]

    print_table(rows)
    plain = capsys.readouterr().out
    monkeypatch.setenv("FORCE_COLOR", "1")
    print_table(rows)
    coloured = capsys.readouterr().out

    assert plain.splitlines()[1] == "dead   dead"
    assert coloured.splitlines()[1] == "dead   \x1b[31mdead\x1b[0m"
