"""Publishes released jobs to `send.jobs`, for the scheduler and for the API's `process-daily`."""

from __future__ import annotations

from collections.abc import Sequence

from runtime import metrics
from runtime.settings import Settings
from schemas.codec import encode
from schemas.jobs import SendJob
from schemas.places import Outgoing
from schemas.topics import Topic
from topics.publisher import Publisher

PUBLISH_TIMEOUT_S = 10.0
"""After this time a publication counts as failed. The scheduler finds unpublished releases and publishes them."""


async def publish_jobs(
    publisher: Publisher, settings: Settings, jobs: Sequence[SendJob], *, is_keyed: bool = True
) -> list[tuple[int, int]]:
    """Publish jobs and return the (partition, offset) of each. Raises PublishFailed.

    Without the key the client chooses a partition that has a leader. A job that is published again may go to another
    partition, because an attempt is claimed once and needs no order.
    """
    topic = settings.topic(Topic.SEND_JOBS)
    records = [Outgoing(topic, job.key if is_keyed else None, encode(job)) for job in jobs]
    places = await publisher.publish_batch(records, PUBLISH_TIMEOUT_S)
    metrics.SCHEDULER_PUBLISHED.inc(len(jobs))
    return places
