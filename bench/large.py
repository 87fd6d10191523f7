"""A campaign with very many recipients, for the benchmarks of large tables.

The rows are what a campaign looks like after a day: of ten recipients five have read the message, two have received it,
one message was sent, one failed, and one is planned. They are inserted with all triggers, so the counters are right.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import LiteralString

import psycopg

from bench.sink.workload import CAMPAIGN, NUMBER_ID
from schemas.model import RecipientId

INSERTED_TOGETHER = 250_000
CAMPAIGN_ROW: LiteralString = """
INSERT INTO marketing_campaigns (id, name, template_name, language_code, phone_number_id, status, created_at)
VALUES (%s, 'benchmark', 'template', 'en', %s, 'active', %s) ON CONFLICT DO NOTHING
"""
ROWS: LiteralString = """
WITH numbered AS MATERIALIZED (
    SELECT n, n %% 10 AS kind, campaigns_uuid_v7() AS id,
           %(start)s::timestamptz + n %% 3000 * interval '1 second' AS at
    FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
), rows AS MATERIALIZED (
    SELECT *, 'wamid.HBgLMTU1NTAxMjM0NTYVAgARGBI' || upper(left(reverse(replace(id::text, '-', '')), 24)) || 'A='
              AS wamid
    FROM numbered
), inserted AS (
    INSERT INTO campaign_recipients (
        id, campaign_id, phone_number, scheduled_send_date, attempt, sent_at, delivered_at, read_at,
        accepted_attempts, accepted_attempt, accepted_at, whatsapp_message_id,
        failed_attempts, failed_attempt, failed_at, failure_code, failure_text, failure_class, failure_backoff_s,
        price)
    SELECT id, %(campaign)s, (15550000000 + n * 73687871 %% 100000000)::text, %(start)s,
           CASE WHEN kind = 0 THEN 0 ELSE 1 END,
           CASE WHEN kind > 0 THEN at END, CASE WHEN kind > 2 THEN at + interval '2 seconds' END,
           CASE WHEN kind > 4 THEN at + interval '9 seconds' END,
           CASE WHEN kind > 0 THEN 2 ELSE 0 END, CASE WHEN kind > 0 THEN 1 END, CASE WHEN kind > 0 THEN at END,
           CASE WHEN kind > 0 THEN wamid END,
           CASE WHEN kind = 1 THEN 2 ELSE 0 END, CASE WHEN kind = 1 THEN 1 END,
           CASE WHEN kind = 1 THEN at + interval '3 seconds' END, CASE WHEN kind = 1 THEN 131026 END,
           CASE WHEN kind = 1 THEN 'Message undeliverable' END, CASE WHEN kind = 1 THEN 'never' END,
           CASE WHEN kind = 1 THEN 0 END, CASE WHEN kind > 0 THEN '01 marketing/billable' END
    FROM rows
)
INSERT INTO messages (wamid, recipient_id, attempt, phone_number_id, accepted_at, pricing_at, pricing_type,
                      pricing_category)
SELECT wamid, id, 1, %(number)s, at, at, 'regular', 'marketing' FROM rows WHERE kind > 0
"""
PLANNED: LiteralString = """
SELECT id FROM (
    SELECT id, row_number() OVER (ORDER BY id) AS place FROM campaign_recipients WHERE attempt = 0
) AS planned WHERE place %% %s = 0 LIMIT %s
"""


def grow(url: str, start: datetime, rows: int, note: Callable[[str], None]) -> None:
    """Insert recipients until the campaign has so many. The schema must exist."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(CAMPAIGN_ROW, [CAMPAIGN, NUMBER_ID, start - timedelta(hours=1)])
        [(present,)] = connection.execute("SELECT count(*) FROM campaign_recipients").fetchall()
        for first in range(present, rows, INSERTED_TOGETHER):
            last = min(rows, first + INSERTED_TOGETHER) - 1
            connection.execute(
                ROWS, {"first": first, "last": last, "start": start, "campaign": CAMPAIGN, "number": NUMBER_ID}
            )
            note(f"a large table: {last + 1:,} of {rows:,} rows")
        connection.execute("VACUUM ANALYZE campaign_recipients, messages, campaign_counter_deltas")
        connection.execute("CHECKPOINT")


def planned(connection: psycopg.Connection[tuple[object, ...]], number: int) -> tuple[RecipientId, ...]:
    """Planned recipients that are spread evenly over the whole table."""
    [(present,)] = connection.execute("SELECT count(*) FROM campaign_recipients WHERE attempt = 0").fetchall()
    assert isinstance(present, int)
    found = connection.execute(PLANNED, [max(1, present // number), number]).fetchall()
    return tuple(row[0] for row in found)  # type: ignore[misc]
