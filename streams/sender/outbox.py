"""From an outcome to its event: into the ledger first, then to Kafka, then marked. Each in rounds of many.

Once the ledger has the outcome nothing can be lost: what is not published here, the scheduler's sweep publishes.
"""

from __future__ import annotations

import asyncio

import structlog

from runtime.process import Transient
from schemas.places import Outgoing
from streams.sender.rounds import Rounds
from streams.sender.stage import STAGE
from tables import ledger
from tables.database import Pool
from tables.ledger import Key, Settlement, UnpublishedOutcome
from tables.retrying import retrying
from topics.publisher import Publisher

LINGER_S = 0.015
"""Half a round trip more latency for a tenth of the statements."""
ROUND_MAX = 500
SETTLE_PATIENCE_S = 600.0
"""Answers are kept in memory that long when Postgres is away; then they are `unknown` until their webhook comes."""

_log = structlog.get_logger(STAGE)


class Outbox:
    """Settles and publishes. `run` must be a task while anybody settles."""

    def __init__(self, pool: Pool, publisher: Publisher, topic: str) -> None:
        self._pool = pool
        self._publisher = publisher
        self._topic = topic
        self._settling: Rounds[Settlement, bool] = Rounds(self._settle_round, linger_s=LINGER_S, round_max=ROUND_MAX)
        self._publishing: Rounds[UnpublishedOutcome, None] = Rounds(
            self._publish_round, linger_s=LINGER_S, round_max=ROUND_MAX
        )

    async def run(self) -> None:
        """Do rounds until cancelled; ends with the error of either kind of round."""
        async with asyncio.TaskGroup() as rounds:
            rounds.create_task(self._settling.run(), name="settle")
            rounds.create_task(self._publishing.run(), name="publish")

    async def settle(self, settlement: Settlement) -> None:
        """Write the outcome, then publish its event; returns when both are durable, or the sweep has to publish."""
        if await self._settling.submit(settlement):
            await self.publish(_outboxed(settlement))

    async def publish(self, outboxed: UnpublishedOutcome) -> None:
        """Publish the event of an outcome that the ledger has already."""
        await self._publishing.submit(outboxed)

    async def _settle_round(self, settlements: list[Settlement]) -> list[bool]:
        async def once() -> set[Key]:
            async with self._pool.connection() as connection:
                return await ledger.settle(connection, settlements)

        written = await retrying(STAGE, "settle", once, give_up_after_s=SETTLE_PATIENCE_S)
        missing = sum(each.claim.key not in written for each in settlements)
        if missing:  # after a lost answer this is our own first try, whose events the sweep publishes
            _log.warning("outcomes that were settled before", outcomes=missing)
        return [each.claim.key in written for each in settlements]

    async def _publish_round(self, outboxed: list[UnpublishedOutcome]) -> list[None]:
        async def mark() -> None:
            async with self._pool.connection() as connection:
                await ledger.mark_published(connection, outboxed)

        try:
            records = [Outgoing(self._topic, each.kafka_key, each.event.encode()) for each in outboxed]
            await self._publisher.publish_batch(records)
            await retrying(STAGE, "mark published", mark, give_up_after_s=5.0)
        except Transient as error:  # durable in the ledger: the sweep publishes it
            _log.warning("events left to the sweep", events=len(outboxed), error=str(error))
        return [None] * len(outboxed)


def _outboxed(settlement: Settlement) -> UnpublishedOutcome:
    claim = settlement.claim
    return UnpublishedOutcome(claim.recipient_id, claim.attempt, settlement.outcome, settlement.event)
