"""Removes one recipient that is not released yet, and takes it out of the plan of its day."""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

from domain.days import UnknownTimeZone
from domain.people import PersonKey
from tables import campaigns, planning
from tables.database import Connection
from tables.statements import load

_SQL = load("removal")


class NoSuchRecipient(LookupError):
    """The campaign has no such recipient."""


class RecipientReleased(Exception):
    """An attempt for the recipient was released, so the recipient stays on record; nothing was changed."""


async def remove(connection: Connection, campaign_id: UUID, recipient: UUID | PersonKey) -> None:
    """Remove a recipient by the id of the row or by the person.

    The rows that only repeat this one go with it: otherwise the removed person would get the message by one of them.
    A release that has locked the row decides first; one that comes later does not find it. Raises UnknownCampaign,
    NoSuchRecipient and RecipientReleased.
    """
    async with connection.transaction():
        campaign = await campaigns.read(connection, campaign_id)
        by = "find_by_id" if isinstance(recipient, UUID) else "find_by_person"
        named = {"campaign": campaign_id, "id": recipient, "person": recipient}
        found = await (await connection.execute(_SQL[by], named)).fetchone()
        if found is None:
            raise NoSuchRecipient
        person, repetition = found
        values = {"campaign": campaign_id, "person": person, "repetition": repetition}
        rows = await (await connection.execute(_SQL["lock_person"], values)).fetchall()
        first = [row for row in rows if row[1] == repetition]
        if not first:
            raise NoSuchRecipient  # another request has removed it meanwhile
        if first[0][2] > 0:
            raise RecipientReleased
        waiting = [row for row in rows if row[2] == 0]
        await connection.execute(_SQL["delete_locked"], {"ids": [row[0] for row in waiting]})
        with suppress(UnknownTimeZone):  # such a campaign has no plan
            await planning.leave_days(
                connection, campaign_id, [row[3] for row in waiting if row[3]], waiting[0][4], campaign.time_zone
            )
