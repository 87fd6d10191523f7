"""Bringing database and topics to what this version expects: `db migrate`, `topics apply`, and for `up` and `demo`."""

from __future__ import annotations

import asyncio

import psycopg

from cli.console import note, report_invalid_settings
from runtime.process import EXIT_BUG, EXIT_TRANSIENT, Transient
from runtime.settings import Settings, WrongSettings, read_settings
from sinks.sink import accept_topic
from tables.database import is_transient
from tables.migrate import SchemaMismatch, migrate
from topics import apply


def migrate_database(settings: Settings) -> list[str]:
    """Apply the migrations that are missing; returns their names."""
    return migrate(settings.database_url.get_secret_value())


def apply_topics(settings: Settings) -> apply.Report:
    """Create or alter every topic."""
    return apply.apply(settings)


def run_migrate() -> int:
    """`campaigns db migrate`."""
    try:
        applied = migrate_database(read_settings())
    except WrongSettings as wrong:
        return report_invalid_settings(wrong)
    except (SchemaMismatch, psycopg.Error) as error:
        note(f"not migrated: {error}")
        return EXIT_TRANSIENT if is_transient(error) else EXIT_BUG
    for name in applied:
        note(f"applied {name}")
    if not applied:
        note("nothing to do: the schema is up to date")
    return 0


def run_accept_topic() -> int:
    """`campaigns sink --accept-topic`: what a sink that stopped at a foreign offset asks for."""
    try:
        asyncio.run(accept_topic(read_settings()))
    except WrongSettings as wrong:
        return report_invalid_settings(wrong)
    except Transient as error:
        note(f"not accepted: {error}")
        return EXIT_TRANSIENT
    except psycopg.Error as error:
        note(f"not accepted: {error}")
        return EXIT_TRANSIENT if is_transient(error) else EXIT_BUG
    note("accepted: the sink applies the topic from its beginning, which changes no row that is right")
    return 0


def run_topics_apply() -> int:
    """`campaigns topics apply`."""
    try:
        report = apply_topics(read_settings())
    except WrongSettings as wrong:
        return report_invalid_settings(wrong)
    except Transient as error:
        note(f"not applied: {error}")
        return EXIT_TRANSIENT
    for topic in report.topics:
        if topic.created:
            note(f"created {topic.name}")
        elif topic.is_changed:
            changes = [f"{topic.partitions_added} partitions more"] if topic.partitions_added else []
            note(f"altered {topic.name}: {', '.join([*changes, *topic.settings_changed])}")
        if topic.partitions_kept:
            note(f"{topic.name} keeps its {topic.partitions_kept} partitions, more than needed")
    if not any(topic.is_changed for topic in report.topics):
        note("nothing to do: every topic is as it should be")
    if report.replicas < apply.REPLICAS:
        note(
            f"warning: {report.brokers} broker(s), so {report.replicas} replica(s): "
            "a lost disk loses acknowledged records"
        )
    return 0
