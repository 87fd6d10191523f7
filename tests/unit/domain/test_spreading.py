from datetime import UTC, date, datetime, timedelta

from domain.days import day_of
from domain.spreading import Slot, spread
from domain.windows import Weekday

WEEK_LONG = timedelta(days=7)
NOON = datetime(2026, 5, 5, 12, tzinfo=UTC)


def _spread(count: int, limit: int | None, planned: dict[date, int] | None = None, zone: str = "UTC") -> list[Slot]:
    return spread(count, now=NOON, today=day_of(NOON, zone), zone_name=zone, daily_limit=limit, planned=planned or {})


def test_without_a_limit_all_are_planned_for_now() -> None:
    assert _spread(1000, None) == [Slot(NOON, 1000)]


def test_a_limit_spreads_over_days_from_their_start() -> None:
    assert _spread(600, 250) == [
        Slot(NOON, 250),
        Slot(datetime(2026, 5, 6, tzinfo=UTC), 250),
        Slot(datetime(2026, 5, 7, tzinfo=UTC), 100),
    ]


def test_days_start_in_the_zone_of_the_campaign() -> None:
    assert _spread(2, 1, zone="America/Sao_Paulo")[1].at == datetime(2026, 5, 6, 3, tzinfo=UTC)


def test_planned_sends_count() -> None:
    planned = {date(2026, 5, 5): 10, date(2026, 5, 6): 7, date(2026, 5, 7): 12}
    assert _spread(5, 10, planned) == [
        Slot(datetime(2026, 5, 6, tzinfo=UTC), 3),
        Slot(datetime(2026, 5, 8, tzinfo=UTC), 2),
    ]


def test_an_empty_plan() -> None:
    assert _spread(0, 10) == _spread(0, None) == []


def test_only_the_days_of_the_window_are_planned() -> None:
    wednesday = datetime(2026, 5, 6, tzinfo=UTC)
    slots = spread(
        25, now=NOON, today=day_of(NOON, "UTC"), zone_name="UTC", daily_limit=10, planned={},
        weekdays={Weekday.MON, Weekday.WED},
    )  # fmt: skip
    assert slots == [Slot(wednesday, 10), Slot(datetime(2026, 5, 11, tzinfo=UTC), 10), Slot(wednesday + WEEK_LONG, 5)]
