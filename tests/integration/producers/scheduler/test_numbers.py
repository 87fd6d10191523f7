"""The leader reads the numbers of the settings and of campaigns from a simulated account."""

from __future__ import annotations

import asyncio

from producers.scheduler.numbers import FRESH_S, read_due
from runtime.settings import Settings
from tables import numbers
from tables.leadership import Leader
from tables.numbers import ShownNumber
from tests.support.simulated_account import simulated_account
from tests.support.world import NUMBER_ID, World

SECOND = "107000000000002"


async def test_the_numbers_are_read_when_the_leader_begins_and_one_that_fails_stops_no_other(world: World) -> None:
    known = frozenset({NUMBER_ID, SECOND})
    displays = {SECOND: "+1 555-000-2"}
    async with simulated_account(phone_number_ids=known, display_phone_numbers=displays) as account:
        account.simulator.account.quality_by_number[SECOND] = "YELLOW"
        settings = Settings.model_validate({
            "database_url": world.url, "kafka_bootstrap_servers": "127.0.0.1:1",
            "whatsapp_numbers": [{"phone_number_id": "999"}, {"phone_number_id": SECOND}], **account.settings,
        })  # fmt: skip
        leader, tried_at, stop = Leader(world.connection), dict[str, float](), asyncio.Event()
        await read_due(leader, settings, tried_at, 0.0, stop)
        found = {each.phone_number_id: each for each in await numbers.read_numbers(world.connection, ["999"])}
        account.simulator.account.quality_by_number[SECOND] = "RED"
        await read_due(leader, settings, tried_at, FRESH_S - 1, stop)
        assert await numbers.read_numbers(world.connection, ["999"]) == list(found.values())
        await read_due(leader, settings, tried_at, FRESH_S, stop)
        later = {each.phone_number_id: each for each in await numbers.read_numbers(world.connection, ["999"])}
        assert later[SECOND].shown.quality == "RED"
    assert found[NUMBER_ID].shown == ShownNumber("15550783881", "GREEN", "HIGH", "CONNECTED")
    assert found[SECOND].shown == ShownNumber("15550002", "YELLOW", "HIGH", "CONNECTED")
    assert found["999"].read_at is None
