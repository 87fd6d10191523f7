"""The gauges of the leader show the state of Postgres, and none of it once it does not lead."""

from __future__ import annotations

import asyncio

from pydantic import SecretStr

from producers.scheduler.gauges import show_gauges
from runtime.metrics import REGISTRY
from runtime.settings import Settings
from tables.leadership import Leader
from tests.support.waiting import eventually_async
from tests.support.world import World


def value(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"campaigns_{name}", labels)


async def test_the_leader_shows_what_waits_and_then_nothing(world: World) -> None:
    settings = Settings(
        kafka_bootstrap_servers="unused:1", database_url=SecretStr(world.url), whatsapp_mps=7, release_cap_s=3
    )
    await world.release_jobs(3)
    await world.run("UPDATE marketing_campaigns SET daily_send_limit = 3")
    await world.run(
        "INSERT INTO campaign_days SELECT id, (now() AT TIME ZONE time_zone)::date, 3 FROM marketing_campaigns "
        "ON CONFLICT (campaign_id, day) DO UPDATE SET used = 3"
    )
    await world.run("INSERT INTO messages (wamid, first_seen_at) VALUES ('wamid.other', now() - interval '1 hour')")
    await world.run("INSERT INTO foreign_statuses VALUES ((now() AT TIME ZONE 'UTC')::date, 'n', 4)")
    await world.run("INSERT INTO campaign_counters SELECT id, 'status', 'unknown', 2 FROM marketing_campaigns")
    await world.run("INSERT INTO portfolio (people_max) VALUES (5)")
    await world.run("INSERT INTO portfolio_buckets VALUES (now(), 2)")
    await world.run("UPDATE installation SET timeline = 'another'")
    stop = asyncio.Event()

    async def is_shown() -> bool:
        return value("daily_budgets_exhausted") == 1

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(show_gauges(Leader(world.connection), settings, stop))
        await eventually_async(is_shown)
        assert value("parked") == 1
        assert 3600 <= (value("parked_oldest_seconds") or 0) < 3700
        assert value("foreign_statuses_today") == 4
        assert value("unknown_recipients") == 2
        samples = [sample for family in REGISTRY.collect() for sample in family.samples]
        numbers = {each.labels["number"]: each.value for each in samples if each.name == "campaigns_released"}
        assert list(numbers.values()) == [3]
        assert value("released_max") == 21
        assert (value("events_held"), value("recovery_needed")) == (0, 1)
        assert (value("portfolio_people"), value("portfolio_people_max")) == (2, 5)
        assert (value("daily_budget_used"), value("daily_budget_limit")) == (3, 3)
        stop.set()
    assert value("recovery_needed") == 0
    assert (value("parked"), value("unknown_recipients"), value("released", number=next(iter(numbers)))) == (0, 0, None)
