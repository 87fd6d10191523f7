"""Compares every row with the truth, which is computed from the events alone."""

from __future__ import annotations

from typing import Any, LiteralString

import psycopg

from bench.sink.workload import MessageTruth, Workload

OURS = "campaign_recipients"
PEER = "peer_recipients"
DEBEZIUM = "debezium_recipients"
ROWS: dict[str, LiteralString] = {
    OURS: "SELECT id, status, sent_at, delivered_at, read_at, whatsapp_message_id FROM campaign_recipients",
    PEER: "SELECT id, status, sent_at, delivered_at, read_at, whatsapp_message_id FROM peer_recipients",
    DEBEZIUM: "SELECT recipient_id, CASE kind WHEN 'accepted' THEN 'sent' ELSE kind END,"
    " CASE WHEN kind IN ('accepted', 'sent') THEN occurred_at END, CASE WHEN kind = 'delivered' THEN occurred_at END,"
    " CASE WHEN kind = 'read' THEN occurred_at END, wamid FROM debezium_recipients",
}
COUNTED: LiteralString = """
SELECT key, sum(n)::bigint FROM (
    SELECT dimension, key, n FROM campaign_counters UNION ALL
    SELECT dimension, key, n FROM campaign_counter_deltas) AS every
WHERE dimension = 'funnel' AND key IN ('sent', 'delivered', 'read') GROUP BY key
"""


def rows_right(connection: psycopg.Connection[tuple[Any, ...]], table: str, workload: Workload) -> float:
    """The share of the rows that are exactly right. Nothing is right where our counters or messages are wrong."""
    rows = connection.execute(ROWS[table]).fetchall()
    truth = workload.truth()
    right = sum(_is_right(row, truth[row[0]]) for row in rows) / len(truth)
    return right if table != OURS or _has_the_rest(connection, list(truth.values())) else 0.0


def statuses_right(connection: psycopg.Connection[tuple[Any, ...]], table: str, workload: Workload) -> float:
    """The share of the rows whose status is right, whatever their times are."""
    truth = workload.truth()
    rows = connection.execute(ROWS[table]).fetchall()
    return sum(bool(row[1] == truth[row[0]].status) for row in rows) / len(truth)


def _has_the_rest(connection: psycopg.Connection[tuple[Any, ...]], truth: list[MessageTruth]) -> bool:
    """Whether counters and messages agree with the rows."""
    expected = {
        "sent": len(truth),
        "delivered": sum(each.delivered_at is not None for each in truth),
        "read": sum(each.read_at is not None for each in truth),
    }
    messages = connection.execute(
        "SELECT count(*) FROM messages AS m JOIN campaign_recipients AS r"
        " ON r.whatsapp_message_id = m.wamid AND m.recipient_id = r.id AND m.attempt = 1"
    ).fetchone()
    return dict(connection.execute(COUNTED).fetchall()) == expected and messages == (len(truth),)


def _is_right(row: tuple[Any, ...], truth: MessageTruth) -> bool:
    return row[1:] == (truth.status, truth.sent_at, truth.delivered_at, truth.read_at, truth.wamid)
