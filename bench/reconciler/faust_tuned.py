"""Faust in its best configuration: batches, raw bytes, orjson, the sends of a batch together, uvloop.

It believes the callback data without checking its signature, and imports nothing of the product.
"""

from __future__ import annotations

import asyncio
import base64
import uuid
from datetime import UTC, datetime
from typing import Any

import faust
import orjson

from bench.reconciler.peer_options import options

given = options()
app = faust.App(
    "tuned",
    broker=f"kafka://{given.kafka}",
    key_serializer="raw",
    value_serializer="raw",
    store="memory://",
    web_enabled=False,
    topic_disable_leader=True,
    consumer_auto_offset_reset="earliest",
    stream_buffer_maxsize=16_384,
    broker_commit_every=10_000,
    producer_linger=0.005,
    producer_max_batch_size=256 * 1024,
    producer_compression_type="lz4",
)
source = app.topic(given.source, key_serializer="raw", value_serializer="raw")
target = app.topic(given.target, key_serializer="raw", value_serializer="raw")


@app.agent(source)
async def reconcile(bodies: Any) -> None:
    """Send the events of a batch, and wait for all of them."""
    async for batch in bodies.take(500, within=0.05):
        await asyncio.gather(*[await target.send(key=key, value=value) for key, value in events_of(batch)])


def events_of(batch: list[bytes]) -> list[tuple[bytes, bytes]]:
    """The key and the value of each event."""
    return [
        event_of(status, change["value"]["metadata"]["phone_number_id"])
        for raw in batch
        for entry in orjson.loads(raw)["entry"]
        for change in entry["changes"]
        for status in change["value"].get("statuses", [])
    ]


def event_of(status: dict[str, Any], number: str) -> tuple[bytes, bytes]:
    """The key and the value of one event."""
    parts = status["biz_opaque_callback_data"].split(".")
    recipient = uuid_of(parts[3])
    event = {
        "kind": status["status"],
        "campaign_id": uuid_of(parts[2]),
        "recipient_id": recipient,
        "attempt": int(parts[4]),
        "wamid": status["id"],
        "phone_number_id": number,
        "occurred_at": datetime.fromtimestamp(int(status["timestamp"]), UTC),
        "pricing": status.get("pricing"),
    }
    return recipient.encode(), orjson.dumps(event, option=orjson.OPT_UTC_Z)


def uuid_of(text: str) -> str:
    """A UUID from base64url."""
    return str(uuid.UUID(bytes=base64.urlsafe_b64decode(text + "==")))


if __name__ == "__main__":
    faust.Worker(app, loglevel="error", quiet=True).execute_from_commandline()
