"""When a campaign may send: a window of the local day, on some days of the week, without the quiet hours. Pure.

The wall clock decides. A moment is in the window if a clock on the wall shows a time of the window then. So a window
that begins in the hour that daylight saving time leaves out begins after that hour, and in an hour that comes twice it
holds twice. Where the window follows the recipients, the clocks of all zones of their country must show such a time.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import TypeAlias
from zoneinfo import ZoneInfo

from domain.country_zones import COUNTRY_ZONES
from domain.days import zone

DAY_MINUTES = 1440
HORIZON_DAYS = 15
"""A window that does not open in so many days never opens: it has the same days every week."""
HALF_YEAR = timedelta(days=182)
PERIODS_MAX = 10_000
"""Most periods that are remembered."""
PERIOD_KNOWN = timedelta(days=1)
"""How long a period without an end is remembered: the summer may bring a time that all zones have in the window."""
LOCAL_TIME = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
LOCAL_TIME_OR_24 = r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"

DAYTIME = ("09:00", "20:00")
"""The default window of a campaign that can reach people: nobody is woken by marketing."""
ALL_DAY = ("00:00", "24:00")

Span: TypeAlias = tuple[int, int]
"""From one minute of the local day to another: the first belongs to the span, the second does not."""


class Weekday(StrEnum):
    """A day of the week."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


class WindowZone(StrEnum):
    """Whose clock a window follows."""

    CAMPAIGN = "campaign"
    RECIPIENT = "recipient"
    """The clocks of the country of the recipient's number. A number of no country has the zone of the campaign."""


WEEK = tuple(Weekday)


