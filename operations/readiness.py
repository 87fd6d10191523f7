"""The servers on which the readiness of each process depends."""

from __future__ import annotations

from runtime.health import HEALTH, Health
from runtime.settings import Settings
from tables import database
from topics import clients

WITHOUT_POSTGRES = frozenset({"ingress", "reconciler"})
"""The processes that work while Postgres is away. Every process depends on Kafka."""


def depend_on_servers(process: str, settings: Settings, health: Health = HEALTH) -> None:
    """Let the process be ready only while the servers that it uses answer."""
    health.depend_on("kafka", clients.answering(settings))
    if process not in WITHOUT_POSTGRES:
        health.depend_on("postgres", database.answering(settings))
