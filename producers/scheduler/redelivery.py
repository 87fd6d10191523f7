"""Republishes jobs that no sender has claimed, and publishes outcomes that a sender could not publish.

It makes no decision about a recipient: an attempt is claimed once, and merging an event twice changes nothing. It also
declares claims past their lease unknown, because only the leader reads the claims of all senders.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from producers.scheduler.outbox import JobsTopic, publish_and_record_jobs, publish_outcomes
from producers.scheduler.work import WorkWatch
from runtime.settings import Settings
from schemas.topics import Topic
from tables import ledger, publications, release_pages
from tables.database import LockNotAvailable
from tables.leadership import Leader
from tables.work import WorkKind
from topics.lag import CommittedOffsets, KafkaAway
from topics.publisher import AsyncPublisher, PublishFailed

ROUND_S = 1.0
CHUNK_ROWS = 1000
PAGE_ROWS = 10_000
"""Releases of a page that is searched for unclaimed jobs. Many may wait, and a turn of the leader must be short."""
SHORTEST_DELAY_S = 0.5
SENDER_GROUP = "sender"

log = structlog.get_logger("scheduler")


class Redelivery:
    """Publishes unclaimed jobs and unpublished outcomes again. It is one loop of the leader."""

    def __init__(
        self, leader: Leader, publisher: AsyncPublisher, settings: Settings, jobs_topic: JobsTopic, work: WorkWatch
    ) -> None:
        self._leader = leader
        self._work = work
        self._jobs_topic = jobs_topic
        self._publisher = publisher
        self._settings = settings
        self._committed = CommittedOffsets(settings, SENDER_GROUP)
        delay_s = max(SHORTEST_DELAY_S, publications.Patience().delay_s / settings.time_scale)
        self._patience = publications.Patience(delay_s=delay_s)
        self._page_after = release_pages.FIRST_RELEASE

    async def run(self, stop: asyncio.Event) -> None:
        """Run a round every second, or at once after a full chunk. A round is repeated while Kafka is away.

        Jobs and outcomes have a loop each, so that jobs that cannot be published delay no outcome.
        """
        try:
            async with asyncio.TaskGroup() as loops:
                outcomes, released = frozenset({WorkKind.OUTCOMES}), frozenset({WorkKind.RELEASED})
                loops.create_task(self._rounds("unpublished outcomes", outcomes, self._publish_outcomes, stop))
                loops.create_task(self._rounds("unclaimed jobs", released, self._publish_unclaimed, stop))
        finally:
            self._committed.close()

    async def _publish_outcomes(self) -> int:
        async with self._leader.turn() as connection:
            unknown = await ledger.declare_unknown(connection, CHUNK_ROWS)
            unpublished_outcomes = await ledger.unpublished(connection, CHUNK_ROWS)
        if unknown:
            log.warning("claims expired without an answer; their outcome is unknown", attempts=len(unknown))
        # An outcome declared now may be among the unpublished ones of the next round: publishing it twice is harmless.
        await publish_outcomes(self._leader.turn, self._publisher, self._settings, [*unknown, *unpublished_outcomes])
        return max(len(unknown), len(unpublished_outcomes))

    async def _publish_unclaimed(self) -> int:
        async with self._leader.turn() as connection:
            page = await release_pages.find_page(connection, self._page_after, PAGE_ROWS)
        await self._jobs_topic.refresh()
        # A partition without a committed offset was not passed yet.
        committed = await self._committed.read(self._settings.topic(Topic.SEND_JOBS), page.partitions)
        async with self._leader.turn() as connection:
            jobs = await publications.find_unclaimed(
                connection, committed, self._patience, CHUNK_ROWS, self._jobs_topic.id, page
            )
        self._page_after = page.next  # also if they cannot be published, so that they hold up no other page
        if jobs:
            log.info(
                "republished jobs that no sender had claimed (harmless: an attempt is claimed once)", jobs=len(jobs)
            )
        # Their partition may have no leader for hours. Meanwhile they would fill the cap of their number.
        await publish_and_record_jobs(
            self._leader.turn, self._publisher, self._settings, jobs, self._jobs_topic.id, is_keyed=False
        )
        if len(jobs) == CHUNK_ROWS:
            self._page_after = page.after  # it may have more of them
        return len(jobs)

    async def _rounds(
        self, work: str, wanted: frozenset[WorkKind], once: Callable[[], Awaitable[int]], stop: asyncio.Event
    ) -> None:
        """Repeat `once`, which returns how many rows it found, while there is work, until `stop`."""
        is_full = False
        while await self._work.next_round(stop, wanted, 0 if is_full else ROUND_S) is not None:
            try:
                is_full = await once() >= CHUNK_ROWS
            except PublishFailed as error:
                is_full = False
                log.warning("Kafka did not acknowledge everything; the rest waits", work=work, error=str(error))
            except KafkaAway as error:
                is_full = False
                log.warning("Kafka is away; this work waits", work=work, error=str(error))
            except LockNotAvailable:
                is_full = False
                log.warning("a row is locked; this work waits for the next round", work=work)
