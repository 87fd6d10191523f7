"""Applies what Meta reports on `campaign.control`: it pauses the campaigns that a report stops, stores limits and
reports about numbers, and notes edited templates, which the scheduler compares.

All are in one transaction with the offsets. All other events of the topic are for other readers. A replay of
`webhooks.raw` does not come here.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from domain.breakers import Scope
from runtime.logs import mask_phone
from runtime.settings import Settings
from schemas.control import ControlEvent, ControlKind
from schemas.dead_letters import DeadItem
from schemas.places import Place, Record, TopicIdentity
from schemas.reasons import DeadLetterReason
from sinks.batch import Moves
from sinks.connection import SinkConnection
from sinks.letters import BatchLetters
from tables import notices, numbers, offsets, portfolio, template_edits
from topics.decoding import dead_item, decoded
from topics.exits import ENDS_PROCESSES

APPLIED = frozenset({
    ControlKind.REPORTED, ControlKind.LIMIT_REPORTED, ControlKind.NUMBER_REPORTED, ControlKind.TEMPLATE_EDITED
})  # fmt: skip

log = structlog.get_logger("sinks.sink")


class ControlWriter:
    """The Postgres connection of the sink of reports."""

    def __init__(self, settings: Settings, identity: TopicIdentity, letters: BatchLetters) -> None:
        self._identity = identity
        self._letters = letters
        self.connection = SinkConnection(settings)

    async def close(self) -> None:
        """Close the connection."""
        await self.connection.close()

    async def foresee(self, records: Sequence[Record]) -> Sequence[Record]:
        """Do nothing: reports are few."""
        return records

    async def write(self, records: Sequence[Record], moves: Moves, condemned: Place | None = None) -> None:
        """Apply a batch. `condemned`: the place of a record that ends processes; alone, it is dead-lettered unread.

        Raises psycopg.Error, PublishFailed and TooManyDeadLetters. Nothing is written then.
        """
        reports, dead = _reports(records, condemned)
        connection = await self.connection.get()
        await self._letters.publish(dead, records)
        async with connection.transaction():
            paused = await notices.pause_reported(
                connection, [each for each in reports if each.kind is ControlKind.REPORTED]
            )
            foreign = await numbers.note_reports(
                connection, [each for each in reports if each.scope == Scope.NUMBER.value]
            )
            await template_edits.note(
                connection, [each for each in reports if each.kind is ControlKind.TEMPLATE_EDITED]
            )
            for each in reports:
                if each.limit is not None:
                    await portfolio.report_limit(connection, each.limit, each.occurred_at)
            await offsets.advance_offsets(connection, self._identity, moves)
        self._letters.forget(records)
        for number, reason in foreign:
            log.error(
                "a report of Meta names a number that is none of ours",
                reported_number=mask_phone(number),
                reason=reason,
            )
        for campaign, reason in paused:
            log.error("campaign paused by a report of Meta", campaign_id=str(campaign), reason=reason)

    async def apply_held(self) -> None:
        """Nothing of this topic waits in Postgres."""


def _reports(records: Sequence[Record], condemned: Place | None) -> tuple[list[ControlEvent], list[DeadItem]]:
    if [record.place for record in records] == [condemned]:
        return [], [dead_item(records[0], DeadLetterReason.BUG, ENDS_PROCESSES)]
    found = [decoded(ControlEvent, record) for record in records]
    reports = [each for each in found if isinstance(each, ControlEvent) and each.kind in APPLIED]
    return reports, [each for each in found if isinstance(each, DeadItem)]
