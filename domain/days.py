"""Days of a campaign: calendar days in its own time zone, with daylight saving time.

Pure: the time is a parameter. A day has at least 22 and at most 26 hours in every time zone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo


class UnknownTimeZone(ValueError):
    """The name is not in the IANA time zone database."""


@dataclass(frozen=True, slots=True)
class Day:
    """One calendar day and its bounds: `starts_at` belongs to it, `ends_at` to the next one."""

    date: date
    starts_at: datetime
    ends_at: datetime


@lru_cache(maxsize=512)
def zone(name: str) -> ZoneInfo:
    """The time zone of an IANA name such as America/Sao_Paulo. Raises UnknownTimeZone."""
    try:
        found = ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise UnknownTimeZone(name) from None
    return found


def start_of(day: date, zone_name: str) -> datetime:
    """The first moment of the day, in UTC; where midnight is skipped, the moment after the gap."""
    return datetime.combine(day, time(0), tzinfo=zone(zone_name)).astimezone(UTC)


def day_of(at: datetime, zone_name: str) -> Day:
    """The day that `at` falls on."""
    today = at.astimezone(zone(zone_name)).date()
    return day_at(today, zone_name)


def day_at(day: date, zone_name: str) -> Day:
    """The bounds of a date."""
    return Day(day, start_of(day, zone_name), start_of(day + timedelta(days=1), zone_name))
