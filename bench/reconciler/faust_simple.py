"""A Faust agent as most write it: one webhook body a record, one awaited send for each status.

It believes the callback data without checking its signature, and imports nothing of the product.
"""

from __future__ import annotations

import base64
import uuid
from datetime import UTC, datetime
from typing import Any

import faust

from bench.reconciler.peer_options import options

given = options()
app = faust.App(
    "simple",
    broker=f"kafka://{given.kafka}",
    store="memory://",
    web_enabled=False,
    topic_disable_leader=True,
    consumer_auto_offset_reset="earliest",
)
source = app.topic(given.source, value_type=bytes, value_serializer="json")
target = app.topic(given.target, value_serializer="json")


@app.agent(source)
async def reconcile(bodies: Any) -> None:
    """Send one event for each status."""
    async for body in bodies:
        for entry in body["entry"]:
            for change in entry["changes"]:
                for status in change["value"].get("statuses", []):
                    key, event = event_of(status, change["value"]["metadata"]["phone_number_id"])
                    await target.send(key=key, value=event)


def event_of(status: dict[str, Any], number: str) -> tuple[str, dict[str, Any]]:
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
        "occurred_at": f"{datetime.fromtimestamp(int(status['timestamp']), UTC):%Y-%m-%dT%H:%M:%SZ}",
        "pricing": status.get("pricing"),
    }
    return recipient, event


def uuid_of(text: str) -> str:
    """A UUID from base64url."""
    return str(uuid.UUID(bytes=base64.urlsafe_b64decode(text + "==")))


if __name__ == "__main__":
    faust.Worker(app, loglevel="error", quiet=True).execute_from_commandline()
