"""`consume(500)` and an upsert by `executemany`, as most teams write it. It decodes JSON and validates nothing.

    python executemany.py BOOTSTRAP TOPIC DATABASE_URL

It prints the number of applied records after each commit.
"""

from __future__ import annotations

import sys
from typing import Any

import orjson
import psycopg
from confluent_kafka import Consumer

BATCH = 500
UPSERT = """
INSERT INTO peer_recipients AS r (id, campaign_id, phone_number, status, whatsapp_message_id,
                                  sent_at, delivered_at, read_at, failed_at, failure_reason)
VALUES (%(id)s, %(campaign_id)s, '', %(status)s, %(wamid)s, %(sent)s, %(delivered)s, %(read)s, %(failed)s, %(reason)s)
ON CONFLICT (id) DO UPDATE SET
    status = excluded.status, whatsapp_message_id = excluded.whatsapp_message_id,
    sent_at = coalesce(excluded.sent_at, r.sent_at), delivered_at = coalesce(excluded.delivered_at, r.delivered_at),
    read_at = coalesce(excluded.read_at, r.read_at), failed_at = coalesce(excluded.failed_at, r.failed_at),
    failure_reason = coalesce(excluded.failure_reason, r.failure_reason), updated_at = now()
"""
WORDS = ("sent", "delivered", "read", "failed")


def main() -> None:
    """Apply until the process is ended."""
    bootstrap, topic, url = sys.argv[1:]
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": f"{topic}.peer", "auto.offset.reset": "earliest",
        "enable.auto.commit": False, "fetch.queue.backoff.ms": 5,
    })  # fmt: skip
    consumer.subscribe([topic])
    done = 0
    with psycopg.connect(url) as connection:
        while True:
            records = [record for record in consumer.consume(BATCH, 0.5) if record.error() is None]
            if not records:
                continue
            rows = [row_of(orjson.loads(record.value() or b"")) for record in records]
            with connection.transaction(), connection.cursor() as cursor:
                cursor.executemany(UPSERT, rows)
            consumer.commit(asynchronous=True)
            done += len(rows)
            print(done, flush=True)


def row_of(event: dict[str, Any]) -> dict[str, Any]:
    """The values of one event: its status, and the time of that status."""
    word = "sent" if event["kind"] == "accepted" else event["kind"]
    failure = event.get("failure") or {}
    times = {each: event["occurred_at"] if each == word else None for each in WORDS}
    return {
        "id": event["recipient_id"], "campaign_id": event["campaign_id"], "status": word, "wamid": event.get("wamid"),
        "reason": failure.get("reason"), **times,
    }  # fmt: skip


if __name__ == "__main__":
    main()
