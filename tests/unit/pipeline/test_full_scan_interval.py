"""How often everything is read."""

from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from bridge.pipeline.full_scan_interval import Cadence, is_due
from bridge.store.state_metadata import PollRecord, ReconcileRecord

STATE = "00000000-0000-0000-0000-000000000001"
MINUTES_10 = 600_000


@given(st.integers(0, 10**9), st.floats(0.01, 1.0), st.uuids(), st.booleans(), st.booleans())
def test_a_scan_never_takes_more_than_its_share_of_the_time(duration, share, state, well, pressing) -> None:
    spacing = Cadence(MINUTES_10, share).spacing_ms(
        ReconcileRecord(0, duration, well), str(state), is_pressing=pressing
    )

    assert duration <= share * (spacing + 1)


def test_a_quick_scan_comes_at_its_interval_and_a_slow_one_less_often() -> None:
    cadence = Cadence(MINUTES_10, 0.05)

    assert abs(cadence.spacing_ms(ReconcileRecord(0, 200, went_well=True), STATE) - MINUTES_10) <= 60_000
    assert cadence.spacing_ms(ReconcileRecord(0, 60_000, went_well=True), STATE) == 1_200_000


def test_instances_are_spread_over_a_fifth_of_the_interval() -> None:
    record = ReconcileRecord(0, 0, went_well=True)
    spacings = {Cadence(MINUTES_10, 0.05).spacing_ms(record, str(uuid4())) for _ in range(200)}

    assert len(spacings) > 100
    assert min(spacings) >= 0.9 * MINUTES_10
    assert max(spacings) <= 1.1 * MINUTES_10


def test_after_a_failure_or_for_a_hold_the_next_scan_comes_as_soon_as_the_share_allows() -> None:
    cadence = Cadence(MINUTES_10, 0.05)

    assert cadence.spacing_ms(ReconcileRecord(0, 1_000, went_well=False), STATE) == 20_000
    assert cadence.spacing_ms(ReconcileRecord(0, 1_000, went_well=True), STATE, is_pressing=True) == 20_000


def test_a_scan_in_the_future_is_no_reason_to_wait() -> None:
    assert (is_due(5_000, 1_000, 4_000), is_due(5_000, 1_000, 5_999)) == (True, False)
    assert (is_due(5_000, 1_000, 6_000), is_due(None, 1_000, 0)) == (True, True)


@given(st.integers(30_001, 10**8), st.integers(1, 10**7), st.floats(0.01, 1.0), st.uuids())
def test_model_scans_and_full_scans_together_take_no_more_than_their_share(
    full_ms, models_ms, share, state
) -> None:
    cadence, last = Cadence(MINUTES_10, share), ReconcileRecord(0, full_ms, went_well=True)
    poll = PollRecord(1, "ok", models_listed_at=1, models_listed_in_ms=models_ms)
    has_model_scans = cadence.has_model_scans(last, poll, 2)
    full = full_ms / cadence.spacing_ms(last, str(state), has_model_scans=has_model_scans)
    models = models_ms / cadence.model_scan_spacing_ms(last, poll)

    assert full + models <= share * 1.001


def test_models_are_scanned_where_full_scans_are_held_back_and_at_most_five_times_an_interval() -> None:
    cadence = Cadence(MINUTES_10, 0.05)
    quick, slow = (ReconcileRecord(0, ms, went_well=True) for ms in (30_000, 30_100))
    most_of_it = PollRecord(1, "ok", models_listed_at=1, models_listed_in_ms=16_000)

    assert (cadence.needs_model_scans(quick, None), cadence.needs_model_scans(slow, None)) == (False, True)
    assert not cadence.needs_model_scans(slow, most_of_it)
    assert cadence.model_scan_spacing_ms(ReconcileRecord(0, 1_000, went_well=True), None) == MINUTES_10 / 5
    assert cadence.model_scan_spacing_ms(ReconcileRecord(0, 48_000, went_well=True), None) == 300_000
