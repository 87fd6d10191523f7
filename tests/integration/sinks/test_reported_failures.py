"""Failures that Meta reports by webhook: a code of a whole scope opens its breaker, if it is fresh."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from domain.breakers import Scope
from domain.error_codes import failure
from domain.lifecycle import Action
from schemas.events import EventKind, RecipientEvent
from sinks.reported_failures import feed_breakers
from tables import breakers
from tests.support.world import World

OPEN = "SELECT scope, code, needs_human FROM breakers WHERE opened_at IS NOT NULL"


async def report(world: World, code: int, *, ago_s: float = 0.0) -> None:
    [recipient] = await world.add_recipients(1)
    at = datetime.now(UTC) - timedelta(seconds=ago_s)
    failed = failure(code, "no", attempt=1, from_webhook=True, time_scale=1)
    event: RecipientEvent = world.event(recipient, EventKind.FAILED, failure=failed, occurred_at=at, received_at=at)
    await feed_breakers(world.connection, [event], 1.0)


async def test_a_payment_block_that_comes_by_webhook_opens_the_account(world: World) -> None:
    await report(world, 131042)
    assert await world.run(OPEN) == [("account", 131042, True)]
    assert [each for each, _ in await breakers.pause_held(world.connection, 86_400)] == [world.campaign]


async def test_failures_of_persons_and_old_ones_open_nothing(world: World) -> None:
    await report(world, 131026)
    await report(world, 131000)
    await report(world, 131042, ago_s=61)
    assert await world.run(OPEN) == []


async def test_a_failure_from_before_the_resume_does_not_pause_again(world: World) -> None:
    await report(world, 131042)
    await breakers.pause_held(world.connection, 86_400)
    await world.act(world.campaign, Action.RESUME)
    await report(world, 131042, ago_s=5)
    assert await world.run(OPEN) == [("account", 131042, False)]
    assert await breakers.close(world.connection, Scope.ACCOUNT, "")
    await report(world, 131042, ago_s=5)
    assert await world.run(OPEN) == []
    await report(world, 131042)
    assert await world.run(OPEN) == [("account", 131042, True)]
