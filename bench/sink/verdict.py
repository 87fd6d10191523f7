"""Compares every row with the truth, which is computed from the events alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, LiteralString

from bench.sink.progress import Connected
from bench.sink.workload import MessageTruth, Workload
from schemas.model import RecipientId

OURS = "campaign_recipients"
PEER = "peer_recipients"
DEBEZIUM = "debezium_recipients"
ROWS: dict[str, LiteralString] = {
    OURS: "SELECT id, status, sent_at, delivered_at, read_at, whatsapp_message_id FROM campaign_recipients"
    " WHERE id = ANY(%s)",
    PEER: "SELECT id, status, sent_at, delivered_at, read_at, whatsapp_message_id FROM peer_recipients"
    " WHERE id = ANY(%s)",
    DEBEZIUM: "SELECT recipient_id, CASE kind WHEN 'accepted' THEN 'sent' ELSE kind END,"
    " CASE WHEN kind IN ('accepted', 'sent') THEN occurred_at END, CASE WHEN kind = 'delivered' THEN occurred_at END,"
    " CASE WHEN kind = 'read' THEN occurred_at END, wamid FROM debezium_recipients"
    " WHERE recipient_id = ANY(%s)",
}
COUNTED: LiteralString = """
SELECT key, sum(n)::bigint FROM (
    SELECT dimension, key, n FROM campaign_counters UNION ALL
    SELECT dimension, key, n FROM campaign_counter_deltas) AS every
WHERE dimension = 'funnel' AND key IN ('sent', 'delivered', 'read') GROUP BY key
"""
RECOUNTED: LiteralString = """
SELECT count(sent_at), count(delivered_at), count(read_at) FROM campaign_recipients
"""
MESSAGES: LiteralString = """
SELECT count(*) FROM messages AS m JOIN campaign_recipients AS r
    ON r.whatsapp_message_id = m.wamid AND m.recipient_id = r.id AND m.attempt = 1
WHERE r.id = ANY(%s)
"""


def rows_right(connection: Connected, table: str, workload: Workload) -> float:
    """The share of the rows that are exactly right. Nothing is right where our counters or messages are wrong."""
    truth = workload.truth()
    rows = connection.execute(ROWS[table], [list(truth)]).fetchall()
    right = sum(_is_right(row, truth[row[0]]) for row in rows) / len(truth)
    return right if table != OURS or _has_the_rest(connection, truth) else 0.0


def statuses_right(connection: Connected, table: str, workload: Workload) -> float:
    """The share of the rows whose status is right, whatever their times are."""
    truth = workload.truth()
    rows = connection.execute(ROWS[table], [list(truth)]).fetchall()
    return sum(bool(row[1] == truth[row[0]].status) for row in rows) / len(truth)


def _has_the_rest(connection: Connected, truth: Mapping[RecipientId, MessageTruth]) -> bool:
    """Whether the counters agree with all rows, and each of these rows has its message."""
    [counted] = connection.execute(RECOUNTED).fetchall()
    counters: dict[str, int] = dict(connection.execute(COUNTED).fetchall())
    messages = connection.execute(MESSAGES, [list(truth)]).fetchone()
    return tuple(counters.get(key, 0) for key in ("sent", "delivered", "read")) == counted and messages == (len(truth),)


def _is_right(row: tuple[Any, ...], truth: MessageTruth) -> bool:
    return row[1:] == (truth.status, truth.sent_at, truth.delivered_at, truth.read_at, truth.wamid)
