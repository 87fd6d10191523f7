"""Publishes released jobs to `send.jobs`, for the scheduler and for the API's `process-daily`."""

from __future__ import annotations

from collections.abc import Sequence

from domain.traces import Step
from runtime import metrics
from runtime.logs import mask_phone
from runtime.settings import Settings
from runtime.tracing import TRACES, now_ns
from schemas.codec import encode
from schemas.jobs import SendJob
from schemas.places import Outgoing, Place
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
    started_ns = now_ns()
    records = [
        Outgoing(topic, job.key if is_keyed else None, encode(job), TRACES.headers(job, Step.RELEASE)) for job in jobs
    ]
    places = await publisher.publish_batch(records, PUBLISH_TIMEOUT_S)
    metrics.SCHEDULER_PUBLISHED.inc(len(jobs))
    if TRACES.is_on:
        for job, (partition, offset) in zip(jobs, places, strict=True):
            record = str(Place(topic, partition, offset))
            TRACES.record(Step.PUBLISH, job, started_ns, under=Step.RELEASE, key=record, record=record)
    return places


def count_released(jobs: Sequence[SendJob], started_ns: int) -> None:
    """Count jobs that a transaction has just released, and begin their traces. `started_ns`: when it began."""
    metrics.SCHEDULER_RELEASED.inc(len(jobs))
    if TRACES.is_on:
        for job in jobs:
            TRACES.record(
                Step.RELEASE,
                job,
                started_ns,
                under=None,
                campaign_id=str(job.campaign_id),
                number=job.phone_number_id,
                to=mask_phone(job.recipient_name),
            )
