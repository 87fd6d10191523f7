"""Upgrading a database that contains data: a later migration changes the schema, and of the rows only what it names."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from domain.people import person_of
from schemas.events import EventKind, RecipientEvent
from tables import ledger, stats
from tables.ledger import Claim, Settlement
from tables.migrate import SchemaMismatch, migrate, migrations
from tables.schema_version import FOLDER
from tables.stats import SQL
from tests.support.histories import START
from tests.support.world import World

NEXT_VERSION = migrations()[-1].version + 1

NEXT_MIGRATION = """
ALTER TABLE campaign_recipients ADD COLUMN note text NOT NULL DEFAULT '';
CREATE OR REPLACE FUNCTION installation_is_known() RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM installation)
$$;
"""

FACTS_BY_STATUS = {
    "sent": "sent_at = now(), accepted_attempts = 2",
    "delivered": "sent_at = now(), delivered_at = now(), accepted_attempts = 2",
    "read": "sent_at = now(), delivered_at = now(), read_at = now(), accepted_attempts = 2",
    "failed": "failed_attempts = 2, failed_attempt = 1, failed_at = now(), failure_code = 131026,"
    " failure_text = 'undeliverable', failure_class = 'backoff', failure_backoff_s = 60",
    "skipped": "skipped_attempt = 1, skip_reason = 'opted_out'",
    "unknown": "unknown_attempt = 1",
}

OTHER_ROWS = (
    "INSERT INTO messages (wamid, recipient_id, attempt) SELECT 'wamid.' || id, id, 1 FROM campaign_recipients",
    "INSERT INTO messages (wamid, phone_number_id, delivered_at) VALUES ('wamid.parked', '15550001', now())",
    "INSERT INTO foreign_statuses VALUES (current_date, '15550001', 3)",
    "INSERT INTO double_sends SELECT id, 1, 'wamid.second' FROM campaign_recipients LIMIT 1",
    "INSERT INTO subscriptions VALUES ('15559999999', 'operator', false, now())",
    "INSERT INTO person_links VALUES ('15559999999', 'user:US.1'), ('user:US.1', '15559999999')",
    "INSERT INTO subscription_outbox (person, source, subscribed, occurred_at) SELECT '1', 'operator', true, now()",
    "INSERT INTO sink_offsets VALUES ('recipient.events', 0, 'cluster', 'topic', 42)",
    "INSERT INTO breakers (scope, key, streak, recent) VALUES ('number', '15550001', 2, 3)",
    "INSERT INTO breaker_changes (change, scope, key, code) VALUES ('opened', 'account', '', 190)",
    "INSERT INTO sender_failures (host) VALUES ('host-1')",
    "INSERT INTO template_trials (campaign_id, refused, code) SELECT id, 3, 132000 FROM marketing_campaigns",
    "INSERT INTO campaign_countries SELECT id, 'DE' FROM marketing_campaigns LIMIT 1",
    "INSERT INTO campaign_opt_outs SELECT campaign_id, id FROM campaign_recipients LIMIT 1",
    "INSERT INTO opt_outs (person, occurred_at) VALUES ('15559999999', now())",
    "INSERT INTO budget_returns (campaign_id, day, n) SELECT id, current_date, 1 FROM marketing_campaigns LIMIT 1",
    """INSERT INTO held_events (topic, topic_partition, topic_offset, header_names, header_values, written_at)
       VALUES ('recipient.events', 0, 1, '{}', '{}', now())""",
    "INSERT INTO old_messages SELECT wamid_key('wamid.old'), id, 1 FROM campaign_recipients LIMIT 1",
    "INSERT INTO pruned_rows VALUES ('messages', 1, now())",
    "INSERT INTO deleted_snapshots (campaign_id) VALUES (gen_random_uuid())",
    "INSERT INTO frequency_cap (messages, days) VALUES (3, 7)",
    "INSERT INTO portfolio (people_max) VALUES (1000)",
    "INSERT INTO portfolio_charges SELECT id, 1, '1', now() FROM campaign_recipients LIMIT 1",
    "INSERT INTO portfolio_buckets VALUES (now(), 1)",
    "INSERT INTO portfolio_returns (recipient_id, attempt) SELECT id, 1 FROM campaign_recipients LIMIT 1",
    "INSERT INTO webhook_progress (applied_through) VALUES (now())",
    "INSERT INTO waiting_subscriptions VALUES (DEFAULT, now(), false, NULL, 'wamid', 'keyword', false, now(), '{}')",
    "INSERT INTO idempotency_keys VALUES ('key', '\\x00', 201, '{}')",
)


@pytest.fixture
async def world(world: World) -> World:
    await fill(world)
    return world


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the committed migrations, and the next one."""
    for step in migrations():
        (tmp_path / f"{step.name}.sql").write_text(step.text, encoding="utf-8")
    (tmp_path / f"{NEXT_VERSION:04d}_add_note.sql").write_text(NEXT_MIGRATION, encoding="utf-8")
    return tmp_path