class InvalidWindow(ValueError):
    """The values make no window. `field` names the one to change."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class SendingWindow:
    """The open times of a week: on each of these days the same spans of the local day."""

    days: frozenset[Weekday]
    spans: tuple[Span, ...]
    """In order, and not empty."""

    @property
    def is_always(self) -> bool:
        """Whether it never closes."""
        return len(self.days) == len(WEEK) and self.spans == ((0, DAY_MINUTES),)

    def has_day(self, day: date) -> bool:
        """Whether it opens on this local date."""
        return WEEK[day.weekday()] in self.days

    def shows(self, wall: datetime) -> bool:
        """Whether a wall clock that shows this local time is in the window."""
        minute = 60 * wall.hour + wall.minute
        return self.has_day(wall) and any(start <= minute < end for start, end in self.spans)


WHOLE_DAY = SendingWindow(frozenset(WEEK), ((0, DAY_MINUTES),))


def make_window(
    days: Collection[str], opens: str, closes: str, quiet_from: str | None = None, quiet_to: str | None = None
) -> SendingWindow:
    """The window of these local times, HH:MM. Quiet hours may pass midnight. Raises InvalidWindow."""
    if not days:
        raise InvalidWindow("window_days", "Name at least one day of the week.")
    start, end = _minute(opens, "window_from", LOCAL_TIME), _minute(closes, "window_to", LOCAL_TIME_OR_24)
    if start >= end:
        raise InvalidWindow(
            "window_to", "The window must end after it begins, on the same day. 24:00 is the end of the day."
        )
    if (quiet_from is None) != (quiet_to is None):
        missing = "quiet_from" if quiet_from is None else "quiet_to"
        raise InvalidWindow(missing, "Quiet hours need a beginning and an end.")
    spans = _without((start, end), _quiet_spans(quiet_from, quiet_to))
    if not spans:
        raise InvalidWindow("quiet_to", "The quiet hours leave nothing of the window.")
    return SendingWindow(_weekdays(days), spans)


def _weekdays(days: Collection[str]) -> frozenset[Weekday]:
    try:
        return frozenset(Weekday(day) for day in days)
    except ValueError:
        raise InvalidWindow("window_days", f"The days of the week are {', '.join(WEEK)}.") from None


def _minute(text: str, field: str, pattern: str) -> int:
    if not re.fullmatch(pattern, text):
        raise InvalidWindow(field, "Write the local time as HH:MM, such as 09:00.")
    hours, minutes = text.split(":")
    return 60 * int(hours) + int(minutes)


def _quiet_spans(quiet_from: str | None, quiet_to: str | None) -> tuple[Span, ...]:
    if quiet_from is None or quiet_to is None:
        return ()
    start, end = _minute(quiet_from, "quiet_from", LOCAL_TIME), _minute(quiet_to, "quiet_to", LOCAL_TIME_OR_24)
    if start == end:
        raise InvalidWindow("quiet_to", "The quiet hours must end at another time than they begin.")
    return ((start, end),) if start < end else ((0, end), (start, DAY_MINUTES))


def _without(whole: Span, holes: Collection[Span]) -> tuple[Span, ...]:
    spans = [whole]
    for start, end in holes:
        spans = [
            piece
            for first, last in spans
            for piece in ((first, min(last, start)), (max(first, end), last))
            if piece[0] < piece[1]
        ]
    return tuple(sorted(spans))


# ------------------------------------------------------------------------------------------------------------ in time


@dataclass(frozen=True, slots=True)
class Hours:
    """The window of a campaign, and whose clock it follows."""

    window: SendingWindow
    follows: WindowZone
    time_zone: str

    def zones(self, country: str = "") -> tuple[str, ...]:
        """The zones whose clocks decide for the recipients of a country."""
        if self.follows is WindowZone.CAMPAIGN:
            return (self.time_zone,)
        return COUNTRY_ZONES.get(country, (self.time_zone,))


@dataclass(frozen=True, slots=True)
class Period:
    """What holds from a moment on, and until when. None: it holds for ever."""

    is_open: bool
    until: datetime | None


def is_open(window: SendingWindow, zones: Sequence[str], at: datetime) -> bool:
    """Whether the clocks of all these zones show a time of the window. Raises UnknownTimeZone."""
    return all(window.shows(at.astimezone(zone(name))) for name in zones)


def period(window: SendingWindow, zones: Sequence[str], at: datetime) -> Period:
    """Whether the window is open at this moment, and until when that stays so. Raises UnknownTimeZone."""
    now_open = is_open(window, zones, at)
    if window.is_always:
        return Period(is_open=True, until=None)
    for moment in _changes(window, zones, at):
        if is_open(window, zones, moment) != now_open:
            return Period(now_open, moment)
    return Period(now_open, None)


@dataclass(slots=True)
class Periods:
    """Remembers the present period of each window, which is computed anew only when it ends."""

    _known: dict[tuple[SendingWindow, tuple[str, ...]], tuple[datetime, Period]] = field(default_factory=dict)

    def at(self, window: SendingWindow, zones: tuple[str, ...], now: datetime) -> Period:
        """The period of this moment. Raises UnknownTimeZone."""
        since, known = self._known.get((window, zones), (now, None))
        if known is None or not since <= now < (known.until or since + PERIOD_KNOWN):
            since, known = now, period(window, zones, now)
            if len(self._known) >= PERIODS_MAX:
                self._known.clear()
            self._known[window, zones] = (since, known)
        return known


def next_open(window: SendingWindow, zones: Sequence[str], at: datetime) -> datetime | None:
    """The first open moment from this one on; None if there is none. Raises UnknownTimeZone."""
    now = period(window, zones, at)
    return at if now.is_open else now.until


def open_periods(
    window: SendingWindow, zones: Sequence[str], starts_at: datetime, ends_at: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """The open times between two moments, in order."""
    at = starts_at
    while at < ends_at:
        now = period(window, zones, at)
        until = ends_at if now.until is None else min(now.until, ends_at)
        if now.is_open:
            yield at, until
        at = until


def require_opening(hours: Hours, country: str | None, at: datetime) -> None:
    """Refuse a window that never opens for the numbers of the campaign's country. Raises InvalidWindow.

    The clocks of a wide country may be too far apart for a short window. A season moves them, so both half-years count.
    """
    if hours.follows is not WindowZone.RECIPIENT or country is None or country not in COUNTRY_ZONES:
        return
    zones = hours.zones(country)
    if all(next_open(hours.window, zones, moment) is None for moment in (at, at + HALF_YEAR)):
        raise InvalidWindow(
            "window_to",
            f"The clocks of {country} are too far apart: they never show a time of this window together, so nothing "
            "would be sent. Choose a longer window, or the zone of the campaign.",
        )


def _changes(window: SendingWindow, zones: Sequence[str], after: datetime) -> Iterator[datetime]:
    """The moments after this one at which the answer may change, in order."""
    midnight = after.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for _ in range(HORIZON_DAYS):
        next_midnight = midnight + timedelta(days=1)
        moments = {each for name in zones for each in _moments(window, zone(name), midnight, next_midnight)}
        yield from sorted(each for each in moments if each > after and midnight <= each < next_midnight)
        midnight = next_midnight


def _moments(window: SendingWindow, local: ZoneInfo, starts_at: datetime, ends_at: datetime) -> Iterator[datetime]:
    """When the wall clock shows a bound of a span, and when it is set forward or back."""
    for day in {starts_at.astimezone(local).date(), ends_at.astimezone(local).date()}:
        for minute in {minute % DAY_MINUTES for span in window.spans for minute in span}:
            shown = datetime.combine(day, time(minute // 60, minute % 60), tzinfo=local)
            yield shown.replace(fold=0).astimezone(UTC)
            yield shown.replace(fold=1).astimezone(UTC)
    if starts_at.astimezone(local).utcoffset() != ends_at.astimezone(local).utcoffset():
        yield _transition(local, starts_at, ends_at)


def _transition(local: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The minute between these at which the offset of the zone changes."""
    offset = before.astimezone(local).utcoffset()
    minutes_before, minutes_after = 0, int((after - before).total_seconds() // 60)
    while minutes_after - minutes_before > 1:
        middle = (minutes_before + minutes_after) // 2
        if (before + timedelta(minutes=middle)).astimezone(local).utcoffset() == offset:
            minutes_before = middle
        else:
            minutes_after = middle
    return before + timedelta(minutes=minutes_after)
