"""Reads rows, counters and claims for the verdict, with separate SQL that shares nothing with the pipeline."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import psycopg

from verdict.judge import Held, JudgedRow

JudgeConnection = psycopg.Connection[tuple[Any, ...]]

ROWS = """
    SELECT id::text, coalesce(phone_number, person), status, attempt, whatsapp_message_id,
           extract(epoch FROM sent_at)::float8, extract(epoch FROM delivered_at)::float8,
           extract(epoch FROM read_at)::float8, extract(epoch FROM failed_at)::float8,
           failure_code, failure_reason, retry_count,
           extract(epoch FROM next_attempt_at - clock_timestamp())::float8,
           deferred_attempt IS NOT DISTINCT FROM attempt, retry_attempt IS NOT DISTINCT FROM attempt, failure_class,
           window_country, next_attempt_at IS NOT DISTINCT FROM capped_until,
           price, coalesce(template_parameters, '[]'::jsonb)
    FROM campaign_recipients WHERE campaign_id = %s ORDER BY id
"""

COUNTERS = """
    SELECT dimension || '/' || key, sum(n)::bigint
    FROM (SELECT dimension, key, n FROM campaign_counters WHERE campaign_id = %(campaign)s
          UNION ALL
          SELECT dimension, key, n FROM campaign_counter_deltas WHERE campaign_id = %(campaign)s) AS every
    GROUP BY 1 HAVING sum(n) <> 0
"""

OPT_OUTS = "SELECT count(*) FROM campaign_opt_outs WHERE campaign_id = %s AND opt_outs > 0"

# Claimed before a moment, and still without an answer.
OPEN_CLAIMS = """
    SELECT recipient_id::text, attempt FROM send_ledger
    WHERE outcome IS NULL AND claimed_at <= to_timestamp(%s)
"""

TOKENS = "SELECT recipient_id::text, attempt, token::text FROM send_ledger"

AT_WORK = """
    SELECT (SELECT count(*) FROM campaign_recipients
            WHERE campaign_id = %(campaign)s AND status IN ('pending', 'queued')),
           (SELECT count(*) FROM campaign_recipients
            WHERE campaign_id = %(campaign)s AND next_attempt_at < clock_timestamp() + %(horizon_s)s * interval '1 s'),
           (SELECT count(*) FROM send_ledger
            WHERE campaign_id = %(campaign)s AND (outcome IS NULL OR published_at IS NULL)),
           (SELECT count(*) FROM releases WHERE campaign_id = %(campaign)s)
"""


@dataclass(frozen=True, slots=True)
class AtWork:
    """Unfinished work in Postgres, as counts."""

    unfinished: int
    due_soon: int
    unsettled_or_unpublished: int
    released: int


def connect(url: str) -> JudgeConnection:
    """Open an autocommit connection."""
    return psycopg.connect(url, autocommit=True, application_name="campaigns-demo")


def read_rows(connection: JudgeConnection, campaign: str) -> list[JudgedRow]:
    """Every recipient of the campaign."""
    return [_row(found) for found in connection.execute(ROWS, [campaign]).fetchall()]


def read_opt_outs(connection: JudgeConnection, campaign: str) -> int:
    """How many people opted out after a message of the campaign."""
    row = connection.execute(OPT_OUTS, [campaign]).fetchone()
    assert row is not None
    return int(row[0])


def read_counters(connection: JudgeConnection, campaign: str) -> dict[str, int]:
    """The counters of the triggers, folded or not."""
    return dict(connection.execute(COUNTERS, {"campaign": campaign}).fetchall())


def read_open_claims(connection: JudgeConnection, claimed_until: float) -> set[Held]:
    """The attempts claimed by that moment and without an answer now."""
    return {(found[0], found[1]) for found in connection.execute(OPEN_CLAIMS, [claimed_until]).fetchall()}


def read_tokens(connection: JudgeConnection) -> dict[Held, str]:
    """The claim token of each attempt."""
    return {(found[0], found[1]): found[2] for found in connection.execute(TOKENS).fetchall()}


def read_at_work(connection: JudgeConnection, campaign: str, horizon_s: float) -> AtWork:
    """The work within the horizon."""
    found = connection.execute(AT_WORK, {"campaign": campaign, "horizon_s": horizon_s}).fetchone()
    assert found is not None
    return AtWork(*found)


def _row(found: tuple[Any, ...]) -> JudgedRow:
    *fields, parameters = found
    return replace(
        JudgedRow(*fields), parameters=tuple(parameters) if isinstance(parameters, list) else ("not a list of texts",)
    )