async def fill(world: World) -> None:
    """Rows in every table of the pipeline, and recipients in every status; some deltas folded, some not."""
    campaign = await world.start_campaign(40)
    jobs = (await world.release()).jobs
    await ledger.claim(world.connection, token := uuid4(), jobs[:10], lease_s=60)
    settled = Claim(jobs[0].recipient_id, 1, token)
    event = RecipientEvent(
        kind=EventKind.ACCEPTED, recipient_id=settled.recipient_id, attempt=1, occurred_at=START, received_at=START
    )
    await ledger.settle(world.connection, [Settlement(settled, "accepted", "wamid.1", event.model_dump_json())])
    for place, facts in enumerate(FACTS_BY_STATUS.values()):
        ids = [job.recipient_id for job in jobs[place * 5 : place * 5 + 5]]
        await world.run(f"UPDATE campaign_recipients SET {facts} WHERE id = ANY(%s)", ids)
    await stats.fold(world.connection)
    await world.import_recipients(campaign, 5)
    for statement in OTHER_ROWS:
        await world.run(statement)
    assert set(await world.statuses(campaign)) == {"pending", "queued", *FACTS_BY_STATUS}


async def snapshot(world: World) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table, without the column that the next migration adds."""
    tables = await world.run(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
        " AND relname <> 'schema_migrations'"
    )
    rows = {}
    for (name,) in tables:
        found = await world.run(f"SELECT to_jsonb(t) - 'note' FROM {name} AS t")
        rows[name] = sorted((row for (row,) in found), key=str)
    return rows


async def test_an_upgrade_keeps_rows_counters_and_status(world: World, folder: Path) -> None:
    before = await snapshot(world)
    assert {name for name, rows in before.items() if not rows} == {
        "replay_runs", "replay_positions", "dead_letter_acts", "adoptions", "test_sends", "business_numbers",
        "number_reports",
    }  # fmt: skip
    assert migrate(world.url, folder) == [f"{NEXT_VERSION:04d}_add_note"]
    assert await snapshot(world) == before
    assert await world.run("SELECT DISTINCT note FROM campaign_recipients") == [("",)]


async def test_after_an_upgrade_counters_still_follow_the_rows(world: World, folder: Path) -> None:
    migrate(world.url, folder)
    await world.run(f"UPDATE campaign_recipients SET {FACTS_BY_STATUS['read']}, attempt = 1 WHERE status = 'pending'")
    await stats.fold(world.connection)
    counted = await world.run("SELECT key, n FROM campaign_counters WHERE dimension = 'status' AND n <> 0")
    assert dict(counted) == dict(await world.run("SELECT status, count(*) FROM campaign_recipients GROUP BY 1"))


async def test_a_second_start_applies_nothing(world: World, folder: Path) -> None:
    migrate(world.url, folder)
    before = await snapshot(world)
    assert migrate(world.url, folder) == []
    assert await snapshot(world) == before


async def test_a_migration_that_fails_changes_nothing(world: World, folder: Path) -> None:
    path = folder / f"{NEXT_VERSION:04d}_add_note.sql"
    path.write_text(NEXT_MIGRATION + "SELECT 1 / 0;", encoding="utf-8")
    with pytest.raises(psycopg.errors.DivisionByZero, match="division by zero"):
        migrate(world.url, folder)
    path.write_text(NEXT_MIGRATION, encoding="utf-8")
    assert migrate(world.url, folder) == [path.stem]


async def test_an_edited_migration_is_refused(world: World, folder: Path) -> None:
    migrate(world.url, folder)
    path = folder / f"{NEXT_VERSION:04d}_add_note.sql"
    path.write_text(NEXT_MIGRATION + "-- edited\n", encoding="utf-8")
    with pytest.raises(SchemaMismatch, match=f"{path.stem} was changed"):
        migrate(world.url, folder)


async def test_a_migration_that_was_removed_is_refused(world: World, folder: Path) -> None:
    migrate(world.url, folder)
    with pytest.raises(SchemaMismatch, match="does not know"):
        migrate(world.url, FOLDER)


async def test_a_database_from_before_the_squash_learns_what_to_do(world: World) -> None:
    await world.run("UPDATE schema_migrations SET checksum = 'of another text'")
    await world.run("INSERT INTO schema_migrations (version, name, checksum) VALUES (%s, 'old', 'old')", NEXT_VERSION)
    with pytest.raises(SchemaMismatch, match="recreate it"):
        migrate(world.url)


OLD_FAILURES = {
    (131026, "undeliverable"): "131026",
    (None, "x" * 3000): "unknown",
    (None, "Jo Doe is not on WhatsApp"): "unknown",
    (None, "131026"): "unknown",
    (None, "attempts_exhausted"): "attempts_exhausted",
}
"""Code and text of a failure, and the key that it has after the upgrade. Version 1 used the code or the text."""


def test_old_counter_keys_become_those_of_the_closed_set(empty_database_url: str, tmp_path: Path) -> None:
    first = migrations()[0]
    (tmp_path / f"{first.name}.sql").write_text(first.text, encoding="utf-8")
    migrate(empty_database_url, tmp_path)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        campaign = connection.execute(
            "INSERT INTO marketing_campaigns (name, template_name, language_code, phone_number_id)"
            " VALUES ('c', 't', 'en', '1') RETURNING id"
        ).fetchone()
        assert campaign is not None
        for place, (code, text) in enumerate(OLD_FAILURES):
            connection.execute(
                "INSERT INTO campaign_recipients (campaign_id, phone_number, attempt, failed_attempts, failed_attempt,"
                " failed_at, failure_class, failure_code, failure_text)"
                " VALUES (%s, %s, 1, 2, 1, now(), 'never', %s, %s)",
                [campaign[0], str(15_550_000_000 + place), code, text],
            )
        connection.execute(
            "INSERT INTO campaign_counters SELECT campaign_id, dimension, key, sum(n) FROM campaign_counter_deltas"
            " WHERE length(key) < 1000 GROUP BY 1, 2, 3"
        )
        connection.execute("DELETE FROM campaign_counter_deltas WHERE length(key) < 1000")
        migrate(empty_database_url)
        expected = Counter(OLD_FAILURES.values())
        counted = connection.execute(
            "SELECT key, sum(n)::int FROM (SELECT dimension, key, n FROM campaign_counters UNION ALL"
            " SELECT dimension, key, n FROM campaign_counter_deltas) AS every WHERE dimension = 'failure' GROUP BY 1"
        )
        assert dict(counted.fetchall()) == expected
        assert connection.execute(SQL["recount"], {"id": campaign[0]}).fetchall() == []


# ------------------------------------------------------------------------------------ from the schema of one version


def migrate_to(version: int, url: str, folder: Path) -> None:
    """Bring a database to the schema of an earlier version."""
    for step in migrations():
        if step.version <= version:
            (folder / f"{step.name}.sql").write_text(step.text, encoding="utf-8")
    migrate(url, folder)


OF_THE_FIRST_RELEASE = """
INSERT INTO marketing_campaigns (id, name, template_name, language_code, phone_number_id)
VALUES ('00000000-0000-0000-0000-00000000000a', 'a', 't', 'en', '1'),
       ('00000000-0000-0000-0000-00000000000b', 'b', 't', 'en', '1');
