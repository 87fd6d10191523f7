"""An installation of its own for a run: an empty database with the schema, and all topics under a prefix."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import psycopg

from bench.contest import Arena
from runtime.settings import Settings
from tables.migrate import migrate
from topics.apply import apply


@contextmanager
def own_installation(arena: Arena) -> Iterator[Settings]:
    """Yield its settings. The database is dropped at the end."""
    prefix = arena.prefix()
    name = prefix.strip(".").replace("-", "_")
    with psycopg.connect(arena.database_url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
        try:
            settings = Settings.model_validate({
                "kafka_bootstrap_servers": arena.kafka,
                "database_url": urlunsplit(urlsplit(arena.database_url)._replace(path=f"/{name}")),
                "topic_prefix": prefix,
            })  # fmt: skip
            migrate(settings.database_url.get_secret_value())
            apply(settings)
            yield settings
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def environment_of(settings: Settings, **more: str) -> dict[str, str]:
    """The variables that lead a process to this installation. `more`: names without their prefix."""
    return {
        "CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "CAMPAIGNS_DATABASE_URL": settings.database_url.get_secret_value(),
        "CAMPAIGNS_TOPIC_PREFIX": settings.topic_prefix,
        **{f"CAMPAIGNS_{name}": value for name, value in more.items()},
    }
