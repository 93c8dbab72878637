"""What people see."""

import pytest

from bridge.cli.exit_codes import PRECEDENCE, ExitCode, code_of, first_of
from bridge.cli.text_tables import print_table
from bridge.errors import (
    BridgeError,
    ConfigurationError,
    PollHeld,
    RegistryRefused,
    RegistryUnreachable,
    SecretUnavailable,
    StateDamaged,
    StateForeign,
    StateNewer,
    StateOwned,
    StateUnwritable,
)
from bridge.events.display_text import count, instant, printable, span


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError(["x"]), 78),
        (SecretUnavailable("x"), 78),
        (StateForeign("x"), 78),
        (StateNewer("x"), 78),
        (StateUnwritable("x"), 73),
        (StateOwned("x"), 75),
        (RegistryUnreachable("x"), 69),
        (RegistryRefused("x"), 69),
        (PollHeld("x", "digest"), 65),
        (StateDamaged("x"), 1),
        (BridgeError("x"), 1),
    ],
)
def test_each_error_has_the_exit_code_of_the_contract(error, code) -> None:
    assert code_of(error) == code


def test_of_several_codes_the_contract_names_the_first() -> None:
    assert [int(code) for code in PRECEDENCE[:6]] == [78, 73, 75, 69, 65, 74]
    assert first_of([ExitCode.WAITING, ExitCode.REGISTRY]) is ExitCode.REGISTRY
    assert first_of([]) is ExitCode.DONE


def test_a_hostile_name_does_not_reach_the_terminal(capsys) -> None:
    print_table([{"MODEL": "evil\x1b[2Jname\n", "N": None}, {"MODEL": "b", "N": 0}])

    lines = capsys.readouterr().out.splitlines()
    assert lines == ["MODEL          N", "evil\ufffd[2Jname\ufffd  -", "b              0"]
    assert printable("") == "-"


def test_an_empty_table_is_nothing(capsys) -> None:
    print_table([])

    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0s"),
        (90_000, "90s"),
        (600_000, "10m"),
        (3 * 3_600_000, "3h"),
        (200 * 3_600_000, "8d"),
        (-5, "0s"),
    ],
)
def test_spans_are_short(milliseconds, text) -> None:
    assert span(milliseconds) == text


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [
        (0, "entry", "0 entries"),
        (1, "entry", "1 entry"),
        (2, "new entry", "2 new entries"),
        (1, "model", "1 model"),
        (3, "model", "3 models"),
        (2, "more address", "2 more addresses"),
    ],
)
def test_a_number_has_its_noun_in_the_singular_or_plural(number, noun, text) -> None:
    assert count(number, noun) == text


def test_large_numbers_have_separators_where_they_are_asked_for() -> None:
    assert (count(1_000, "model", ","), count(1_000, "model")) == ("1,000 models", "1000 models")


def test_instants_are_utc() -> None:
    assert (instant(0), instant(None)) == ("1970-01-01 00:00:00Z", None)


@pytest.mark.parametrize("absurd", [10**15, -(10**15), 10**30])
def test_an_instant_that_no_calendar_has_is_told_as_it_is(absurd) -> None:
    assert instant(absurd) == f"{absurd} ms"
