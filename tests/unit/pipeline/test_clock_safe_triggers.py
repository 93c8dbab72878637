"""When to poll, whatever the clock does."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfoNotFoundError

import pytest
from freezegun import freeze_time
from tzlocal import unix

from bridge.config import PollSettings
from bridge.errors import ConfigurationError
from bridge.pipeline import clock_safe_triggers
from bridge.pipeline.clock_safe_triggers import CrontabTrigger, EveryTrigger, trigger_of

NOW = datetime(2026, 2, 28, 12, 0, tzinfo=UTC)


def runs_due(trigger, last: datetime, now: datetime) -> int:
    """Count what APScheduler would list as due: its loop over the next fire times."""
    count, following = 0, last
    while following and following <= now:
        count += 1
        following = trigger.get_next_fire_time(following, now)
        assert count < 10
    return count


def test_the_first_run_is_at_once() -> None:
    for trigger in (EveryTrigger(timedelta(seconds=30)), CrontabTrigger("*/5 * * * *")):
        assert trigger.get_next_fire_time(None, NOW) == NOW


@pytest.mark.parametrize("trigger", [EveryTrigger(timedelta(seconds=30)), CrontabTrigger("*/5 * * * *")])
def test_a_clock_a_year_ahead_makes_one_run_due_and_not_a_million(trigger) -> None:
    assert runs_due(trigger, NOW, NOW + timedelta(days=365)) == 1


def test_an_interval_counts_from_now_not_from_a_late_run() -> None:
    trigger = EveryTrigger(timedelta(seconds=30))

    assert trigger.get_next_fire_time(NOW - timedelta(hours=1), NOW) == NOW + timedelta(seconds=30)


@freeze_time("2026-02-28T23:59:30Z")
def test_a_crontab_knows_leap_days() -> None:
    trigger = CrontabTrigger("0 0 29 2 *")

    assert trigger.get_next_fire_time(NOW, NOW).date().isoformat() == "2028-02-29"


@pytest.mark.parametrize(
    ("cron", "message"), [("61 * * * *", "poll.cron: "), ("0 0 30 2 *", "never comes true")]
)
def test_a_crontab_that_cannot_be_is_a_configuration_error(cron, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        trigger_of(PollSettings(cron=cron))


def test_the_settings_choose_the_trigger() -> None:
    assert isinstance(trigger_of(PollSettings(interval="5s")), EveryTrigger)
    assert isinstance(trigger_of(PollSettings(cron="*/5 * * * *")), CrontabTrigger)


@pytest.mark.parametrize(
    "zone", ["Nope/Nowhere", ":/no/file", "UTC0", "CET-1CEST,M3.5.0,M10.5.0/3", "/etc/passwd"]
)
def test_a_zone_that_is_none_is_no_fault_of_the_expression(monkeypatch, zone) -> None:
    monkeypatch.setattr(unix, "_cache_tz", None)  # it is looked for once a process
    monkeypatch.setenv("TZ", zone)

    with pytest.raises(
        ConfigurationError, match=r"poll\.cron: the time zone .* not known \(TZ is .*set TZ to a name"
    ):
        CrontabTrigger("*/5 * * * *")
    with pytest.raises(ConfigurationError, match=r"^(?!.*time zone).*poll\.cron"):
        CrontabTrigger("nonsense")


def test_a_machine_without_zones_is_told_as_that(monkeypatch) -> None:
    monkeypatch.delenv("TZ", raising=False)

    def unknown(**options: object) -> None:
        if "timezone" not in options:
            raise ZoneInfoNotFoundError("no time zone found")

    monkeypatch.setattr(clock_safe_triggers, "CronTrigger", unknown)
    with pytest.raises(ConfigurationError, match=r"not known \('no time zone found'\)"):
        CrontabTrigger("*/5 * * * *")
