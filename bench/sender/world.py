"""Prepares Kafka and Postgres for one run: released recipients of one campaign for each number, and their jobs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import LiteralString
from uuid import UUID

import psycopg
from confluent_kafka import Producer

from runtime.settings import Settings
from schemas import callback
from schemas.codec import encode
from schemas.jobs import SendJob
from schemas.model import CampaignId, RecipientId
from schemas.topics import BY_NAME, Topic
from tables.migrate import migrate
from topics.apply import apply
from topics.clients import producer_config

SECRET = "the-callback-secret-of-the-benchmark"  # noqa: S105 - it guards nothing
DEPLOYMENT = "bench"
TOKEN = "the-access-token-of-the-benchmark"  # noqa: S105 - it opens nothing
FLUSHED_TOGETHER = 10_000
FLUSH_S = 60
ADD: LiteralString = """
WITH recipient AS (
    INSERT INTO campaign_recipients (id, campaign_id, phone_number, scheduled_send_date, attempt, template_parameters)
    SELECT u.id, %(campaign)s, u.phone, %(at)s, 1, '["Ada", "10 %%"]'
    FROM unnest(%(ids)s::uuid[], %(phones)s::text[]) AS u (id, phone)
)
INSERT INTO releases (recipient_id, attempt, campaign_id, phone_number_id, send_before, budget_day)
SELECT id, 1, %(campaign)s, %(number)s, %(before)s, %(at)s::date FROM unnest(%(ids)s::uuid[]) AS u (id)
"""


@dataclass(frozen=True, slots=True)
class Jobs:
    """The jobs of one run, in the order in which the scheduler would publish them: the numbers take turns."""

    count: int
    numbers: int
    at: datetime

    def all(self) -> Iterator[SendJob]:
        """Every job. Two calls give the same jobs."""
        for position in range(self.count):
            number = position % self.numbers
            yield SendJob(
                campaign_id=campaign_of(number),
                recipient_id=RecipientId(_uuid(0x10, position)),
                attempt=1,
                phone_number_id=number_id_of(number),
                phone_number=str(4_915_100_000_000 + position),
                template_name="spring_offer",
                language_code="en",
                template_parameters=["Ada", "10 %"],
                send_before=self.at + timedelta(hours=2),
            )


def campaign_of(number: int) -> CampaignId:
    """The campaign that uses this number."""
    return CampaignId(_uuid(0x20, number))


def number_id_of(number: int) -> str:
    """The Cloud API's id of this number."""
    return str(106_540_352_242_000 + number)


def callback_of(job: SendJob) -> str:
    """The callback data of a job, which identifies its post."""
    return callback.encode(SECRET.encode(), DEPLOYMENT, job.campaign_id, job.recipient_id, job.attempt)


def start_of_now() -> datetime:
    """The present second."""
    return datetime.now(UTC).replace(microsecond=0)


def create_rows(url: str, jobs: Jobs) -> None:
    """Create the schema, one active campaign for each number, and released recipients."""
    migrate(url)
    with psycopg.connect(url, autocommit=True) as connection:
        by_number: dict[int, list[SendJob]] = {number: [] for number in range(jobs.numbers)}
        for position, job in enumerate(jobs.all()):
            by_number[position % jobs.numbers].append(job)
        for number, theirs in by_number.items():
            connection.execute(
                "INSERT INTO marketing_campaigns (id, name, template_name, language_code, phone_number_id, status,"
                " created_at) VALUES (%s, %s, 'spring_offer', 'en', %s, 'active', %s)",
                [campaign_of(number), f"benchmark {number}", number_id_of(number), jobs.at],
            )
            connection.execute(ADD, {
                "campaign": campaign_of(number), "number": number_id_of(number), "at": jobs.at,
                "before": jobs.at + timedelta(hours=2), "ids": [job.recipient_id for job in theirs],
                "phones": [job.phone_number for job in theirs],
            })  # fmt: skip
        connection.execute("VACUUM ANALYZE campaign_recipients, releases, campaign_counter_deltas, send_ledger")
        connection.execute("CHECKPOINT")


def create_topics(settings: Settings, jobs: Jobs) -> None:
    """Create the topics of a sender, and store the jobs."""
    names = (Topic.SEND_JOBS, Topic.RECIPIENT_EVENTS)
    apply(settings, [BY_NAME[name] for topic in names for name in (topic, topic.dead)])
    producer = Producer(producer_config(settings))
    for position, job in enumerate(jobs.all()):
        producer.produce(settings.topic(Topic.SEND_JOBS), encode(job), job.key)
        if position % FLUSHED_TOGETHER == 0:
            producer.flush(FLUSH_S)
    assert producer.flush(FLUSH_S) == 0, "the jobs are stored"


def _uuid(kind: int, position: int) -> UUID:
    """A UUID of version 7 whose order is that of the positions, as the database makes them."""
    return UUID(int=0x0197D3A0_0000_7000_8000_000000000000 | kind << 64 | position)
