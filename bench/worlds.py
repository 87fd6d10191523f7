"""What a run has for itself: an empty database, or an installation with the schema and all topics under a prefix."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

from bench.contest import Arena
from runtime.settings import Settings
from tables.migrate import migrate
from topics.apply import apply


@contextmanager
def own_database(arena: Arena) -> Iterator[Settings]:
    """Yield settings with a prefix of topics and an empty database of their own, which is dropped at the end."""
    prefix = arena.prefix()
    name = prefix.strip(".").replace("-", "_")
    with psycopg.connect(arena.database_url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
        try:
            yield settings_of(arena, name, prefix)
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def settings_of(arena: Arena, database: str, prefix: str) -> Settings:
    """The settings that lead to a database of this arena, and to topics with a prefix."""
    return Settings.model_validate({
        "kafka_bootstrap_servers": arena.kafka,
        "database_url": urlunsplit(urlsplit(arena.database_url)._replace(path=f"/{database}")),
        "topic_prefix": prefix,
    })  # fmt: skip


@contextmanager
def own_installation(arena: Arena) -> Iterator[Settings]:
    """Yield settings whose database has the schema, and whose topics exist."""
    with own_database(arena) as settings:
        migrate(settings.database_url.get_secret_value())
        apply(settings)
        yield settings


def connected(settings: Settings) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection to the database of these settings. Each statement commits on its own."""
    return psycopg.connect(settings.database_url.get_secret_value(), autocommit=True)


def environment_of(settings: Settings, **more: str) -> dict[str, str]:
    """The variables that lead a process to this installation. `more`: names without their prefix."""
    return {
        "CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "CAMPAIGNS_DATABASE_URL": settings.database_url.get_secret_value(),
        "CAMPAIGNS_TOPIC_PREFIX": settings.topic_prefix,
        **{f"CAMPAIGNS_{name}": value for name, value in more.items()},
    }
