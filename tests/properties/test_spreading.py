from datetime import UTC, date, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.days import day_of
from domain.spreading import HORIZON_DAYS, spread

ZONES = st.sampled_from(["UTC", "America/Sao_Paulo", "Asia/Kolkata", "Europe/Berlin", "Pacific/Kiritimati"])
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001


@given(st.integers(0, 500), MOMENTS, ZONES, st.integers(1, 60), st.dictionaries(st.integers(0, 9), st.integers(0, 90)))
def test_a_plan_contains_everyone_and_never_exceeds_a_limit(
    count: int, now: datetime, zone: str, limit: int, planned_by_offset: dict[int, int]
) -> None:
    today = day_of(now, zone)
    planned: dict[date, int] = {today.date + timedelta(days=n): used for n, used in planned_by_offset.items()}
    slots = spread(count, now=now, today=today, zone_name=zone, daily_limit=limit, planned=planned)
    assert sum(slot.count for slot in slots) == count
    assert all(slot.at >= now for slot in slots)
    days = [day_of(slot.at, zone).date for slot in slots]
    assert days == sorted(set(days))
    assert all(slot.count + planned.get(day, 0) <= limit for slot, day in zip(slots, days, strict=True))


@settings(max_examples=8)  # each plans ten years
@given(MOMENTS, ZONES, st.integers(1, 50))
def test_a_plan_ends_at_the_horizon(now: datetime, zone: str, beyond: int) -> None:
    today = day_of(now, zone)
    count = HORIZON_DAYS + 1 + beyond
    slots = spread(count, now=now, today=today, zone_name=zone, daily_limit=1, planned={})
    assert sum(slot.count for slot in slots) == count
    assert day_of(slots[-1].at, zone).date == today.date + timedelta(days=HORIZON_DAYS)
    assert [slot.count for slot in slots] == [1] * HORIZON_DAYS + [1 + beyond]
