"""Test sends: an operator sends the message of a campaign to himself before everybody else gets it.

A test is a campaign of its own, so it takes the same way as every other message: budgets, breakers, opt-outs, claims,
at most one send per attempt, and a row that records what happened. The campaign that is tested does not change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from domain.lifecycle import Action, ActionNotAllowed, CampaignStatus
from domain.status import Status
from tables import campaigns
from tables.campaigns import Campaign, NewCampaign
from tables.database import Connection
from tables.new_recipients import NewRecipient
from tables.statements import load

_SQL = load("test_sends")

MESSAGES_MAX = 10
"""Most messages of one test."""
STALE_AFTER_HOURS = 1
"""Nobody expects a test that could not be sent for an hour, so it is paused then."""


@dataclass(frozen=True, slots=True)
class TestMessage:
    """One message of a test."""

    __test__ = False  # pytest takes classes of this name for tests

    recipient_id: UUID
    phone_number: str = field(repr=False)
    status: Status
    failure_code: int | None
    failure_reason: str | None
    whatsapp_message_id: str | None = field(repr=False)
    sent_at: datetime | None
    delivered_at: datetime | None
    read_at: datetime | None


@dataclass(frozen=True, slots=True)
class TestSend:
    """A test: the campaign that it is, the one that it tests, and its messages."""

    __test__ = False  # pytest takes classes of this name for tests

    id: UUID
    test_of: UUID
    status: CampaignStatus
    pause_reason: str | None
    created_at: datetime
    messages: tuple[TestMessage, ...] = ()


async def start(connection: Connection, tested: Campaign, people: Sequence[NewRecipient]) -> UUID:
    """Send the message of a campaign to these people, as a campaign of its own; returns its id.

    It is sent at any hour, without a daily limit and a frequency cap, because the operator waits for it. In a
    transaction of the caller it is planned by the scheduler, or by the caller after the end. Raises ActionNotAllowed
    for a cancelled campaign.
    """
    if tested.status is CampaignStatus.CANCELLED:
        raise ActionNotAllowed("the campaign is cancelled: nothing of it is sent, also no test", tested.status)
    new = NewCampaign(
        name=f"Test of {tested.name}",
        template_name=tested.template_name,
        language_code=tested.language_code,
        daily_send_limit=None,
        phone_number_id=tested.phone_number_id,
        time_zone=tested.time_zone,
        stale_after_hours=STALE_AFTER_HOURS,
        frequency_capped=False,
        endpoint=tested.endpoint,
    )
    async with connection.transaction():
        created = await campaigns.create(connection, new)
        await connection.execute(_SQL["add_test"], {"campaign": created.id, "test_of": tested.id})
        await campaigns.add_recipients(connection, created.id, people)
        await connection.execute(_SQL["retry_never"], {"campaign": created.id})
        await campaigns.act(connection, created.id, Action.ACTIVATE)
    return created.id


async def newest(connection: Connection, tested: UUID, limit: int) -> list[TestSend]:
    """The newest tests of a campaign with their messages."""
    rows = await (await connection.execute(_SQL["list_tests"], {"test_of": tested, "limit": limit})).fetchall()
    found = [TestSend(id_, of, CampaignStatus(status), why, at) for id_, of, status, why, at in rows]
    messages: dict[UUID, list[TestMessage]] = {each.id: [] for each in found}
    cursor = await connection.execute(
        _SQL["list_messages"], {"campaigns": list(messages), "limit": len(messages) * MESSAGES_MAX}
    )
    for campaign, recipient, number, status, *rest in await cursor.fetchall():
        messages[campaign].append(TestMessage(recipient, number, Status(status), *rest))
    return [replace(each, messages=tuple(messages[each.id])) for each in found]