INSERT INTO campaign_recipients (id, campaign_id, phone_number, attempt)
SELECT ('00000000-0000-0000-0001-00000000000' || n)::uuid, ('00000000-0000-0000-0000-00000000000' || c)::uuid, p, a
FROM (VALUES
    (0, 'a', '525500001234', 0),
    (1, 'a', '5215500001234', 1),
    (2, 'a', '5491100000003', 0),
    (3, 'a', '541100000003', 0),
    (4, 'a', '54111500000003', 0),
    (5, 'a', '14695550124', 0),
    (6, 'b', '5215500001234', 0)) AS rows (n, c, p, a);
INSERT INTO subscriptions (person, source, subscribed, occurred_at) VALUES
    ('5215500001234', 'operator', false, '2026-01-02'),
    ('525500001234', 'operator', true, '2026-01-01'),
    ('551100000001', 'operator', false, '2026-01-01'),
    ('5511900000001', 'operator', true, '2026-01-02'),
    ('551100000001', 'keyword', false, '2026-01-01'),
    ('14695550124', 'keyword', false, '2026-01-01');
INSERT INTO subscription_outbox (person, source, subscribed, occurred_at, published_at) VALUES
    ('5215500001234', 'operator', false, '2026-01-02', NULL),
    ('551100000001', 'operator', false, '2026-01-01', '2026-01-01');
