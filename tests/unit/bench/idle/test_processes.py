"""Processes by kind: names by command line, and shares of a core between two moments."""

from __future__ import annotations

import os

import psutil
import pytest

from bench.idle.processes import KindUse, ProcessUse, by_kind, kind_of, total, uses


@pytest.mark.parametrize(
    ("argv", "kind"),
    [
        (["/venv/bin/python", "-m", "cli", "sink"], "sink"),
        (["python", "-m", "cli", "up", "--json"], "up"),
        (["python", "-m", "simulator", "--preset", "tidy"], "simulator"),
        (["python", "-I", "-S", "/somewhere/stack/guard.py"], "guards"),
        (["/jdk/bin/java", "-Xmx384m", "kafka.Kafka"], "Kafka"),
        (["postgres: campaigns campaigns 127.0.0.1(1) idle"], "PostgreSQL, all its processes"),
        (["/usr/bin/something"], "something"),
        ([], "other"),
    ],
)
def test_a_process_is_named_by_its_command(argv: list[str], kind: str) -> None:
    assert kind_of(argv) == kind


def test_shares_are_of_the_period_and_new_processes_count_from_their_start() -> None:
    before = {1: ProcessUse("sink", 4.0, 50.0), 2: ProcessUse("Kafka", 9.0, 150.0)}
    after = {1: ProcessUse("sink", 4.5, 51.0), 2: ProcessUse("Kafka", 10.0, 160.0), 3: ProcessUse("sink", 0.1, 9.0)}
    found = by_kind(before, after, 10.0)
    assert [(use.kind, use.processes, use.pss_mb) for use in found] == [("Kafka", 1, 160.0), ("sink", 2, 60.0)]
    assert [use.cpu_share for use in found] == pytest.approx([0.1, 0.06])
    assert total(found) == KindUse("all together", 3, sum(use.cpu_share for use in found), 220.0)


def test_this_process_has_used_time_and_memory() -> None:
    mine = uses(psutil.Process(os.getpid()))[os.getpid()]
    assert mine.cpu_s > 0
    assert mine.pss_mb > 1
