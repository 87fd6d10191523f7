"""Pages of recipients: complete, in order, and each examines a limited number of rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from schemas.model import RecipientId
from tables import recipient_pages
from tables.recipient_pages import FIRST_ID, read_page
from tables.statements import load
from tests.support.world import World

SQL = load("recipient_pages")

FACTS = {
    "failed": "attempt = 1, failed_attempts = 2, failed_attempt = 1, failed_at = now(), failure_class = 'never'",
    "skipped": "attempt = 1, skipped_attempt = 1, skip_reason = 'opted_out'",
    "unknown": "attempt = 1, unknown_attempt = 1",
    "sent": "attempt = 1, accepted_attempts = 2, sent_at = now()",
}


async def read_all(world: World, limit: int, statuses: list[str] | None) -> tuple[list[UUID], int]:
    """The ids of all pages, and the number of pages."""
    found: list[UUID] = []
    after: UUID | None = FIRST_ID
    pages = 0
    while after is not None:
        page = await read_page(world.connection, world.campaign, limit=limit, after=after, statuses=statuses)
        found += [row.id for row in page.rows]
        assert len(page.rows) <= limit
        pages, after = pages + 1, page.after
    return found, pages


@pytest.mark.parametrize("statuses", [["failed"], ["skipped"], ["unknown"], ["sent"], ["failed", "sent"], None])
async def test_all_pages_together_are_the_recipients_with_the_status(
    world: World, monkeypatch: pytest.MonkeyPatch, statuses: list[str] | None
) -> None:
    monkeypatch.setattr(recipient_pages, "WINDOW_ROWS", 7)
    people = await world.add_recipients(40)
    expected: list[RecipientId] = []
    for place, person in enumerate(people):
        status = [*FACTS, "pending"][place % 5]
        if status != "pending":
            await world.run(f"UPDATE campaign_recipients SET {FACTS[status]} WHERE id = %s", person)
        if statuses is None or status in statuses:
            expected.append(person)
    for limit in (1, 3, 100):
        assert (await read_all(world, limit, statuses))[0] == expected


async def test_a_status_that_nobody_has_costs_a_window_per_page(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipient_pages, "WINDOW_ROWS", 10)
    await world.add_recipients(35)
    assert await read_all(world, 5, ["read"]) == ([], 4)


async def test_a_recipient_whose_retry_succeeded_is_not_listed_as_failed(world: World) -> None:
    person, *_ = await world.add_recipients(2)
    await world.run(f"UPDATE campaign_recipients SET {FACTS['failed']} WHERE id = %s", person)
    await world.run("UPDATE campaign_recipients SET attempt = 2, accepted_attempts = 4 WHERE id = %s", person)
    assert await read_all(world, 10, ["failed"]) == ([], 1)


async def test_a_person_is_found_by_the_index_that_makes_people_unique(world: World) -> None:
    campaign = await world.start_campaign(500)
    await world.run("SET plan_cache_mode = force_generic_plan")
    await world.run("ANALYZE campaign_recipients")
    values = {"campaign": campaign, "after": campaign, "limit": 100, "statuses": None, "person": "15550000007"}
    cursor = await world.connection.execute("EXPLAIN " + SQL["list_person"], values)
    plan = " ".join(str(row[0]) for row in await cursor.fetchall())
    assert "campaign_recipients_campaign_id_person_repetition_key" in plan, plan
    (row,) = (await read_page(world.connection, campaign, limit=100, person="15550000007")).rows
    assert (row.phone_number, row.person) == ("15550000007", "15550000007")


async def test_a_person_may_be_filtered_by_status_too(world: World) -> None:
    campaign = await world.start_campaign(3)
    found = await read_page(world.connection, campaign, limit=9, person="15550000001", statuses=["sent"])
    assert found.rows == []
    found = await read_page(world.connection, campaign, limit=9, person="15550000001", statuses=["pending"])
    assert len(found.rows) == 1


@pytest.mark.parametrize("status", list(FACTS))
async def test_a_full_page_examines_no_further(world: World, status: str) -> None:
    campaign = await world.start_campaign(2000)
    await world.run(f"UPDATE campaign_recipients SET {FACTS[status]} WHERE campaign_id = %s", campaign)
    await world.run("VACUUM ANALYZE campaign_recipients")
    statement = SQL.get(f"choose_{status}", SQL["choose_any"])
    values = {"campaign": campaign, "after": FIRST_ID, "limit": 11, "statuses": [status], "window": 1500}
    assert await examined(world, statement, values) <= 2 * 11


@pytest.mark.parametrize(("statement", "start", "end"), [("find_by_number", "1", "2"), ("find_by_user", "US.", "US/")])
async def test_a_search_that_has_enough_examines_no_further(world: World, statement: str, start: str, end: str) -> None:
    campaign = await world.start_campaign(2000)
    await world.run("UPDATE campaign_recipients SET user_id = 'US.' || phone_number WHERE campaign_id = %s", campaign)
    await world.run(f"UPDATE campaign_recipients SET {FACTS['sent']} WHERE campaign_id = %s", campaign)
    await world.run("VACUUM ANALYZE campaign_recipients")
    values = {"campaign": campaign, "start": start, "end": end, "statuses": ["sent"], "window": 1500, "limit": 11}
    assert await examined(world, SQL[statement], values) <= 2 * 11
    found, is_cut = await found_by(world, statement, values)
    assert (len(found), is_cut) == (11, True)
    for window, is_cut in ((2000, True), (2001, False)):
        nobody = {**values, "statuses": ["failed"], "window": window}
        assert await found_by(world, statement, nobody) == ([], is_cut)


async def found_by(world: World, statement: str, values: dict[str, Any]) -> tuple[Any, ...]:
    """What a search finds, and whether there may be more."""
    row = await (await world.connection.execute(SQL[statement], values)).fetchone()
    assert row is not None
    return row


async def examined(world: World, statement: str, values: dict[str, Any]) -> float:
    """The rows that all scans of a statement give."""
    cursor = await world.connection.execute("EXPLAIN (ANALYZE, FORMAT json) " + statement, values)
    [(plan,)] = await cursor.fetchall()
    scans = [node for node in nodes(plan[0]["Plan"]) if "Relation Name" in node]
    assert scans
    return float(sum(node["Actual Rows"] * node["Actual Loops"] for node in scans))


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The node and all nodes under it."""
    yield plan
    for each in plan.get("Plans", ()):
        yield from nodes(each)
