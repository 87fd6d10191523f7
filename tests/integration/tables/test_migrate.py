"""Migrations: they create the schema of schema.sql, each is applied once, and a changed one is refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files

import psycopg
import pytest

from tables.migrate import SchemaMismatch, SchemaState, migrate, migrations, read_state

CATALOG = """
    SELECT 'column', table_name || '.' || column_name,
           concat_ws(' ', data_type, is_nullable, column_default, generation_expression, collation_name)
    FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'schema_migrations'
    UNION ALL
    SELECT 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'schema_migrations'
    UNION ALL
    SELECT 'index', indexname, indexdef FROM pg_indexes
    WHERE schemaname = 'public' AND tablename <> 'schema_migrations'
    UNION ALL
    SELECT 'function', oid::regprocedure::text, pg_get_functiondef(oid)
    FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL
    SELECT 'trigger', tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL
    SELECT 'table', relname, array_to_string(reloptions, ',') FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'schema_migrations'
    ORDER BY 1, 2, 3
"""


def test_all_migrations_together_are_the_whole_schema(database_url: str, empty_database_url: str) -> None:
    whole = files("tables").joinpath("sql", "schema.sql").read_bytes()
    with psycopg.connect(empty_database_url) as described, psycopg.connect(database_url) as migrated:
        described.execute(whole)
        assert migrated.execute(CATALOG.encode()).fetchall() == described.execute(CATALOG.encode()).fetchall()


def test_two_concurrent_starts_migrate_once(empty_database_url: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        applied = list(threads.map(migrate, [empty_database_url] * 4))
    assert sorted(applied, key=len) == [[], [], [], [step.name for step in migrations()]]


def test_a_changed_migration_is_refused(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE schema_migrations SET checksum = 'other' WHERE version = 1")
    with pytest.raises(SchemaMismatch, match="changed"):
        migrate(database_url)


def test_a_newer_database_is_refused(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO schema_migrations (version, name, checksum) VALUES (9999, '9999_newer', '')")
    with pytest.raises(SchemaMismatch, match="newer"):
        migrate(database_url)


def test_the_state_of_the_schema_names_each_difference(database_url: str, empty_database_url: str) -> None:
    newest = migrations()[-1].version
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        assert read_state(connection) == SchemaState(newest, missing=len(migrations()), unknown=0, changed=())
    with psycopg.connect(database_url, autocommit=True) as connection:
        assert read_state(connection) == SchemaState(newest, missing=0, unknown=0, changed=())
        connection.execute("INSERT INTO schema_migrations (version, name, checksum) VALUES (9999, '9999_newer', '')")
        connection.execute("UPDATE schema_migrations SET checksum = 'other' WHERE version = 1")
        assert read_state(connection) == SchemaState(newest, missing=0, unknown=1, changed=("0001_create_schema",))
