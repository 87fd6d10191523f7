from datetime import UTC, date, datetime, timedelta

import pytest

from domain.days import UnknownTimeZone, day_at, day_of, zone


def test_a_day_of_utc() -> None:
    day = day_of(datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC), "UTC")
    assert day.date == date(2026, 3, 1)
    assert day.starts_at == datetime(2026, 3, 1, tzinfo=UTC)
    assert day.ends_at == datetime(2026, 3, 2, tzinfo=UTC)


def test_the_same_time_is_a_different_day_in_another_zone() -> None:
    late = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
    assert day_of(late, "America/Sao_Paulo").date == date(2026, 2, 28)
    assert day_of(late, "America/Sao_Paulo").ends_at == datetime(2026, 3, 1, 3, 0, tzinfo=UTC)


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 6, 1), 24)])
def test_a_day_is_as_long_as_daylight_saving_makes_it(day: date, hours: int) -> None:
    found = day_at(day, "Europe/Berlin")
    assert found.ends_at - found.starts_at == timedelta(hours=hours)


def test_the_bounds_of_a_day_are_in_utc() -> None:
    day = day_at(date(2026, 6, 1), "Europe/Berlin")
    assert day.starts_at.tzinfo is day.ends_at.tzinfo is UTC


def test_the_end_of_a_day_is_the_start_of_the_next() -> None:
    day = day_of(datetime(2026, 5, 5, 12, tzinfo=UTC), "Asia/Kolkata")
    assert day_of(day.ends_at, "Asia/Kolkata").starts_at == day.ends_at
    assert day_of(day.ends_at - timedelta(microseconds=1), "Asia/Kolkata") == day


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../../etc/passwd", "/etc/passwd", "Europe", "\0"])
def test_an_unknown_zone_is_refused(name: str) -> None:
    with pytest.raises(UnknownTimeZone):
        zone(name)
