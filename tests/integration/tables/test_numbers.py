"""Numbers and reports on a real Postgres: which campaigns a report pauses, by the same rule as the pure function."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from domain.lifecycle import CampaignStatus
from domain.number_reports import meant
from schemas.control import ControlEvent, ControlKind
from tables import campaigns, notices, numbers
from tables.numbers import ShownNumber
from tests.support.world import NUMBER_ID, World

FIRST, SECOND = "106", "107"


def report(key: str, seconds: float = 1, kind: ControlKind = ControlKind.REPORTED) -> ControlEvent:
    """A report about a number so many seconds from now."""
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    return ControlEvent(kind=kind, scope="number", key=key, reason=f"report of {key}", occurred_at=at)


async def add_number(world: World, number: str, digits: str | None) -> None:
    await numbers.write_read(world.connection, number, ShownNumber(digits, "GREEN", "STANDARD", "CONNECTED"))


@pytest.mark.parametrize("known", [(None, None), ("15550001", None), ("15550001", "15550002")])
async def test_a_report_pauses_the_campaigns_of_the_numbers_that_it_is_about(
    world: World, known: tuple[str | None, str | None]
) -> None:
    digits = dict(zip((FIRST, SECOND), known, strict=True))
    for number, shown in digits.items():
        if shown is not None:
            await add_number(world, number, shown)
    ids = {number: await world.start_campaign(1, number=number) for number in digits}
    for key in ("", FIRST, SECOND, "109", "+15550001", "+15550002", "+15550009"):
        await world.run("UPDATE marketing_campaigns SET status = 'active', pause_reason = NULL")
        await notices.pause_reported(world.connection, [report(key)])
        paused = {
            number
            for number, each in ids.items()
            if (await campaigns.read(world.connection, each)).status is CampaignStatus.PAUSED
        }
        assert paused == meant(key, digits), key


async def test_the_rule_in_sql_is_the_pure_one(world: World) -> None:
    keys = ("", FIRST, SECOND, "109", "+15550001", "+15550002", "+15550009")
    for first, second in product((None, "15550001", "15550002"), repeat=2):
        digits = {FIRST: first, SECOND: second}
        await world.run("DELETE FROM business_numbers")
        for number, shown in digits.items():
            if shown is not None:
                await add_number(world, number, shown)
        for key, (number, shown) in product(keys, digits.items()):
            is_meant = await world.value("SELECT is_meant(%s, %s, %s)", key, number, shown)
            assert is_meant == (number in meant(key, digits)), (key, number, digits)


async def test_the_latest_report_of_a_number_is_kept_and_foreign_ones_are_named_once(world: World) -> None:
    await add_number(world, NUMBER_ID, "15550001")
    later, earlier = report("+15550001", 2, ControlKind.NUMBER_REPORTED), report("+15550001", 1)
    foreign = report("+15550009")
    assert await numbers.note_reports(world.connection, [later, earlier, foreign, report("")]) == [
        ("+15550009", "report of +15550009")
    ]
    assert await numbers.note_reports(world.connection, [earlier, foreign]) == []
    (found,) = await numbers.read_numbers(world.connection, [])
    assert (found.phone_number_id, found.shown.digits, found.reported_at) == (
        NUMBER_ID, "15550001", later.occurred_at
    )  # fmt: skip
    (other,) = await numbers.read_foreign(world.connection)
    assert (other.number, other.reported_at) == ("+15550009", foreign.occurred_at)


async def test_numbers_of_settings_and_campaigns_are_listed_with_their_messages_of_a_day(world: World) -> None:
    await world.run(
        "INSERT INTO campaign_timeline (campaign_id, minute, sent, delivered, read, failed)"
        " SELECT %s, date_trunc('minute', now()) - age, sent, 0, 0, 0"
        " FROM (VALUES (interval '0', 5), (interval '2 days', 7)) AS v (age, sent)",
        world.campaign,
    )  # fmt: skip
    found = await numbers.read_numbers(world.connection, [FIRST])
    assert [(each.phone_number_id, each.read_at, each.sent_last_day) for each in found] == [
        (FIRST, None, 0), (NUMBER_ID, None, 5)
    ]  # fmt: skip
    assert await numbers.list_used(world.connection) == [NUMBER_ID]


async def test_a_read_without_digits_keeps_those_that_were_known(world: World) -> None:
    await add_number(world, FIRST, "15550001")
    await numbers.write_read(world.connection, FIRST, ShownNumber(None, "RED", None, "FLAGGED"))
    found = {each.phone_number_id: each.shown for each in await numbers.read_numbers(world.connection, [])}
    assert found[FIRST] == ShownNumber("15550001", "RED", None, "FLAGGED")
