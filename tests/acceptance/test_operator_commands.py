"""The operator's commands as subprocesses: exit codes, JSON on stdout, texts on stderr."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from runtime.settings import read_settings
from tests.support.paths import ROOT
from topics import apply

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def campaigns(kafka: str, database_url: str, topic_prefix: str, tmp_path: Path) -> Run:
    variables = {
        "CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": kafka,
        "CAMPAIGNS_DATABASE_URL": database_url,
        "CAMPAIGNS_TOPIC_PREFIX": topic_prefix,
    }
    apply.apply(read_settings(variables))

    def run(*arguments: str, **changed: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cli", *arguments],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT), **variables, **changed},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run


def test_verify_finds_and_repairs_a_falsified_counter(campaigns: Run, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "WITH c AS (INSERT INTO marketing_campaigns (name, template_name, language_code, phone_number_id)"
            " VALUES ('c', 't', 'en', '1') RETURNING id)"
            " INSERT INTO campaign_recipients (campaign_id, phone_number) SELECT id, '14690000001' FROM c"
        )
        assert campaigns("verify").returncode == 0
        connection.execute("SET session_replication_role = replica")
        connection.execute("DELETE FROM campaign_recipients")
    found = campaigns("verify", "--json")
    document = json.loads(found.stdout)
    assert (found.returncode, document["verdict"], len(document["counters"])) == (1, "differs", 3)
    asked = campaigns("verify", "--repair-counters")
    assert (asked.returncode, "This would correct 3 counter(s)" in asked.stderr) == (64, True)
    assert campaigns("verify", "--repair-counters", "--dry-run").returncode == 1, "they differ"
    assert json.loads(campaigns("verify", "--json").stdout)["verdict"] == "differs"
    assert campaigns("verify", "--repair-counters", "--yes").returncode == 0
    assert json.loads(campaigns("verify", "--json").stdout)["verdict"] == "exact"


def test_an_unknown_campaign_is_a_usage_error(campaigns: Run) -> None:
    nobodys = "00000000-0000-0000-0000-000000000001"
    assert campaigns("verify", "--campaign", nobodys).returncode == 64
    assert campaigns("replay", "--from-topic", "recipient.events", "--campaign", nobodys).returncode == 64
    assert campaigns("rebuild", "--campaign", nobodys).returncode == 64
    unknown = campaigns("show", nobodys)
    assert (unknown.returncode, "campaigns list" in unknown.stderr) == (64, True)


def test_lists_and_a_pause_answer_in_json(campaigns: Run) -> None:
    assert json.loads(campaigns("unknown", "list", "--json").stdout) == {"total": 0, "unknown": []}
    assert json.loads(campaigns("parked", "list", "--json").stdout) == {"total": 0, "parked": [], "foreign": []}
    assert json.loads(campaigns("pause", "--all", "--json").stdout) == {
        "paused": [], "still_active": [], "refused": [],
    }  # fmt: skip


@pytest.mark.slow  # tests/integration/cli and tests/unit/cli have these commands in one process
def test_other_commands_answer_and_end_with_their_codes(campaigns: Run) -> None:
    status = campaigns("status", "--json")
    assert status.returncode == 1, "no process runs"
    document = json.loads(status.stdout)
    assert (document["version"], document["verdict"]) == (1, "wrong")
    assert {"scheduler", "sender", "double sends"} <= {line["about"] for line in document["lines"]}
    unknown = campaigns("trace", "+1 469 000 0001", "--json")
    assert (unknown.returncode, json.loads(unknown.stdout)["recipients"]) == (1, [])
    assert campaigns("recover").returncode == 0
    assert campaigns("unknown", "retry").returncode == 64
    assert campaigns("pause").returncode == 64


def test_without_postgres_a_command_ends_with_75(campaigns: Run) -> None:
    away = campaigns("verify", CAMPAIGNS_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert away.returncode == 75
    assert "Traceback" not in away.stderr
