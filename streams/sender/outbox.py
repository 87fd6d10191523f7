"""Writes outcomes to the ledger first, then publishes their events to Kafka, then marks them. Each step serves many.

Once the ledger has an outcome it cannot be lost: if it is not published here, the sweep of the scheduler publishes it.
"""

from __future__ import annotations

import asyncio

import structlog

from domain.breakers import ProbePauses
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
"""Half a round trip of extra latency saves nine of ten statements."""
ROUND_MAX = 500
SETTLE_PATIENCE_S = 600.0
"""How long answers are kept in memory while Postgres is away. Then they are `unknown` until their webhook comes."""

_log = structlog.get_logger(STAGE)


class Outbox:
    """Settles and publishes. `run` must be a task while anyone settles."""

    def __init__(self, pool: Pool, publisher: Publisher, topic: str, pauses: ProbePauses = ledger.PAUSES) -> None:
        self._pool = pool
        self._publisher = publisher
        self._topic = topic
        self._pauses = pauses
        self._settling: Rounds[Settlement, bool] = Rounds(self._settle_round, linger_s=LINGER_S, round_max=ROUND_MAX)
        self._publishing: Rounds[UnpublishedOutcome, None] = Rounds(
            self._publish_round, linger_s=LINGER_S, round_max=ROUND_MAX
        )

    async def run(self) -> None:
        """Run rounds until cancelled. The error of a round ends it."""
        async with asyncio.TaskGroup() as rounds:
            rounds.create_task(self._settling.run(), name="settle")
            rounds.create_task(self._publishing.run(), name="publish")

    async def settle(self, settlement: Settlement) -> None:
        """Write the outcome, then publish its event. It returns when both are durable, or the sweep must publish."""
        if await self._settling.submit(settlement):
            await self.publish(_unpublished(settlement))

    async def publish(self, outcome: UnpublishedOutcome) -> None:
        """Publish the event of an outcome that is already in the ledger."""
        await self._publishing.submit(outcome)

    async def _settle_round(self, settlements: list[Settlement]) -> list[bool]:
        async def once() -> set[Key]:
            async with self._pool.connection() as connection:
                return await ledger.settle(connection, settlements, self._pauses)

        written = await retrying(STAGE, "settle", once, give_up_after_s=SETTLE_PATIENCE_S)
        missing = sum(each.claim.key not in written for each in settlements)
        if missing:  # after a lost answer these are from our own first try, and the sweep publishes their events
            _log.warning("outcomes were settled before; the scheduler publishes their events", outcomes=missing)
        return [each.claim.key in written for each in settlements]

    async def _publish_round(self, outcomes: list[UnpublishedOutcome]) -> list[None]:
        async def mark() -> None:
            async with self._pool.connection() as connection:
                await ledger.mark_published(connection, outcomes)

        try:
            records = [Outgoing(self._topic, each.kafka_key, each.event.encode()) for each in outcomes]
            await self._publisher.publish_batch(records)
            await retrying(STAGE, "mark published", mark, give_up_after_s=5.0)
        except Transient as error:  # the ledger has them, so the sweep publishes them
            _log.warning(
                "events are not published; the scheduler will publish them", events=len(outcomes), error=str(error)
            )
        return [None] * len(outcomes)


def _unpublished(settlement: Settlement) -> UnpublishedOutcome:
    claim = settlement.claim
    return UnpublishedOutcome(claim.recipient_id, claim.attempt, settlement.outcome, settlement.event)
