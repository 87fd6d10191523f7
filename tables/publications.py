"""Where the jobs of releases were published, and the jobs that must be published again.

A job is published after its release is committed. A leader may die in between, and a sender may pass a job without a
claim. So each release records the place of its job, and a job without a claim is published again. That is harmless,
because an attempt is claimed once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.codec import PRODUCER
from schemas.jobs import SendJob
from schemas.model import CampaignId, RecipientId
from tables.database import Connection
from tables.release_pages import ALL_RELEASES, ReleasePage
from tables.statements import load

_SQL = load("publications")


@dataclass(frozen=True, slots=True)
class Patience:
    """When the job of an unclaimed release is published again. `delay_s` doubles with every publication."""

    grace_s: float = 2.0
    """Delay for a job that was never published: its releaser is probably about to publish it."""
    delay_s: float = 5.0
    delay_max_s: float = 300.0
    lost_s: float = 3600.0
    """After this delay the sender's offset is ignored: the topic may have been recreated."""


async def record_published(
    connection: Connection, jobs: Sequence[SendJob], places: Sequence[tuple[int, int]], topic_id: str | None = None
) -> None:
    """Record where these jobs were published: (partition, offset) of each, and the topic's id if it is known."""
    await connection.execute(
        _SQL["record_published"],
        {
            "recipients": [job.recipient_id for job in jobs],
            "attempts": [job.attempt for job in jobs],
            "partitions": [partition for partition, _ in places],
            "offsets": [offset for _, offset in places],
            "topic_id": topic_id,
        },
    )


async def find_unclaimed(
    connection: Connection,
    committed: Mapping[int, int],
    patience: Patience,
    limit: int,
    topic_id: str | None = None,
    page: ReleasePage = ALL_RELEASES,
) -> list[SendJob]:
    """Jobs of a page to publish again.

    `committed` is the offset that the sender's group has committed, by partition, in the topic of `topic_id`.
    """
    cursor = await connection.execute(
        _SQL["find_unclaimed"],
        {
            "partitions": list(committed.keys()),
            "committed": list(committed.values()),
            "grace_s": patience.grace_s,
            "delay_s": patience.delay_s,
            "delay_max_s": patience.delay_max_s,
            "lost_s": patience.lost_s,
            "limit": limit,
            "topic_id": topic_id,
            "after_id": page.after.recipient_id,
            "after_attempt": page.after.attempt,
            "last_id": page.last.recipient_id,
            "last_attempt": page.last.attempt,
        },
    )
    return [_job_again(row) for row in await cursor.fetchall()]


def _job_again(row: Sequence[Any]) -> SendJob:
    recipient, attempt, phone, user_id, parameters, send_before, number, campaign, template, language, endpoint = row
    return SendJob(
        producer=PRODUCER,
        campaign_id=CampaignId(campaign),
        recipient_id=RecipientId(recipient),
        attempt=attempt,
        phone_number_id=number,
        phone_number=phone,
        user_id=user_id,
        template_name=template,
        language_code=language,
        endpoint=endpoint,
        template_parameters=parameters,
        send_before=send_before,
    )
