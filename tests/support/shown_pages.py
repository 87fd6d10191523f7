"""Campaigns of every kind for a look at the pages: running, huge, paused, empty, finished, with a very long name.

The counters are written directly, because ten million recipients would take too long to add.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg import sql

Connection = psycopg.Connection[tuple[Any, ...]]
LONG_NAME = "Donaudampfschifffahrtsgesellschaftskapitaensmuetzen" * 3

COUNTRIES = {"prefix/49": 14_000, "prefix/55": 9_000, "prefix/44": 999, "prefix/unknown": 1}


def fill(connection: Connection) -> dict[str, str]:
    """Add the campaigns, on an autocommit connection, and return the path of each page by its name."""
    long = _campaign(connection, LONG_NAME, "draft", {}, template="t" * 300)
    _campaign(connection, "Spring launch", "completed", _counters(12_400, sent=12_310, delivered=11_890, read=8_204))
    _campaign(
        connection, "Wrong template", "cancelled", {**_counters(5_000, sent=20), "skip/campaign_cancelled": 4_980}
    )
    paused = _campaign(
        connection,
        "Payment trouble",
        "paused",
        {**_counters(8_000, pending=7_900, sent=40, delivered=38, read=20), **_failed(131042, 60)},
        reason="account stopped: payment or eligibility issue",
    )
    huge = _campaign(
        connection,
        "Ten million people",
        "active",
        {
            **_counters(10_000_000, pending=3_204_113, sent=6_712_000, delivered=6_540_221, read=4_811_902),
            **_failed(131026, 83_000),
            "failure/131026": 61_240,
            "failure/131049": 21_760,
            "status/unknown": 37,
            "status/skipped": 2_031,
            "skip/opted_out": 2_031,
            "price/marketing/billable/49": 6_210_344,
            "price/marketing/billable/55": 301_877,
            "price/marketing/billable/998": 20_000,
            "price/authentication-international/billable/unknown": 3_000,
            "price/utility/free_customer_service/49": 4_000,
            "price/service/free_entry_point/1": 1_000,
        },
    )
    summer = _campaign(
        connection,
        "Summer sale",
        "active",
        {
            **_counters(5_000, pending=880, sent=4_020, delivered=3_618, read=2_776),
            **_failed(131026, 60),
            "failure/131026": 39,
            "failure/131049": 21,
            "status/skipped": 40,
            "skip/opted_out": 31,
            "skip/same_person": 9,
            "status/unknown": 3,
            "funnel/replied": 41,
            "price/marketing/billable/49": 3_200,
            "price/marketing/free_entry_point/1": 400,
        },
    )
    for minute in range(17):
        connection.execute(
            "INSERT INTO campaign_timeline"
            " VALUES (%s, date_trunc('minute', now()) - %s * interval '1 minute', %s, %s, %s, %s)",
            (summer, 16 - minute, 230 + minute * 37 % 31, 200 + minute * 23 % 29, 150 + minute * 17 % 43, minute % 5),
        )
    connection.execute(
        "INSERT INTO campaign_minutes SELECT %s, mod(extract(epoch FROM m)::bigint / 60, 8), m, 1100"
        " FROM date_trunc('minute', now()) AS m",
        (summer,),
    )
    person = _people(connection, summer)
    draft = _campaign(connection, "Winter sale", "draft", {**_counters(24_000, pending=24_000), **COUNTRIES})
    of = {
        name: f"/campaigns/{each}"
        for name, each in (("long", long), ("paused", paused), ("huge", huge), ("draft", draft))
    }
    return {
        "list": "/", "campaign": f"/campaigns/{summer}", **of, "new": "/campaigns/new",
        "edit": f"/campaigns/{draft}/edit",
        "add": f"/campaigns/{summer}/add", "cancel": f"/campaigns/{summer}/cancel",
        "retry": f"/campaigns/{paused}/retry?code=131042", "people": f"/campaigns/{summer}/people",
        "unknown": f"/campaigns/{summer}/people?status=unknown",
        "assume": f"/campaigns/{summer}/unknown?choice=assume-sent",
        "again": f"/campaigns/{summer}/unknown?choice=retry",
        "import": f"/campaigns/{summer}/import", "clone": f"/campaigns/{huge}/clone",
        "test": f"/campaigns/{summer}/test-send",
        "person": f"/campaigns/{summer}/people/{person}",
        "missing": f"/campaigns/{UUID(int=7)}",
    }  # fmt: skip


def _counters(total: int, *, pending: int = 0, sent: int = 0, delivered: int = 0, read: int = 0) -> dict[str, int]:
    return {
        "funnel/total": total, "status/pending": pending, "funnel/sent": sent, "funnel/delivered": delivered,
        "funnel/read": read,
    }  # fmt: skip


def _failed(code: int, count: int) -> dict[str, int]:
    return {"status/failed": count, f"failure/{code}": count}


def _campaign(
    connection: Connection,
    name: str,
    status: str,
    counters: Mapping[str, int],
    *,
    template: str = "summer_sale_2026",
    reason: str | None = None,
) -> UUID:
    row = connection.execute(
        "INSERT INTO marketing_campaigns (name, template_name, language_code, daily_send_limit, phone_number_id,"
        " time_zone, status, pause_reason, activated_at, started_at, completed_at)"
        " VALUES (%(name)s, %(template)s, 'en_US', 10000, '15550001', 'America/Sao_Paulo', %(status)s, %(reason)s,"
        " CASE WHEN %(status)s <> 'draft' THEN now() - interval '17 minutes' END,"
        " CASE WHEN %(status)s <> 'draft' THEN now() - interval '17 minutes' END,"
        " CASE WHEN %(status)s = 'completed' THEN now() END) RETURNING id",
        {"name": name, "template": template, "status": status, "reason": reason},
    ).fetchone()
    assert row is not None
    for key, count in counters.items():
        connection.execute("INSERT INTO campaign_counters VALUES (%s, %s, %s, %s)", (row[0], *key.split("/", 1), count))
    return UUID(str(row[0]))


def _people(connection: Connection, campaign: UUID) -> UUID:
    """Add eight people in eight states, uncounted, and return one who has read."""
    numbers = [str(14694650000 + n) for n in range(8)]
    rows = [
        connection.execute(
            "INSERT INTO campaign_recipients (campaign_id, phone_number, created_at)"
            " VALUES (%s, %s, now() - interval '17 minutes') RETURNING id",
            (campaign, number),
        ).fetchone()
        for number in numbers
    ]
    ids = [row[0] for row in rows if row is not None]
    accepted = "attempt = 1, accepted_attempts = 2, sent_at = now() - interval '9 minutes'"
    delivered = f"{accepted}, delivered_at = now() - interval '8 minutes'"
    failed = (
        "attempt = 1, failed_attempts = 2, failed_attempt = 1, failed_at = now(), failure_code = 131026,"
        " failure_text = 'Message undeliverable', failure_class = 'never', failure_backoff_s = 0"
    )
    changes: list[LiteralString] = [
        "attempt = 0", "attempt = 1", accepted, delivered, f"{delivered}, read_at = now() - interval '3 minutes'",
        failed, "attempt = 1, unknown_attempt = 1", "attempt = 2, unknown_attempt = 2",
    ]  # fmt: skip
    for each, change in zip(ids, changes, strict=True):
        connection.execute(sql.SQL("UPDATE campaign_recipients SET {} WHERE id = %s").format(sql.SQL(change)), (each,))
    connection.execute("DELETE FROM campaign_counter_deltas WHERE campaign_id = %s", (campaign,))
    return UUID(str(ids[4]))
