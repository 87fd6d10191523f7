"""Brings database and topics to the state that this version expects; shared by `up`, `demo`, `db` and `topics`."""

from __future__ import annotations

from runtime.settings import Settings
from tables.migrate import migrate
from topics import apply


def migrate_database(settings: Settings) -> list[str]:
    """Apply the missing migrations; returns their names."""
    return migrate(settings.database_url.get_secret_value())


def apply_topics(settings: Settings) -> apply.Report:
    """Create or alter every topic."""
    return apply.apply(settings)
