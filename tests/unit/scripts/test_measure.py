from __future__ import annotations

import pytest

from scripts.measure import name_of


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["/x/python", "-m", "cli", "sender"], "sender"),
        (["/x/python", "-m", "cli", "stats-publisher"], "stats-publisher"),
        (["/x/java", "-cp", "libs/*", "kafka.Kafka", "server.properties"], "kafka"),
        (["/opt/pgserver/bin/postgres", "-D", "/x/api/data"], "postgres"),
        (["postgres: campaigns demo 127.0.0.1(5000) idle"], "postgres"),
        (["/x/python", "-m", "simulator", "--preset", "realistic"], "demo and simulator"),
        ([], ""),
    ],
)
def test_each_command_line_belongs_to_one_part(command: list[str], name: str) -> None:
    assert name_of(command) == name
