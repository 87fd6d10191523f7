"""Prepares Kafka and Postgres for one run: topics with all records, and rows of recipients that were released."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import LiteralString

import psycopg
from confluent_kafka import Producer

from bench.sink.progress import Connected
from bench.sink.workload import CAMPAIGN, NUMBER_ID, Workload
from runtime.settings import Settings
from schemas.model import RecipientId
from schemas.topics import BY_NAME, Topic
from tables.migrate import migrate
from topics.apply import apply
from topics.clients import producer_config

FLUSHED_TOGETHER = 10_000
FLUSH_S = 60
RELEASED_TOGETHER = 1_000

PEER_TABLE: LiteralString = """
CREATE TABLE peer_recipients (
    id uuid PRIMARY KEY, campaign_id uuid, phone_number text, status text NOT NULL DEFAULT 'pending',
    whatsapp_message_id text, sent_at timestamptz, delivered_at timestamptz, read_at timestamptz,
    failed_at timestamptz, failure_reason text, retry_count integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (campaign_id, phone_number)
) WITH (fillfactor = 80)
"""
"""The table of the original pipeline, as most teams have it: no facts, no counters, no ledger.

Campaign and number may be null, because a connector inserts the columns of an event before it finds the conflict.
"""

DEBEZIUM_TABLE: LiteralString = """
CREATE TABLE debezium_recipients (
    recipient_id uuid PRIMARY KEY, campaign_id uuid, kind text, wamid text, occurred_at timestamptz
) WITH (fillfactor = 80)
"""
"""A table with the fields of an event: a connector writes the fields of its records and computes none."""


def create_topics(settings: Settings, records: Iterable[tuple[bytes, bytes]]) -> int:
    """Create the topics of a sink, and fill that of events; returns the number of records."""
    names = (Topic.RECIPIENT_EVENTS, Topic.SUBSCRIPTION_EVENTS, Topic.CAMPAIGN_CONTROL)
    apply(settings, [BY_NAME[name] for topic in names for name in (topic, topic.dead)])
    producer = Producer(producer_config(settings))
    count = 0
    for key, value in records:
        producer.produce(settings.topic(Topic.RECIPIENT_EVENTS), value, key)
        count += 1
        if count % FLUSHED_TOGETHER == 0:
            producer.flush(FLUSH_S)
    assert producer.flush(FLUSH_S) == 0, "the input is stored"
    return count


def create_rows(url: str, workload: Workload) -> None:
    """Create the schema, one active campaign and its recipients, each released as the scheduler does it."""
    migrate(url)
    ids = workload.ids()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO marketing_campaigns (id, name, template_name, language_code, phone_number_id, status,"
            " created_at) VALUES (%s, 'benchmark', 'template', 'en', %s, 'active', %s)",
            [CAMPAIGN, NUMBER_ID, workload.start - timedelta(hours=1)],
        )
        connection.execute(
            "INSERT INTO campaign_recipients (id, campaign_id, phone_number, scheduled_send_date)"
            " SELECT id, %s, (15550000000 + n)::text, %s"
            " FROM unnest(%s::uuid[]) WITH ORDINALITY AS u (id, n)",
            [CAMPAIGN, workload.start, list(ids)],
        )
        release(connection, ids)
        connection.execute(PEER_TABLE)
        connection.execute(
            "INSERT INTO peer_recipients (id, campaign_id, phone_number)"
            " SELECT id, campaign_id, phone_number FROM campaign_recipients ORDER BY id"
        )
        connection.execute(DEBEZIUM_TABLE)
        connection.execute(
            "INSERT INTO debezium_recipients (recipient_id, campaign_id)"
            " SELECT id, campaign_id FROM campaign_recipients ORDER BY id"
        )
        connection.execute(
            "VACUUM ANALYZE campaign_recipients, peer_recipients, debezium_recipients, campaign_counter_deltas"
        )
        connection.execute("CHECKPOINT")


def release(connection: Connected, ids: Sequence[RecipientId]) -> None:
    """Release recipients as the scheduler does it."""
    for first in range(0, len(ids), RELEASED_TOGETHER):
        connection.execute(
            "UPDATE campaign_recipients SET attempt = 1 WHERE id = ANY(%s::uuid[])",
            [list(ids[first : first + RELEASED_TOGETHER])],
        )
