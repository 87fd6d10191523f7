"""The verdict on rows of a real Postgres: exact for correct rows, and different after one row is falsified."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from cli.demo.killing import Killing, note_claims
from verdict.judge import Evidence, Verdict, judge
from verdict.recount import recount, reported
from verdict.rows import JudgeConnection, connect, read_counters, read_rows
from verdict.truth import LedgerStatus, Post

AT = 1_700_000_000
NUMBERS = ("14695550101", "14695550102", "14695550103")

RECIPIENTS = """
    INSERT INTO campaign_recipients (campaign_id, phone_number, template_parameters, created_at)
    SELECT %s, unnest(%s::text[]), '["Ada"]', to_timestamp(%s)
"""
READ = """
    UPDATE campaign_recipients SET attempt = 1, accepted_attempts = 2, accepted_attempt = 1,
        sent_at = to_timestamp(%(at)s),
        accepted_at = to_timestamp(%(at)s), whatsapp_message_id = 'wamid.' || phone_number,
        delivered_at = to_timestamp(%(at)s + 2), read_at = to_timestamp(%(at)s + 5)
"""


@pytest.fixture
def connection(database_url: str) -> Iterator[JudgeConnection]:
    with connect(database_url) as opened:
        yield opened


@pytest.fixture
def campaign(connection: JudgeConnection) -> str:
    """Three people who read their message."""
    made = connection.execute(
        "INSERT INTO marketing_campaigns (name, template_name, language_code, phone_number_id) "
        "VALUES ('Demo', 't', 'en_US', '1') RETURNING id::text"
    ).fetchone()
    assert made is not None
    connection.execute(RECIPIENTS, [made[0], list(NUMBERS), AT - 60])
    connection.execute(READ, {"at": AT})
    return str(made[0])


def verdict_on(connection: JudgeConnection, campaign: str) -> Verdict:
    """The verdict, if the simulator reported each message as sent, delivered and read."""
    rows = read_rows(connection, campaign)
    ids = {row.number: row.id for row in rows}
    sent = [("sent", 0), ("delivered", 2), ("read", 5)]
    statuses = tuple(LedgerStatus(word, AT + after, None, float(AT + after)) for word, after in sent)
    posts = [
        Post(
            number=number,
            attempt=1,
            recipient_id=ids.get(number, ""),
            received_at=AT - 0.1,
            outcome="answered",
            http_status=200,
            code=None,
            answered_at=float(AT),
            accepted=True,
            wamid=f"wamid.{number}",
            answer_has_wamid=True,
            body_parameters=("Ada",),
            statuses=statuses,
        )
        for number in NUMBERS
    ]
    return judge(
        Evidence(
            rows=rows,
            posts=posts,
            numbers=frozenset(NUMBERS),
            parameters=dict.fromkeys(NUMBERS, ("Ada",)),
            opted_out=frozenset(),
            held_by_killed=frozenset(),
            counters=read_counters(connection, campaign),
            recount=recount(rows),
            reported=reported(rows),
            recount_reported=reported(rows),
        )
    )


def test_correct_rows_are_exact(connection: JudgeConnection, campaign: str) -> None:
    assert verdict_on(connection, campaign).word == "exact"


@pytest.mark.parametrize(
    ("falsified", "field"),
    [
        ("read_at = NULL", "status"),
        ("read_at = read_at + interval '1 s'", "read_at"),
        ("sent_at = sent_at - interval '1 min'", "sent_at"),
        ("whatsapp_message_id = 'wamid.other'", "whatsapp_message_id"),
        ("failed_attempts = 2", "retry_count"),
        ("template_parameters = '[\"Bea\"]'", "template_parameters"),
        ("phone_number = '19453083188'", "row_missing"),
    ],
)
def test_one_falsified_row_is_found(connection: JudgeConnection, campaign: str, falsified: str, field: str) -> None:
    connection.execute(f"UPDATE campaign_recipients SET {falsified} WHERE phone_number = %s", [NUMBERS[1]])
    verdict = verdict_on(connection, campaign)
    assert verdict.word == "differs"
    assert field in {name for wrong in verdict.wrong_rows for name in wrong.fields}
    assert verdict.wrong_counters == (), "the triggers have counted the falsified row as well"


def test_falsified_counters_are_found(connection: JudgeConnection, campaign: str) -> None:
    connection.execute("UPDATE campaign_counter_deltas SET n = n + 1 WHERE key = 'read' AND dimension = 'funnel'")
    verdict = verdict_on(connection, campaign)
    assert verdict.word == "differs"
    assert verdict.wrong_counters == ("funnel/read",)
    assert verdict.wrong_rows == ()


def test_only_the_claims_of_the_killed_sender_count_as_held(connection: JudgeConnection, campaign: str) -> None:
    killed_at = time.time() - 10
    claim = """
        INSERT INTO send_ledger (recipient_id, attempt, campaign_id, budget_day, send_before, token, claimed_at,
                                 lease_until, outcome, outcome_at, event)
        SELECT id, 7, campaign_id, current_date, now() + interval '1 day', gen_random_uuid(), to_timestamp(%(at)s),
               now() + interval '1 min', %(outcome)s::text, CASE WHEN %(outcome)s::text IS NOT NULL THEN now() END,
               CASE WHEN %(outcome)s::text IS NOT NULL THEN '{}' END
        FROM campaign_recipients WHERE campaign_id = %(campaign)s AND phone_number = %(number)s
    """
    for number, after_s, outcome in zip(NUMBERS, (0.4, 3.0, -1.0), (None, None, "accepted"), strict=True):
        connection.execute(
            claim, {"campaign": campaign, "number": number, "at": killed_at + after_s, "outcome": outcome}
        )
    noted = note_claims(Killing("sender-1", "v25.0", 7, killed_at, 3), connection)
    assert noted.open_claims == {(row.id, 7) for row in read_rows(connection, campaign) if row.number == NUMBERS[0]}
