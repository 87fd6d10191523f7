"""Windows: a table of moments around changes of the clock, and the laws of open and closed periods."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.country_zones import COUNTRY_ZONES
from domain.windows import (
    WEEK,
    WHOLE_DAY,
    Hours,
    InvalidWindow,
    Period,
    SendingWindow,
    Weekday,
    WindowZone,
    is_open,
    make_window,
    next_open,
    open_periods,
    period,
    require_opening,
)

MINUTE = timedelta(minutes=1)
DAYTIME = make_window(WEEK, "09:00", "20:00")
NIGHT_HOURS = make_window(WEEK, "02:30", "04:00")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("window", "zones", "at", "expected"),
    [
        (DAYTIME, ["UTC"], "2026-11-26 08:59", Period(False, utc("2026-11-26 09:00"))),
        (DAYTIME, ["UTC"], "2026-11-26 09:00", Period(True, utc("2026-11-26 20:00"))),
        (DAYTIME, ["UTC"], "2026-11-26 20:00", Period(False, utc("2026-11-27 09:00"))),
        (DAYTIME, ["America/Sao_Paulo"], "2026-11-26 11:00", Period(False, utc("2026-11-26 12:00"))),
        (WHOLE_DAY, ["Asia/Kolkata"], "2026-11-26 11:00", Period(True, None)),
        (make_window(["mon"], "00:00", "24:00"), ["UTC"], "2026-11-26 11:00", Period(False, utc("2026-11-30 00:00"))),
        (make_window(["mon"], "00:00", "24:00"), ["UTC"], "2026-11-30 11:00", Period(True, utc("2026-12-01 00:00"))),
        (make_window(["fri", "sat"], "00:00", "24:00"), ["UTC"], "2026-11-27 09:00", Period(True, utc("2026-11-29"))),
        # 28 March 2027: Berlin's clocks go from 02:00 to 03:00, so this window begins at 03:00.
        (NIGHT_HOURS, ["Europe/Berlin"], "2027-03-28 00:30", Period(False, utc("2027-03-28 01:00"))),
        (NIGHT_HOURS, ["Europe/Berlin"], "2027-03-28 01:00", Period(True, utc("2027-03-28 02:00"))),
        # 31 October 2027: they go from 03:00 back to 02:00, and 02:30 to 03:00 comes twice.
        (NIGHT_HOURS, ["Europe/Berlin"], "2027-10-31 00:30", Period(True, utc("2027-10-31 01:00"))),
        (NIGHT_HOURS, ["Europe/Berlin"], "2027-10-31 01:10", Period(False, utc("2027-10-31 01:30"))),
        (NIGHT_HOURS, ["Europe/Berlin"], "2027-10-31 01:30", Period(True, utc("2027-10-31 03:00"))),
        # A window that never closes at midnight does not close there.
        (make_window(WEEK, "00:00", "24:00", "13:00", "14:00"), ["UTC"], "2026-11-26 23:00",
         Period(True, utc("2026-11-27 13:00"))),
        # New York and Honolulu are both in the window from 14:00 to 20:00 of New York's winter.
        (DAYTIME, COUNTRY_ZONES["US"], "2026-11-26 14:00", Period(False, utc("2026-11-26 19:00"))),
        (DAYTIME, COUNTRY_ZONES["US"], "2026-11-26 19:00", Period(True, utc("2026-11-27 01:00"))),
        # Kaliningrad and Kamchatka are ten hours apart.
        (DAYTIME, COUNTRY_ZONES["RU"], "2026-11-26 12:00", Period(False, utc("2026-11-27 07:00"))),
        (DAYTIME, COUNTRY_ZONES["RU"], "2026-11-26 07:30", Period(True, utc("2026-11-26 08:00"))),
        (make_window(WEEK, "09:00", "18:00"), COUNTRY_ZONES["RU"], "2026-11-26 07:30", Period(False, None)),
    ],
)  # fmt: skip
def test_the_period_of_a_moment(window: SendingWindow, zones: list[str], at: str, expected: Period) -> None:
    assert period(window, zones, utc(at)) == expected


@pytest.mark.parametrize(
    ("quiet_from", "quiet_to", "spans"),
    [
        (None, None, ((540, 1200),)),
        ("13:00", "15:00", ((540, 780), (900, 1200))),
        ("08:00", "10:00", ((600, 1200),)),
        ("22:00", "07:00", ((540, 1200),)),
        ("19:00", "10:00", ((600, 1140),)),
        ("19:00", "24:00", ((540, 1140),)),
    ],
)
def test_quiet_hours_are_taken_out(quiet_from: str | None, quiet_to: str | None, spans: object) -> None:
    assert make_window(WEEK, "09:00", "20:00", quiet_from, quiet_to).spans == spans


@pytest.mark.parametrize(
    ("values", "field"),
    [
        (([], "09:00", "20:00"), "window_days"),
        ((["monday"], "09:00", "20:00"), "window_days"),
        ((WEEK, "20:00", "09:00"), "window_to"),
        ((WEEK, "09:00", "09:00"), "window_to"),
        ((WEEK, "9:00", "20:00"), "window_from"),
        ((WEEK, "24:00", "20:00"), "window_from"),
        ((WEEK, "09:00", "24:01"), "window_to"),
        ((WEEK, "09:00", "20:00", "13:00", None), "quiet_to"),
        ((WEEK, "09:00", "20:00", None, "13:00"), "quiet_from"),
        ((WEEK, "09:00", "20:00", "13:00", "13:00"), "quiet_to"),
        ((WEEK, "09:00", "20:00", "08:00", "20:00"), "quiet_to"),
        ((WEEK, "09:00", "20:00", "20:00", "24:30"), "quiet_to"),
    ],
)
def test_values_that_make_no_window_name_their_field(values: tuple[str, ...], field: str) -> None:
    with pytest.raises(InvalidWindow) as refused:
        make_window(*values)
    assert refused.value.field == field


def test_a_recipient_has_the_zones_of_its_country() -> None:
    followed = Hours(DAYTIME, WindowZone.RECIPIENT, "Asia/Tokyo")
    assert followed.zones("DE") == COUNTRY_ZONES["DE"]
    assert followed.zones("001") == followed.zones("") == ("Asia/Tokyo",)
    assert Hours(DAYTIME, WindowZone.CAMPAIGN, "Asia/Tokyo").zones("DE") == ("Asia/Tokyo",)


def test_a_country_may_be_too_wide_for_a_window() -> None:
    noon = utc("2026-11-26 12:00")
    short = make_window(WEEK, "09:00", "18:00")
    for country in (None, "", "001", *COUNTRY_ZONES):
        require_opening(Hours(DAYTIME, WindowZone.RECIPIENT, "UTC"), country, noon)
        require_opening(Hours(short, WindowZone.CAMPAIGN, "UTC"), country, noon)
    with pytest.raises(InvalidWindow, match="clocks of RU are too far apart") as refused:
        require_opening(Hours(short, WindowZone.RECIPIENT, "UTC"), "RU", noon)
    assert refused.value.field == "window_to"


def test_a_window_that_opens_in_one_half_of_the_year_is_no_mistake() -> None:
    hours = Hours(make_window(WEEK, "00:00", "06:00"), WindowZone.RECIPIENT, "UTC")
    seasons = {
        country: {
            next_open(hours.window, hours.zones(country), utc(f"2026-{month}-15 00:00")) is None
            for month in ("01", "07")
        }
        for country in COUNTRY_ZONES
    }
    [wide, *_] = [country for country, closed in seasons.items() if closed == {True, False}]
    for month in ("01", "07"):
        require_opening(hours, wide, utc(f"2026-{month}-15 00:00"))


MOMENTS = st.integers(0, 2 * 365 * 1440).map(lambda minute: utc("2026-01-01") + minute * MINUTE)
NAMES = st.sampled_from([
    "UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "America/St_Johns", "Asia/Kathmandu",
    "Australia/Lord_Howe", "Antarctica/Troll", "Africa/Casablanca", "Pacific/Apia", "Pacific/Pago_Pago",
    "Pacific/Chatham", "America/Santiago",
])  # fmt: skip
ZONE_SETS = st.one_of(NAMES.map(lambda name: (name,)), st.tuples(NAMES, NAMES))
CLOCKS = st.integers(0, 1439).map(lambda minute: f"{minute // 60:02}:{minute % 60:02}")


@st.composite
def windows(draw: st.DrawFn) -> SendingWindow:
    days = draw(st.sets(st.sampled_from(Weekday), min_size=1))
    opens, closes = draw(CLOCKS), draw(st.one_of(CLOCKS, st.just("24:00")))
    quiet = draw(st.one_of(st.just((None, None)), st.tuples(CLOCKS, CLOCKS)))
    try:
        return make_window(days, opens, closes, *quiet)
    except InvalidWindow:
        return make_window(days, "08:30", "21:45")


@given(windows(), ZONE_SETS, MOMENTS)
def test_nothing_changes_before_the_end_of_a_period(
    window: SendingWindow, zones: tuple[str, ...], at: datetime
) -> None:
    now = period(window, zones, at)
    assert now.is_open == is_open(window, zones, at)
    end = min(now.until or at + timedelta(days=2), at + timedelta(days=2))
    moment = at.replace(second=0, microsecond=0) + MINUTE
    while moment < end:
        assert is_open(window, zones, moment) == now.is_open, moment
        moment += 7 * MINUTE
    if now.until is not None:
        assert is_open(window, zones, now.until - timedelta(seconds=1)) == now.is_open
        assert is_open(window, zones, now.until) != now.is_open


@given(windows(), NAMES, MOMENTS)
def test_a_window_of_one_zone_opens_within_a_week_and_a_day(window: SendingWindow, name: str, at: datetime) -> None:
    opens = next_open(window, [name], at)
    assert opens is not None
    assert at <= opens <= at + timedelta(days=15)
    assert is_open(window, [name], opens)


@given(windows(), ZONE_SETS, MOMENTS)
def test_open_periods_are_the_open_moments(window: SendingWindow, zones: tuple[str, ...], at: datetime) -> None:
    end = at + timedelta(days=3)
    found = list(open_periods(window, zones, at, end))
    assert all(at <= start < stop <= end for start, stop in found)
    assert all(earlier[1] < later[0] for earlier, later in pairwise(found))
    for moment in (at + step * timedelta(minutes=37) for step in range(116)):
        assert any(start <= moment < stop for start, stop in found) == is_open(window, zones, moment)


@given(windows(), NAMES, MOMENTS)
def test_nobody_gets_a_message_outside_the_wall_clock_times(window: SendingWindow, name: str, at: datetime) -> None:
    for country in ("BR", "US", "ID"):
        zones = Hours(window, WindowZone.RECIPIENT, name).zones(country)
        if is_open(window, zones, at):
            assert all(is_open(window, [each], at) for each in zones)


def test_a_day_is_a_day_of_the_window() -> None:
    weekend = make_window(["sat", "sun"], "10:00", "18:00")
    assert [weekend.has_day(date(2026, 11, day)) for day in (27, 28, 29, 30)] == [False, True, True, False]