"""


def test_an_upgrade_gives_every_row_its_person(empty_database_url: str, tmp_path: Path) -> None:
    migrate_to(1, empty_database_url, tmp_path)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute(OF_THE_FIRST_RELEASE.encode())
        counted = (
            "SELECT dimension, key, sum(n) FROM campaign_counter_deltas GROUP BY 1, 2 HAVING sum(n) <> 0 ORDER BY 1, 2"
        )
        before = connection.execute(counted).fetchall()
        migrate(empty_database_url)
        rows = connection.execute(
            "SELECT name, phone_number, person, repetition FROM campaign_recipients AS r"
            " JOIN marketing_campaigns AS c ON c.id = r.campaign_id"
        ).fetchall()
        assert connection.execute(counted).fetchall() == before
    assert {(name, number): (person, repetition) for name, number, person, repetition in rows} == {
        ("a", "5215500001234"): ("525500001234", 0),  # It is the one that may have been sent.
        ("a", "525500001234"): ("525500001234", 1),
        ("a", "5491100000003"): ("541100000003", 0),
        ("a", "541100000003"): ("541100000003", 1),
        ("a", "54111500000003"): ("541100000003", 2),
        ("a", "14695550124"): ("14695550124", 0),
        ("b", "5215500001234"): ("525500001234", 0),
    }
    assert all(person == person_of(number) for _, number, person, _ in rows)


def test_an_upgrade_joins_the_opt_outs_of_one_person(empty_database_url: str, tmp_path: Path) -> None:
    migrate_to(1, empty_database_url, tmp_path)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute(OF_THE_FIRST_RELEASE.encode())
        migrate(empty_database_url)
        kept = connection.execute("SELECT person, source, subscribed FROM subscriptions ORDER BY 1, 2").fetchall()
        unpublished = connection.execute(
            "SELECT DISTINCT person, source, subscribed FROM subscription_outbox"
            " WHERE published_at IS NULL ORDER BY 1, 2"
        ).fetchall()
    assert kept == [
        ("14695550124", "keyword", False),
        ("525500001234", "operator", False),
        ("5511900000001", "keyword", False),
        ("5511900000001", "operator", True),
    ]
    assert unpublished == [("525500001234", "operator", False), ("5511900000001", "keyword", False)]


WITH_PRICES = """
INSERT INTO marketing_campaigns (id, name, template_name, language_code, phone_number_id)
VALUES ('00000000-0000-0000-0000-00000000000a', 'a', 't', 'en', '1');
INSERT INTO campaign_recipients (id, campaign_id, phone_number)
VALUES ('00000000-0000-0000-0001-000000000001', '00000000-0000-0000-0000-00000000000a', '14695550124'),
       ('00000000-0000-0000-0001-000000000002', '00000000-0000-0000-0000-00000000000a', '14695550125');
INSERT INTO messages (wamid, recipient_id, attempt, pricing_at, pricing_type, pricing_category)
SELECT w, r, a, now(), t, c FROM (VALUES
    ('w1', '00000000-0000-0000-0001-000000000001'::uuid, 1::smallint, 'regular', 'marketing'),
    ('w2', '00000000-0000-0000-0001-000000000001', 2, 'free_entry_point', 'a new one'),
    ('w3', NULL, NULL, '', 'marketing_lite'), ('w4', NULL, NULL, NULL, NULL)) AS m (w, r, a, t, c);
UPDATE campaign_recipients SET delivered_at = now(), sent_at = now() WHERE id::text LIKE '%0001';
"""


def test_an_upgrade_takes_over_the_prices_that_are_known(empty_database_url: str, tmp_path: Path) -> None:
    migrate_to(46, empty_database_url, tmp_path)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute(WITH_PRICES.encode())
        migrate(empty_database_url)
        priced = connection.execute("SELECT price FROM campaign_recipients WHERE price IS NOT NULL").fetchall()
        parked = connection.execute("SELECT wamid, price FROM messages WHERE price IS NOT NULL").fetchall()
        counted = connection.execute("SELECT category, charge, messages FROM report_prices").fetchall()
    assert priced == [("02 other/free_entry_point",)]
    assert parked == [("w3", "01 marketing_lite/billable")]
    assert counted == [("other", "free_entry_point", 1)]


def test_after_an_upgrade_a_second_spelling_is_refused_also_by_hand(database_url: str) -> None:
    insert = "INSERT INTO campaign_recipients (campaign_id, phone_number) SELECT id, %s FROM marketing_campaigns"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO marketing_campaigns (name, template_name, language_code, phone_number_id)"
            " VALUES ('a', 't', 'en', '1')"
        )
        connection.execute(insert, ["5215500001234"])
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute(insert, ["525500001234"])
