"""The views of `tables/sql/schema.sql` give the figures of REST for every campaign, and no phone number."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import psycopg
import pytest
from psycopg.rows import dict_row

from domain.stats import percentage
from schemas.model import CampaignId
from schemas.stats import CampaignStats
from tables import stats
from tests.support.code_blocks import block
from tests.support.paths import ROOT
from tests.support.world import World

DASHBOARDS = ROOT / "docs" / "dashboards.md"
FACTS = {
    "queued": "attempt = 1",
    "sent": "attempt = 1, sent_at = now(), accepted_attempts = 2",
    "read": "attempt = 1, sent_at = now(), delivered_at = now(), read_at = now(), replied_at = now(),"
    " accepted_attempts = 2",
    "failed": "attempt = 1, failed_attempts = 2, failed_attempt = 1, failed_at = now(), failure_code = 131026,"
    " failure_text = 'undeliverable', failure_class = 'backoff', failure_backoff_s = 60",
    "refused": "attempt = 1, failed_attempts = 2, failed_attempt = 1, failed_at = now(), failure_text = 'no such code'",
    "opted out": "attempt = 1, skipped_attempt = 1, skip_reason = 'opted_out'",
    "cancelled": "attempt = 1, skipped_attempt = 1, skip_reason = 'campaign_cancelled'",
    "unknown": "attempt = 1, unknown_attempt = 1",
}
"""What a recipient of each kind has. Those without a kind are pending."""


async def add_campaign_of_all_kinds(world: World, each: int) -> CampaignId:
    """A campaign with so many recipients of the first kind, one more of the next, and so on."""
    world.campaign = await world.add_campaign()
    await world.add_recipients(each)
    for more, facts in enumerate(FACTS.values()):
        people = await world.add_recipients(each + more)
        await world.run(f"UPDATE campaign_recipients SET {facts} WHERE id = ANY(%s)", people)
    return world.campaign


async def reported(world: World, campaign: CampaignId) -> dict[str, object]:
    """The figures of the views, by the fields of a snapshot."""
    async with world.connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("SELECT * FROM report_campaigns WHERE campaign_id = %s", [campaign])
        row = await cursor.fetchone()
    assert row is not None
    for view, name, key in (("report_failures", "failures", "code"), ("report_skips", "skips", "reason")):
        found = await world.run(f"SELECT {key}, recipients FROM {view} WHERE campaign_id = %s", campaign)
        row[name] = dict(found)
    row |= {name: float(value) for name, value in row.items() if isinstance(value, Decimal)}
    return {field: row[field] for field in CampaignStats.model_fields if field not in {"v", "producer", "as_of"}}


async def test_the_views_give_the_figures_of_rest(world: World) -> None:
    campaigns = [await add_campaign_of_all_kinds(world, each) for each in (1, 3)]
    empty = await world.add_campaign()
    for _ in ("with changes that are not folded", "and without"):
        totals = await stats.read(world.connection, [*campaigns, empty])
        for campaign, found in totals.items():
            expected = found.model_dump(exclude={"v", "producer", "as_of", "eta"})
            assert await reported(world, campaign) == expected
        await stats.fold(world.connection)
    assert set(totals[campaigns[0]].failures) == {"131026", "unknown"}
    assert (totals[campaigns[1]].handled, totals[empty].progress_percentage) == (55 - 3 - 3 - 9, 0.0)
    timeline = "SELECT sum(sent)::int, sum(read)::int, sum(failed)::int, sum(replied)::int FROM report_timeline"
    sums = [sum(getattr(found, name) for found in totals.values()) for name in ("sent", "read", "failed", "replied")]
    assert await world.run(timeline) == [tuple(sums)]


async def test_rates_are_rounded_as_everywhere(world: World) -> None:
    rows = await world.run(
        "SELECT part, whole, report_percentage(part, whole)::float"
        " FROM generate_series(0, 70) AS part, generate_series(0, 70) AS whole WHERE part <= whole"
    )
    assert all(found == percentage(part, whole) for part, whole, found in rows)


async def test_an_analyst_reads_the_views_and_no_number(world: World, database_url: str) -> None:
    campaign = await add_campaign_of_all_kinds(world, 1)
    number = await world.value("SELECT min(phone_number) FROM campaign_recipients")
    role = f"analyst_{campaign.hex}"
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute(block(DASHBOARDS, "role").replace("analyst", role).encode())
        try:
            owner.execute(f"SET ROLE {role}".encode())
            assert owner.execute(block(DASHBOARDS, "query").encode()).fetchall()
            people = owner.execute("SELECT * FROM report_recipients WHERE campaign_id = %s", [campaign]).fetchall()
            assert len(people) == 1 + sum(range(1, 9))
            assert number not in repr(people)
            assert number[-4:] in repr(people)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                owner.execute("SELECT FROM campaign_recipients")
        finally:
            owner.execute("RESET ROLE")
            owner.execute(f"DROP OWNED BY {role}".encode())
            owner.execute(f"DROP ROLE {role}".encode())


async def test_recipients_have_the_status_and_the_reason_of_their_row(world: World) -> None:
    await add_campaign_of_all_kinds(world, 1)
    found = await world.run(
        "SELECT status, failure, skip, count(*) FROM report_recipients GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    )
    assert ("failed", "131026", None, 4) in found
    assert ("skipped", None, "campaign_cancelled", 7) in found
    times = await world.run(
        "SELECT failed_at FROM report_recipients WHERE status <> 'failed' AND failed_at IS NOT NULL"
    )
    assert times == []
    assert datetime.now(UTC) >= await world.value("SELECT max(read_at) FROM report_recipients")
