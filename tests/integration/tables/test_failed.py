"""Failed recipients by code: in pages, and each with the reason why it is not repeated."""

from __future__ import annotations

from uuid import UUID

import pytest

from domain.error_codes import TABLE
from tables import failed
from tables.failed import FailureFilter
from tables.statements import load
from tests.support.world import World

FAILED = (
    "UPDATE campaign_recipients SET attempt = %s, failed_attempts = 1::bigint << %s, failed_attempt = %s,"
    " failed_at = now() - interval '1 hour', failure_code = %s, failure_text = 'x', failure_class = %s,"
    " failure_backoff_s = 0, accepted_attempts = %s WHERE id = %s"
)


async def fail(world: World, recipient: object, code: int | None, *, attempt: int = 1, kind: str = "never",
               accepted: int = 0) -> None:  # fmt: skip
    await world.run(FAILED, attempt, attempt, attempt, code, kind, accepted, recipient)


async def found(world: World, wanted: FailureFilter) -> dict[str, list[str]]:
    after, fates, pages = UUID(int=0), dict[str, list[str]](), 0
    while True:
        page = await failed.find(world.connection, world.campaign, wanted, after)
        for each in page.found:
            fates.setdefault(each.fate, []).append(str(each.recipient_id))
        if page.after is None:
            return fates
        after, pages = page.after, pages + 1


async def test_only_the_named_codes_are_found_and_each_has_its_fate(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failed, "PAGE_ROWS", 3)
    people = [str(each) for each in await world.add_recipients(9)]
    await fail(world, people[0], 131042)
    await fail(world, people[1], 131026)
    await fail(world, people[2], 131042, kind="backoff")
    await fail(world, people[3], 131042, attempt=62)
    await fail(world, people[4], 131042, accepted=2)
    await world.run("UPDATE campaign_recipients SET failed_at = now() WHERE id = %s", people[4])
    await fail(world, people[5], None)
    await fail(world, people[6], 999_999)
    wanted = FailureFilter([131042], unlisted=False, listed=TABLE)
    assert await found(world, wanted) == {
        "retried": [people[0]], "already_due": [people[2]], "exhausted": [people[3]], "too_young": [people[4]],
    }  # fmt: skip
    assert await found(world, FailureFilter([], unlisted=True, listed=TABLE)) == {"retried": people[5:7]}


async def test_recipients_without_a_failure_are_not_read(world: World) -> None:
    people = await world.add_recipients(2_000)
    for each in people[::500]:
        await fail(world, each, 131042)
    await world.run("ANALYZE campaign_recipients")
    values = {"campaign": world.campaign, "after": UUID(int=0), "rows": failed.PAGE_ROWS, "young_s": failed.YOUNG_S,
              "codes": "{131042}", "unlisted": False, "listed": "{}"}  # fmt: skip
    explained = f"EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) {load('failed')['find_failed']}"
    lines = [row[0] for row in await (await world.connection.execute(explained.encode(), values)).fetchall()]
    [scan] = [line for line in lines if "campaign_recipients" in line]
    assert "using campaign_recipients_failed on campaign_recipients" in scan
    assert "actual rows=4" in scan
    assert not [line for line in lines if "Rows Removed" in line]


async def test_the_counts_come_from_the_counters(world: World) -> None:
    people = await world.add_recipients(3)
    for each, code in zip(people, (131042, 131042, 131026), strict=True):
        await fail(world, each, code)
    assert await failed.count_by_code(world.connection, world.campaign) == [("131042", 2), ("131026", 1)]
