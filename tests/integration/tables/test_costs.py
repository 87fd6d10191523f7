"""The prices of delivered messages on a real Postgres: exact in any order, once each, also when they were parked."""

from __future__ import annotations

from itertools import permutations
from typing import Any
from uuid import uuid4

import pytest

from schemas.events import EventKind, Pricing, RecipientEvent
from schemas.model import CampaignId, RecipientId, Wamid
from sinks.apply import KnownPhoneNumbers, apply_events
from tables import costs, stats
from tables.campaigns import UnknownCampaign
from tests.support.histories import START
from tests.support.world import NUMBER_ID, World

REGULAR = Pricing(type="regular", category="marketing")
FREE = Pricing(type="free_customer_service", category="utility")


def event(kind: EventKind, wamid: str, person: RecipientId | None, attempt: int = 1, **fields: Any) -> RecipientEvent:
    return RecipientEvent(
        kind=kind, recipient_id=person, attempt=None if person is None else attempt, wamid=Wamid(wamid),
        phone_number_id=NUMBER_ID, occurred_at=START, received_at=START, **fields,
    )  # fmt: skip


async def apply(world: World, *events: RecipientEvent) -> None:
    async with world.connection.transaction():
        await apply_events(world.connection, events, KnownPhoneNumbers())


async def prices(world: World, campaign: CampaignId) -> dict[str, int]:
    assert await stats.recount(world.connection, campaign) == []
    found = dict((await costs.read_prices(world.connection, campaign)).counters)
    found.pop("funnel/delivered", None)
    rows = await world.run(
        "SELECT category, charge, prefix, messages FROM report_prices WHERE campaign_id = %s", campaign
    )
    assert {f"price/{category}/{charge}/{prefix}": n for category, charge, prefix, n in rows} == found
    return found


@pytest.mark.parametrize("is_parked", [False, True])
async def test_a_message_is_counted_once_when_it_is_delivered_in_any_order(world: World, is_parked: bool) -> None:
    """The statuses have the callback data, or they are parked until the answer names their recipient."""
    orders = list(permutations(range(4)))
    people = await world.add_recipients(len(orders))
    for place, (person, order) in enumerate(zip(people, orders, strict=True)):
        wamid, named = f"wamid.{place}", None if is_parked else person
        events = [
            event(EventKind.ACCEPTED, wamid, person),
            event(EventKind.SENT, wamid, named, pricing=REGULAR),
            event(EventKind.DELIVERED, wamid, named, pricing=REGULAR),
            event(EventKind.READ, wamid, named),
        ]
        for at in (*order, *order):
            await apply(world, events[at])
    for _ in ("with changes that are not folded", "and without"):
        assert await prices(world, world.campaign) == {"price/marketing/billable/1": len(orders)}
        await stats.fold(world.connection)


async def test_a_message_that_is_sent_or_fails_costs_nothing(world: World) -> None:
    sent, failed, again = await world.add_recipients(3)
    await apply(world, *(event(EventKind.SENT, f"w{n}", person, pricing=REGULAR)
                         for n, person in enumerate((sent, failed, again))))  # fmt: skip
    failure: dict[str, Any] = {"code": 131026, "reason": "no", "retry_class": "never", "backoff_s": 0}
    await apply(world, *(event(EventKind.FAILED, f"w{n}", person, failure=failure)
                         for n, person in enumerate((failed, again), 1)))  # fmt: skip
    assert await prices(world, world.campaign) == {}
    await apply(world, event(EventKind.DELIVERED, "second", again, attempt=2, pricing=FREE))
    assert await prices(world, world.campaign) == {"price/utility/free_customer_service/1": 1}


@pytest.mark.parametrize("is_parked", [False, True])
async def test_two_prices_of_one_message_give_the_same_in_both_orders(world: World, is_parked: bool) -> None:
    people = await world.add_recipients(2)
    for place, person in enumerate(people):
        named, wamid = None if is_parked else person, f"wamid.{place}"
        statuses = [event(EventKind.DELIVERED, wamid, named, pricing=each) for each in (REGULAR, FREE)]
        for status in statuses if place else reversed(statuses):
            await apply(world, status)
        await apply(world, event(EventKind.ACCEPTED, wamid, person))
    assert await prices(world, world.campaign) == {"price/utility/free_customer_service/1": 2}


async def test_words_that_are_not_ours_are_counted_as_other(world: World) -> None:
    person, deleted = await world.add_recipients(2)
    await apply(world, *(event(EventKind.READ, f"w{each}", each, pricing=REGULAR) for each in (person, deleted)))
    await world.run("UPDATE campaign_recipients SET price = '01 a/b/c' WHERE id = %s", person)
    assert await prices(world, world.campaign) == {"price/other/billable/1": 1, "price/marketing/billable/1": 1}
    await world.run("DELETE FROM campaign_recipients WHERE id = %s", deleted)
    assert await prices(world, world.campaign) == {"price/other/billable/1": 1}


async def test_an_unknown_campaign_has_no_cost(world: World) -> None:
    with pytest.raises(UnknownCampaign):
        await costs.read_prices(world.connection, uuid4())
