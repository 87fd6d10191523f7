"""Quix Streams: one webhook body a record, expanded to its statuses, one record for each.

It believes the callback data without checking its signature, and imports nothing of the product.
"""

from __future__ import annotations

import base64
import uuid
from datetime import UTC, datetime
from typing import Any

from quixstreams import Application

from bench.reconciler.peer_options import options

given = options()
app = Application(
    broker_address=given.kafka,
    consumer_group="quix",
    auto_offset_reset="earliest",
    auto_create_topics=False,
    loglevel="ERROR",
    commit_every=10_000,
    consumer_extra_config={"fetch.queue.backoff.ms": 5},
    producer_extra_config={"acks": "all", "linger.ms": 5, "compression.type": "lz4"},
)


def events_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of one body."""
    return [
        event_of(status, change["value"]["metadata"]["phone_number_id"])
        for entry in body["entry"]
        for change in entry["changes"]
        for status in change["value"].get("statuses", [])
    ]


def event_of(status: dict[str, Any], number: str) -> dict[str, Any]:
    """One event."""
    parts = status["biz_opaque_callback_data"].split(".")
    return {
        "kind": status["status"],
        "campaign_id": uuid_of(parts[2]),
        "recipient_id": uuid_of(parts[3]),
        "attempt": int(parts[4]),
        "wamid": status["id"],
        "phone_number_id": number,
        "occurred_at": f"{datetime.fromtimestamp(int(status['timestamp']), UTC):%Y-%m-%dT%H:%M:%SZ}",
        "pricing": status.get("pricing"),
    }


def uuid_of(text: str) -> str:
    """A UUID from base64url."""
    return str(uuid.UUID(bytes=base64.urlsafe_b64decode(text + "==")))


frame = app.dataframe(app.topic(given.source, value_deserializer="json"))
frame = frame.apply(events_of, expand=True)
frame.to_topic(
    app.topic(given.target, value_serializer="json", key_serializer="str"), key=lambda event: event["recipient_id"]
)

if __name__ == "__main__":
    app.run()
