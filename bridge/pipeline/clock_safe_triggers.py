"""The triggers of the poll: APScheduler's triggers, made safe against clock jumps.

APScheduler stores the next run as a time of the wall clock. After the clock is set forward, it would list
every run missed since; these triggers compute from *now* alone, so there is never more than one. After the
clock is set back, it would wait for the old time; the daemon's clock guard then requests a run at once.
"""

import os
from datetime import UTC, datetime, timedelta

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger

from bridge.config import PollSettings
from bridge.errors import ConfigurationError


class EveryTrigger(BaseTrigger):
    """Fires at once, and then one interval after the trigger was last evaluated."""

    def __init__(self, interval: timedelta) -> None:
        """Fire every ``interval``."""
        self._interval = interval

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """Return ``now`` the first time, then one interval later."""
        return now if previous_fire_time is None else now + self._interval


class CrontabTrigger(BaseTrigger):
    """Fires by a crontab expression, in the machine's time zone, and never for the past."""

    def __init__(self, expression: str) -> None:
        """Fire by ``expression``.

        Raises:
            ConfigurationError: it is not a crontab expression, or the machine's time zone is not known.
        """
        try:
            minute, hour, day, month, weekday = expression.split()
            fields = {
                "minute": minute,
                "hour": hour,
                "day": day,
                "month": month,
                "day_of_week": weekdays(weekday),
            }
            CronTrigger(**fields, timezone=UTC)
        except ValueError as error:
            raise ConfigurationError([f"poll.cron: {error}"]) from None
        try:
            self._cron = CronTrigger(**fields)
        except (ValueError, LookupError, OSError) as error:
            raise ConfigurationError([f"poll.cron: {_no_zone(error)}"]) from None

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """Return the next matching minute after ``now``; the first run is at once."""
        if previous_fire_time is None:
            return now
        following: datetime | None = self._cron.get_next_fire_time(None, now + timedelta(seconds=1))
        return following


def _no_zone(error: Exception) -> str:
    zone = f"TZ is {os.environ['TZ']!r}" if os.environ.get("TZ") else str(error)
    return (
        f"the time zone of this machine is not known ({zone}): set TZ to a name such as Europe/Berlin or UTC, and "
        "install the time zone data (tzdata)"
    )


_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


def weekdays(field: str) -> str:
    """Return the weekdays of a crontab expression by name.

    crontab(5) counts Sunday as 0 and 7, APScheduler counts Monday as 0.

    Raises:
        ValueError: a number is not between 0 and 7.
    """
    return ",".join(map(_some_weekdays, field.split(",")))


def _some_weekdays(part: str) -> str:
    days, _, step = part.partition("/")
    first, _, last = ("0-6" if days == "*" and step else days).partition("-")
    if not first.isdecimal():
        return part
    numbers = range(int(first), int(last or first) + 1)[:: int(step or 1)]
    if not numbers or numbers[-1] > len(_DAYS):
        raise ValueError(f"{part!r} is no weekday: 0 (Sunday) to 6, or names")
    return ",".join(_DAYS[number % len(_DAYS)] for number in numbers)


def trigger_of(settings: PollSettings) -> BaseTrigger:
    """Return the trigger that the settings describe.

    Raises:
        ConfigurationError: ``poll.cron`` is not a crontab expression.
    """
    if settings.cron is not None:
        trigger = CrontabTrigger(settings.cron)
        if trigger.get_next_fire_time(datetime.now(UTC), datetime.now(UTC)) is None:
            raise ConfigurationError([f"poll.cron: {settings.cron!r} never comes true"])
        return trigger
    return EveryTrigger(timedelta(milliseconds=settings.interval))
