"""Windows on a real Postgres: nothing is released outside of them, no job outlives them, and late campaigns wait."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from domain.lifecycle import Action
from domain.windows import InvalidWindow
from schemas.model import CampaignId
from schemas.reasons import PauseReason
from tables import campaigns, editing
from tables.campaigns import NewCampaign
from tables.ledger import ClaimResult
from tables.new_recipients import NewRecipient
from tables.release_memory import WATCH_S, ReleaseMemory
from tables.releases import Rates, release_step
from tests.support.world import FAST, NUMBER_ID, World

TOKYO, BERLIN, NOWHERE = "819012345678", "4915112345678", "88310000000123"
"""Numbers of Japan, of Germany, and of no country."""


def around_now(zone: str, minutes: int = 60) -> dict[str, str]:
    """A window that is open now in this zone."""
    now = datetime.now(ZoneInfo(zone))
    minute = 60 * now.hour + now.minute
    start, end = max(0, minute - minutes), min(1440, minute + minutes)
    return {"window_from": f"{start // 60:02}:{start % 60:02}", "window_to": f"{end // 60:02}:{end % 60:02}"}


def after_now(zone: str) -> dict[str, str]:
    """A window that is closed now in this zone: it is on another day if the day is over."""
    hour = datetime.now(ZoneInfo(zone)).hour
    start = (hour + 3) % 24
    return {"window_from": f"{start:02}:00", "window_to": f"{start:02}:59"}


async def start(world: World, numbers: list[str], **settings: Any) -> CampaignId:
    new = NewCampaign("Test", "your_template", "en_US", None, NUMBER_ID, settings.pop("zone", "UTC"), **settings)
    campaign = (await campaigns.create(world.connection, new)).id
    await campaigns.add_recipients(world.connection, campaign, [NewRecipient(number) for number in numbers])
    await campaigns.act(world.connection, campaign, Action.ACTIVATE)
    return CampaignId(campaign)


async def test_a_closed_window_releases_nobody_and_changes_no_row(world: World) -> None:
    campaign = await start(world, [TOKYO], zone="Asia/Tokyo", **after_now("Asia/Tokyo"))
    before = await world.run("SELECT xmin, ctid FROM campaign_recipients")
    step = await world.release()
    assert (step.jobs, step.is_more) == ((), False)
    assert await world.run("SELECT xmin, ctid FROM campaign_recipients") == before
    await editing.edit(world.connection, campaign, around_now("Asia/Tokyo"))
    assert len((await world.release()).jobs) == 1


async def test_no_job_outlives_the_window(world: World) -> None:
    window = around_now("Asia/Tokyo", 5)
    await start(world, [TOKYO], zone="Asia/Tokyo", **window)
    (job,) = (await world.release()).jobs
    assert timedelta() < job.send_before - datetime.now(UTC) <= timedelta(minutes=5)
    local = job.send_before.astimezone(ZoneInfo("Asia/Tokyo"))
    assert window["window_to"] in {f"{local:%H:%M}", "24:00"}
    assert await world.value("SELECT send_before FROM releases") == job.send_before


async def test_recipients_follow_the_clocks_of_their_countries(world: World) -> None:
    tokyo = around_now("Asia/Tokyo")
    await start(world, [BERLIN, TOKYO, TOKYO[:-1] + "9"], window_zone="recipient", **tokyo)
    jobs = (await world.release()).jobs
    assert Counter(job.recipient_name[:2] for job in jobs) == {"81": 2}
    assert all(job.send_before <= datetime.now(UTC) + timedelta(hours=1) for job in jobs)
    countries = await world.run("SELECT window_country, attempt FROM campaign_recipients ORDER BY 1, 2")
    assert countries == [("DE", 0), ("JP", 1), ("JP", 1)]


async def test_a_number_of_no_country_and_one_planned_by_hand_follow_the_campaign(world: World) -> None:
    berlin = around_now("Europe/Berlin")
    campaign = await start(world, [NOWHERE, TOKYO], zone="Europe/Berlin", window_zone="recipient", **berlin)
    await world.run(
        "INSERT INTO campaign_recipients (campaign_id, phone_number, scheduled_send_date)"
        " VALUES (%s, '14155550100', now())",
        campaign,
    )  # fmt: skip
    assert sorted(job.recipient_name for job in (await world.release()).jobs) == ["14155550100", NOWHERE]


async def test_retries_wait_for_the_window_of_their_country(world: World) -> None:
    campaign = await start(world, [BERLIN, TOKYO], window_zone="recipient", **around_now("Asia/Tokyo"))
    await world.run(
        "UPDATE campaign_recipients SET attempt = 1, deferred_attempt = 1, deferred_until = now()"
        " WHERE campaign_id = %s",
        campaign,
    )  # fmt: skip
    assert [(job.recipient_name, job.attempt) for job in (await world.release()).jobs] == [(TOKYO, 2)]


async def test_many_countries_are_released_in_the_order_in_which_they_are_due(world: World) -> None:
    numbers = [f"81901234{n:04}" for n in range(20)] + [f"82101234{n:04}" for n in range(20)]
    await start(world, numbers, window_zone="recipient")
    await world.run(
        "UPDATE campaign_recipients SET scheduled_send_date = now() - interval '1 s' * right(phone_number, 2)::int"
    )
    memory, rates = ReleaseMemory(), Rates(mps=10, cap_s=100)
    first = (await release_step(await world.releaser(), rates, memory)).jobs
    assert Counter(job.recipient_name[:2] for job in first) == {"81": 5, "82": 5}
    assert {int(job.recipient_name[-2:]) for job in first} == set(range(15, 20))


async def test_a_new_window_expires_what_the_old_one_released(world: World) -> None:
    campaign = await start(world, [TOKYO, BERLIN])
    jobs = list((await world.release()).jobs)
    assert await world.claim(jobs[:1]) == [ClaimResult.CLAIMED]
    await editing.edit(world.connection, campaign, after_now("UTC"))
    assert await world.claim(jobs[1:]) == [ClaimResult.EXPIRED]
    assert await world.value("SELECT send_before <= now() FROM send_ledger WHERE outcome IS NULL")
    assert (await world.release()).jobs == ()


async def test_a_campaign_waits_for_its_start(world: World) -> None:
    later = datetime.now(UTC) + timedelta(days=40)
    campaign = await start(world, [TOKYO], start_at=later)
    planned = "SELECT scheduled_send_date FROM campaign_recipients WHERE campaign_id = %s"
    assert await world.value(planned, campaign) == later
    assert (await world.release()).jobs == ()
    await editing.edit(world.connection, campaign, {"start_at": None})
    assert len((await world.release()).jobs) == 1, "the recipients have left the old plan"


async def test_the_start_holds_although_the_plan_does_not_know_it_yet(world: World) -> None:
    campaign = await start(world, [TOKYO])
    await world.run("UPDATE marketing_campaigns SET start_at = now() + interval '1 day' WHERE id = %s", campaign)
    assert (await world.release()).jobs == ()


async def test_the_days_of_the_plan_begin_with_the_start(world: World) -> None:
    start_at = datetime.now(UTC).replace(hour=15, minute=0, second=0, microsecond=0) + timedelta(days=3)
    new = NewCampaign("Test", "your_template", "en_US", 2, NUMBER_ID, "UTC", start_at=start_at)
    campaign = (await campaigns.create(world.connection, new)).id
    await campaigns.add_recipients(world.connection, campaign, [NewRecipient(f"4915112345{n:03}") for n in range(5)])
    await campaigns.act(world.connection, campaign, Action.ACTIVATE)
    days = "SELECT scheduled_send_date, count(*) FROM campaign_recipients GROUP BY 1 ORDER BY 1"
    midnight = start_at.replace(hour=0)
    assert await world.run(days) == [
        (start_at, 2), (midnight + timedelta(days=1), 2), (midnight + timedelta(days=2), 1)
    ]  # fmt: skip


async def test_quiet_hours_that_leave_nothing_pause_the_campaign_alone(world: World) -> None:
    broken, other = await start(world, [TOKYO]), await start(world, [BERLIN])
    with pytest.raises(InvalidWindow):
        await editing.edit(world.connection, broken, {"quiet_from": "00:00", "quiet_to": "24:00"})
    await world.run("UPDATE marketing_campaigns SET quiet_from = '00:00', quiet_to = '24:00' WHERE id = %s", broken)
    assert [job.campaign_id for job in (await world.release()).jobs] == [other]
    assert (await campaigns.read(world.connection, broken)).pause_reason == PauseReason.INVALID_WINDOW


# ----------------------------------------------------------------------------------------------------------- staleness


async def test_after_a_long_outage_a_campaign_waits_for_a_person(world: World) -> None:
    late, patient = await start(world, [TOKYO]), await start(world, [BERLIN], stale_after_hours=None)
    idle = await start(world, [TOKYO])
    await world.run("DELETE FROM campaign_recipients WHERE campaign_id = %s", idle)
    await world.run("UPDATE marketing_campaigns SET started_at = now() - interval '30 hours'")
    assert [job.campaign_id for job in (await world.release()).jobs] == [patient]
    stopped = await campaigns.read(world.connection, late)
    assert (stopped.status, stopped.pause_reason) == ("paused", PauseReason.STALE)
    assert (await campaigns.read(world.connection, idle)).status == "active", "nobody waits"
    await world.act(late, Action.RESUME)
    assert [job.campaign_id for job in (await world.release()).jobs] == [late]


async def test_a_campaign_that_a_breaker_holds_waits_after_its_own_limit_if_that_is_shorter(world: World) -> None:
    short, day = await start(world, [TOKYO], stale_after_hours=6), await start(world, [BERLIN])
    await world.run("UPDATE marketing_campaigns SET started_at = now() - interval '30 hours'")
    await world.run(
        "INSERT INTO breakers (scope, key, opened_at, probe_at)"
        " VALUES ('account', '', now(), now() + interval '1 hour')"
    )
    assert (await world.release()).jobs == ()
    assert (await campaigns.read(world.connection, short)).pause_reason == PauseReason.STALE
    assert (await campaigns.read(world.connection, day)).status == "active", "the breaker pauses it, with its reason"
    assert not await world.value("SELECT count(*) FROM campaign_watch WHERE campaign_id IN (%s, %s)", short, day)


async def test_a_campaign_that_is_served_or_has_nothing_to_send_is_in_order(world: World) -> None:
    served = await start(world, [TOKYO])
    closed = await start(world, [BERLIN], **after_now("UTC"))
    await world.run("UPDATE marketing_campaigns SET started_at = now() - interval '10 days'")
    await world.run("INSERT INTO campaign_watch SELECT id, now() - interval '23 hours' FROM marketing_campaigns")
    assert [job.campaign_id for job in (await world.release()).jobs] == [served]
    in_order = await world.run("SELECT campaign_id FROM campaign_watch WHERE in_order_at > now() - interval '1 minute'")
    assert {row[0] for row in in_order} >= {served, closed}


async def test_a_campaign_that_is_due_and_releases_nothing_is_not_in_order(world: World) -> None:
    now = [0.0]
    memory, rates = ReleaseMemory(clock=lambda: now[0]), Rates(mps=1, cap_s=1)
    blocked = await start(world, [TOKYO, BERLIN])
    releaser = await world.releaser()
    assert len((await release_step(releaser, rates, memory)).jobs) == 1
    now[0] += WATCH_S
    await release_step(releaser, rates, memory)
    await world.run("UPDATE campaign_watch SET in_order_at = now() - interval '23 hours'")
    assert (await release_step(releaser, rates, memory)).jobs == (), "the sender does not take the first job"
    now[0] += WATCH_S
    await release_step(releaser, rates, memory)
    assert await world.value(
        "SELECT in_order_at < now() - interval '22 hours' FROM campaign_watch WHERE campaign_id = %s", blocked
    )
    await world.run("UPDATE campaign_watch SET in_order_at = now() - interval '25 hours'")
    await world.run("UPDATE marketing_campaigns SET started_at = now() - interval '2 days' WHERE id = %s", blocked)
    now[0] += WATCH_S
    await release_step(releaser, rates, memory)
    assert (await campaigns.read(world.connection, blocked)).pause_reason == PauseReason.STALE


async def test_a_reopened_campaign_is_not_late(world: World) -> None:
    campaign = await start(world, [TOKYO])
    await world.run("UPDATE campaign_recipients SET attempt = 1, skipped_attempt = 1, skip_reason = 'opted_out'")
    await world.run("UPDATE marketing_campaigns SET status = 'completed', started_at = now() - interval '9 days'")
    await campaigns.add_recipients(world.connection, campaign, [NewRecipient(BERLIN)])
    assert [job.recipient_name for job in (await world.release(FAST)).jobs] == [BERLIN]
