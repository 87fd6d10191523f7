"""Writes outcomes to the ledger first, then publishes their events to Kafka, then marks them. Each step serves many.

Once the ledger has an outcome it cannot be lost: if it is not published here, the sweep of the scheduler publishes it.
So nobody waits for the publication of an outcome, unless too many wait for Kafka.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import structlog

from domain.breakers import ProbePauses
from runtime.process import Transient
from schemas.events import EventKind, RecipientEvent
from streams.sender.rounds import Rounds
from streams.sender.stage import STAGE
from tables import ledger
from tables.database import Pool, is_data_error
from tables.ledger import Key, Settled, Settlement, UnpublishedOutcome
from tables.retrying import retrying
from topics.outcomes import publish_stored
from topics.publisher import Publisher

LINGER_S = 0.015
"""Half a round trip of extra latency saves nine of ten statements."""
ROUND_MAX = 500
PUBLISH_LINGER_S = 0.1
"""The ledger has the outcome, so its event may wait longer. A round costs a request for each partition of the topic."""
UNPUBLISHED_MAX = 2_000
"""Events that may wait for Kafka, with about 1 KiB each. While more wait, the sends of their messages keep their slots,
so a sender whose Kafka is away stops soon."""
SETTLE_PATIENCE_S = 600.0
"""How long answers are kept in memory while Postgres is away. Then they are `unknown` until their webhook comes."""
BUSY_PAUSE_S = 0.2
"""Until the next try for an outcome whose ledger row another transaction has locked."""

_log = structlog.get_logger(STAGE)


@dataclass(frozen=True, slots=True)
class LockedRow:
    """Another transaction has locked the ledger row of an outcome."""


class Outbox:
    """Settles and publishes. `run` must be a task while anyone settles."""

    def __init__(self, pool: Pool, publisher: Publisher, topic: str, pauses: ProbePauses = ledger.PAUSES) -> None:
        self._pool = pool
        self._publisher = publisher
        self._topic = topic
        self._pauses = pauses
        self._settling: Rounds[Settlement, Settlement | LockedRow | None] = Rounds(
            self._settle_round, linger_s=LINGER_S, round_max=ROUND_MAX
        )
        self._publishing: Rounds[UnpublishedOutcome, None] = Rounds(
            self._publish_round, linger_s=PUBLISH_LINGER_S, round_max=ROUND_MAX
        )

    async def run(self) -> None:
        """Run rounds until cancelled. The error of a round ends it."""
        async with asyncio.TaskGroup() as rounds:
            rounds.create_task(self._settling.run(), name="settle")
            rounds.create_task(self._publishing.run(), name="publish")

    async def settle(self, settlement: Settlement) -> None:
        """Write the outcome, then have its event published. It returns when the outcome is durable.

        While another transaction has locked the ledger row, only this outcome waits.
        """
        give_up_at = time.monotonic() + SETTLE_PATIENCE_S
        while isinstance(written := await self._settling.submit(settlement), LockedRow):
            if time.monotonic() > give_up_at:
                _log.error("the ledger row of an outcome stays locked; it is unknown", attempt=settlement.claim.attempt)
                return
            await asyncio.sleep(BUSY_PAUSE_S)
        if written is not None:
            await self.publish(_unpublished(written))

    async def publish(self, outcome: UnpublishedOutcome) -> None:
        """Have the event of an outcome published that is already in the ledger."""
        await self._publishing.fewer_than(UNPUBLISHED_MAX)
        self._publishing.add(outcome)

    async def published(self) -> None:
        """Return when no event waits for Kafka."""
        await self._publishing.fewer_than(1)

    async def _settle_round(self, settlements: list[Settlement]) -> list[Settlement | LockedRow | None]:
        results = await self._settled(settlements)
        missing = sum(each.claim.key not in results for each in settlements)
        if missing:  # after a lost answer these are from our own first try, and the sweep publishes their events
            _log.warning("outcomes were settled before; the scheduler publishes their events", outcomes=missing)
        return [results.get(each.claim.key) for each in settlements]

    async def _settled(self, settlements: list[Settlement]) -> dict[Key, Settlement | LockedRow]:
        """Settle a round; returns what was written. Where Postgres refuses data, halve until the bad one is alone."""

        async def once() -> Settled:
            async with self._pool.connection() as connection:
                return await ledger.settle(connection, settlements, self._pauses)

        try:
            settled = await retrying(STAGE, "settle", once, give_up_after_s=SETTLE_PATIENCE_S)
        except Exception as error:
            if not is_data_error(error):
                raise
            if len(settlements) == 1:
                return await self._settled([_without_data(settlements[0], error)])
            middle = len(settlements) // 2
            return await self._settled(settlements[:middle]) | await self._settled(settlements[middle:])
        written = {each.claim.key: each for each in settlements if each.claim.key in settled.written}
        return {**written, **dict.fromkeys(settled.busy, LockedRow())}

    async def _publish_round(self, outcomes: list[UnpublishedOutcome]) -> list[None]:
        async def mark() -> None:
            async with self._pool.connection() as connection:
                await ledger.mark_published(connection, outcomes)

        try:
            await publish_stored(self._publisher, self._topic, outcomes)
            await retrying(STAGE, "mark published", mark, give_up_after_s=5.0)
        except Transient as error:  # the ledger has them, so the sweep publishes them
            _log.warning(
                "events are not published; the scheduler will publish them", events=len(outcomes), error=str(error)
            )
        return [None] * len(outcomes)


def _without_data(settlement: Settlement, error: Exception) -> Settlement:
    """The same attempt as `unknown`, without any text of the answer. Raises `error` if that was tried already."""
    if settlement.outcome == EventKind.UNKNOWN:
        raise error
    _log.error(
        "Postgres refuses the data of an outcome; it is settled as unknown",
        outcome=settlement.outcome,
        attempt=settlement.claim.attempt,
        error=type(error).__name__,
    )
    refused = RecipientEvent.model_validate_json(settlement.event)
    event = RecipientEvent(
        producer=refused.producer,
        kind=EventKind.UNKNOWN,
        campaign_id=refused.campaign_id,
        recipient_id=refused.recipient_id,
        attempt=refused.attempt,
        occurred_at=refused.occurred_at,
        received_at=refused.received_at,
    )
    return Settlement(settlement.claim, event.kind.value, event.model_dump_json(exclude_none=True))


def _unpublished(settlement: Settlement) -> UnpublishedOutcome:
    claim = settlement.claim
    return UnpublishedOutcome(claim.recipient_id, claim.attempt, settlement.outcome, settlement.event)
