"""Quix Streams' PostgreSQLSink: an upsert of the last event of each recipient, partition by partition.

    python quix.py BOOTSTRAP TOPIC DATABASE_URL

It commits the offsets of a batch after its rows. It imports nothing of the product.
"""

from __future__ import annotations

import sys
import tempfile
from typing import Any
from urllib.parse import unquote, urlsplit

from quixstreams import Application
from quixstreams.sinks.community.postgresql import PostgreSQLSink

bootstrap, topic, url = sys.argv[1:]
where = urlsplit(url)
state = tempfile.TemporaryDirectory()
app = Application(
    broker_address=bootstrap,
    consumer_group=f"{topic}.peer",
    auto_offset_reset="earliest",
    auto_create_topics=False,
    loglevel="ERROR",
    commit_interval=1.0,
    commit_every=40_000,
    state_dir=state.name,
    consumer_extra_config={"fetch.queue.backoff.ms": 5},
)
sink = PostgreSQLSink(
    host=where.hostname or "",
    port=where.port or 5432,
    dbname=where.path.strip("/"),
    user=unquote(where.username or ""),
    password=unquote(where.password or ""),
    table_name="peer_recipients",
    schema_auto_update=False,
    primary_key_columns="id",
    upsert_on_primary_key=True,
    include_metadata=False,
)


def row_of(event: dict[str, Any]) -> dict[str, Any]:
    """The columns of one event. The sink writes the columns of the first row of a batch, so each has the same."""
    status = "sent" if event["kind"] == "accepted" else event["kind"]
    times = {f"{each}_at": event["occurred_at"] if each == status else None for each in ("sent", "delivered", "read")}
    return {"id": event["recipient_id"], "status": status, "whatsapp_message_id": event["wamid"], **times}


app.dataframe(app.topic(topic, value_deserializer="json")).apply(row_of).sink(sink)

if __name__ == "__main__":
    app.run()
