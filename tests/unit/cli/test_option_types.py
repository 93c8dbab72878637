"""What people give to options."""

import time

import pytest

from bridge.cli.option_types import NOTE_KINDS, Instant, parse_instant, print_assumed_zone
from bridge.pipeline.hold_decisions import _NOTES

NOON = 1_793_534_400_000  # 2026-11-01T12:00:00Z


@pytest.fixture
def central_european_time(monkeypatch):
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-01T12:00Z", NOON),
        ("2026-11-01T13:00+01:00", NOON),
        (" 2026-11-01T12:00:00.250+00:00 ", NOON + 250),
        ("2h", NOON - 7_200_000),
        ("1d12h", NOON - 129_600_000),
    ],
)
def test_an_instant_with_its_zone_or_so_long_ago_assumes_nothing(text, at) -> None:
    assert Instant(at) == parse_instant(text, NOON)


@pytest.mark.parametrize(
    ("text", "at", "zone"),
    [
        ("2026-11-01T13:00", NOON, "CET, +0100"),
        ("2026-11-01 13:00:00", NOON, "CET, +0100"),
        ("2026-11-01", NOON - 13 * 3_600_000, "CET, +0100"),
        ("2026-07-01T14:00", 1_782_907_200_000, "CEST, +0200"),
    ],
)
def test_an_instant_without_a_zone_is_local_and_a_date_is_its_beginning(
    text, at, zone, central_european_time
) -> None:
    assert Instant(at, zone) == parse_instant(text, NOON)


@pytest.mark.parametrize(
    "text",
    ["", "soon", "yesterday", "2026-13-01", "2026-11-01T25:00", "-2h", "9999-12-31T23:59", "0001-01-01", "1"],
)
def test_anything_else_is_refused_with_examples(text, central_european_time) -> None:
    with pytest.raises(ValueError, match="2026-11-01T12:00Z"):
        parse_instant(text, NOON)


def test_assumed_zones_are_told_once_each(capsys) -> None:
    print_assumed_zone(
        Instant(1, "CET, +0100"), None, Instant(2), Instant(3, "CEST, +0200"), Instant(4, "CET, +0100")
    )

    assert capsys.readouterr().err == (
        "mlflow-bridge: times without a zone are local: CET, +0100; CEST, +0200\n"
    )
    print_assumed_zone(Instant(1), None)
    assert capsys.readouterr().err == ""


def test_every_kind_of_note_can_be_asked_for() -> None:
    assert set(NOTE_KINDS) == set(_NOTES)
