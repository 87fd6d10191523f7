"""Every process and command that uses Postgres refuses another schema: exit 64, the reason, and nothing written."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psycopg

from runtime.process import EXIT_USAGE
from runtime.settings import Settings
from tests.support.kafka_topics import create_all_topics
from tests.support.paths import ROOT

PROCESSES = ("sink", "stats-publisher", "scheduler", "sender", "api")
COMMANDS = (("verify",), ("list",), ("unknown", "list"), ("recover", "--dry-run"))
SECRET = "a-secret-of-this-test-only"


def test_another_schema_is_refused_by_all(kafka: str, database_url: str, topic_prefix: str, tmp_path: Path) -> None:
    variables = {
        "CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": kafka,
        "CAMPAIGNS_DATABASE_URL": database_url,
        "CAMPAIGNS_TOPIC_PREFIX": topic_prefix,
        "CAMPAIGNS_WHATSAPP_API_URL": "http://127.0.0.1:1",
        "CAMPAIGNS_WHATSAPP_ACCESS_TOKEN": SECRET,
        "CAMPAIGNS_CALLBACK_SECRET": SECRET,
        "CAMPAIGNS_API_PORT": "0",
    }
    create_all_topics(
        Settings.model_validate({
            "kafka_bootstrap_servers": kafka, "database_url": database_url, "topic_prefix": topic_prefix,
        })
    )  # fmt: skip
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DELETE FROM schema_migrations WHERE version = 8")
    started = {
        " ".join(each): start(each, variables, tmp_path) for each in (*((name,) for name in PROCESSES), *COMMANDS)
    }
    ended = {name: (process.communicate(timeout=60)[1], process.returncode) for name, process in started.items()}
    assert {name: code for name, (_, code) in ended.items() if code != EXIT_USAGE} == {}
    assert [name for name, (text, _) in ended.items() if "older version" not in text or "Traceback" in text] == []


def start(command: tuple[str, ...], variables: Mapping[str, str], folder: Path) -> subprocess.Popen[str]:
    others = {name: value for name, value in os.environ.items() if not name.startswith("CAMPAIGNS_")}
    return subprocess.Popen(
        [sys.executable, "-m", "cli", *command],
        cwd=folder,
        env={**others, "PYTHONPATH": str(ROOT), **variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
