"""Tables that fit, and cells that cannot steer a terminal."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.cli import text_tables
from bridge.cli.terminal_output import columns_of, elided, padded, printable_lines
from bridge.cli.text_tables import fit, print_table
from bridge.events.display_text import printable

HOSTILE = {
    "clears the screen": "\x1b[2J\x1b[H",
    "names the window": "\x1b]0;owned\x07",
    "an 8-bit escape": "\x9b31m",
    "turns the writing": "\u202egnp.exe",
    "isolates": "\u2066x\u2069",
    "begins a line": "a\r\nb",
    "shows nothing": "a\u200bb\u00adc",
    "no Unicode": "\ud800",
}


@given(st.lists(st.integers(0, 200), min_size=1, max_size=12), st.integers(1, 300))
def test_columns_fit_and_the_short_ones_stay_whole(widths, within) -> None:
    room = within - 2 * (len(widths) - 1)

    fitted = fit(widths, within)

    assert all(0 <= got <= wanted for got, wanted in zip(fitted, widths, strict=True))
    assert all(got >= 1 for got, wanted in zip(fitted, widths, strict=True) if wanted)
    if sum(widths) <= room:
        assert fitted == widths
    elif room >= len(widths):
        assert room - len(widths) < sum(fitted) <= room
        cut = [got for got, wanted in zip(fitted, widths, strict=True) if got < wanted]
        assert max(fitted) - min(cut) <= 1


@given(
    st.lists(st.tuples(st.integers(0, 200), st.integers(1, 4)), min_size=1, max_size=12), st.integers(1, 300)
)
def test_columns_with_shares_of_their_own_fit_as_well(columns, within) -> None:
    widths, shares = [width for width, _ in columns], [share for _, share in columns]
    room = max(sum(shares), within - 2 * (len(widths) - 1))

    fitted = fit(widths, within, shares)

    assert sum(fitted) <= room
    assert fitted == widths or sum(fitted) > room - len(widths)
    assert all(got >= 1 for got, wanted in zip(fitted, widths, strict=True) if wanted)


def test_into_a_pipe_columns_are_as_wide_as_they_need_to_be() -> None:
    assert fit([10, 500, 3], None) == [10, 500, 3]


@given(st.text(), st.integers(1, 40))
def test_what_is_elided_and_padded_is_exactly_so_wide(text, width) -> None:
    shown = padded(elided(printable(text), width), width)

    assert columns_of(shown) == width
    assert elided(shown, width) == shown


@given(st.text(st.characters()))
def test_nothing_that_a_registry_holds_reaches_the_terminal_but_characters_that_show(text) -> None:
    shown = printable(text)

    assert shown.isprintable()
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert printable(shown) == shown


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_names_stay_on_their_line_and_show_that_something_was_there(text) -> None:
    assert "\N{REPLACEMENT CHARACTER}" in printable(text)
    assert printable_lines(f"one\n{text}").startswith("one\n")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", printable_lines(text))


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("abc", 3),
        ("モデル", 6),
        ("e\u0301", 1),
        ("\uff41\uff42", 4),
        ("한국어", 6),
        ("→…é", 3),
        ("🚀", 2),
        ("", 0),
    ],
)
def test_wide_characters_count_twice_and_accents_not_at_all(text, columns) -> None:
    assert columns_of(text) == columns


def test_a_table_of_wide_names_is_aligned(capsys) -> None:
    print_table([{"MODEL": "モデル", "N": 1}, {"MODEL": "m", "N": 22}])

    lines = capsys.readouterr().out.splitlines()
    assert [columns_of(line[: line.rindex(" ") + 1]) for line in lines] == [8, 8, 8]


def test_on_a_narrow_terminal_the_longest_give_way(capsys, monkeypatch) -> None:
    monkeypatch.setattr(text_tables, "room", lambda: 30)

    print_table([{"ENTRY": 17, "SINK": "ci", "MODEL": "a-very-long-name-of-a-model", "HTTP": 503}])

    assert capsys.readouterr().out.splitlines() == [
        "ENTRY  SINK  MODEL        HTTP",
        "17     ci    a-very-lon…  503",
    ]


def test_events_are_told_by_their_ends_and_models_get_more_room(capsys, monkeypatch) -> None:
    monkeypatch.setattr(text_tables, "room", lambda: 42)

    print_table([{"EVENT": "MODEL_VERSION_TRANSITIONED_STAGE", "MODEL": "fraud-detector-of-the-west-coast"}])

    assert capsys.readouterr().out.splitlines() == [
        "EVENT           MODEL",
        "…ITIONED_STAGE  fraud-detector-of-the-wes…",
    ]
