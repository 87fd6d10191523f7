"""Repeating failed messages, from the request to the row that is due again."""

from __future__ import annotations

import pytest

from api.failed import RetryOrder, retry_failed
from domain.error_codes import ErrorClass
from domain.lifecycle import Action, ActionNotAllowed
from runtime.settings import Settings
from schemas.events import EventKind, Failure, RetryClass
from tables import database
from tables.campaigns import UnknownCampaign
from tests.support.world import World
from topics.memory import MemoryPublisher
from topics.publisher import AsyncPublisher


async def order(
    world: World, settings: Settings, *codes: int, is_dry: bool = False, classes: tuple[ErrorClass, ...] = ()
) -> int:
    publisher = AsyncPublisher(settings)
    try:
        async with database.pool(world.url, application_name="test-failed", size=1) as pool:
            wanted = RetryOrder(codes, classes, is_dry=is_dry)
            return (await retry_failed(pool, publisher, settings, world.campaign, wanted)).retried
    finally:
        await publisher.close()


@pytest.mark.usefixtures("topics")
async def test_a_failure_beyond_its_retries_is_due_at_once_and_a_repeated_order_changes_nothing(
    world: World, settings: Settings
) -> None:
    people = await world.add_recipients(3)
    failure = Failure(code=131042, reason="payment", retry_class=RetryClass.NEVER, backoff_s=0)
    await world.run("UPDATE campaign_recipients SET max_retries = 0")
    await world.apply(*(world.event(each, EventKind.REJECTED, wamid=None, failure=failure) for each in people))
    due = "SELECT count(*) FROM campaign_recipients WHERE next_attempt_at <= now()"
    assert await world.value(due) == 0
    assert await order(world, settings, 131042, is_dry=True) == 3
    assert await order(world, settings, 131026) == 0
    assert await order(world, settings, classes=(ErrorClass.ACCOUNT,)) == 3
    async with world.running_sinks():
        await world.wait_for_value(3, due)
    assert await order(world, settings, 131042) == 0, "they are due already"
    assert {job.attempt for job in (await world.release()).jobs} == {2}


async def test_drafts_cancelled_and_unknown_campaigns_are_refused(world: World, settings: Settings) -> None:
    draft = await world.create_campaign(1)
    async with database.pool(world.url, application_name="test-failed", size=1) as pool:
        with pytest.raises(ActionNotAllowed):
            await retry_failed(pool, MemoryPublisher(), settings, draft, RetryOrder([131042]))
        await world.act(world.campaign, Action.CANCEL)
        with pytest.raises(ActionNotAllowed):
            await retry_failed(pool, MemoryPublisher(), settings, world.campaign, RetryOrder([131042]))
        with pytest.raises(UnknownCampaign):
            await retry_failed(pool, MemoryPublisher(), settings, (await world.add_recipients(1))[0], RetryOrder([1]))
