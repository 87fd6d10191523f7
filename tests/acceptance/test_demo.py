"""`campaigns demo` as a subprocess: its verdict is exact, it stays within its memory, and it leaves no files."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
import pytest
from confluent_kafka.admin import AdminClient

from tests.acceptance.commands import CAMPAIGNS, environment, run, wait_for

RECIPIENTS = 300
MEMORY_BYTES_MAX = 1_500_000_000
DEADLINE_S = 300


@dataclass
class Ended:
    """The results of a finished demo."""

    code: int
    stderr: str
    result: dict[str, object]
    memory_bytes: int
    family: list[psutil.Process]


def memory_of(processes: list[psutil.Process]) -> int:
    """The memory of these processes. Shared pages count once."""
    total = 0
    for process in processes:
        try:
            total += process.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue  # it has ended meanwhile
    return total


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    folder = tmp_path_factory.mktemp("demo")
    seen: dict[int, psutil.Process] = {}
    peak = 0
    over = threading.Event()
    with (folder / "stderr").open("w") as stderr:
        process = subprocess.Popen(
            [CAMPAIGNS, "demo", "--recipients", str(RECIPIENTS), "--json"],
            cwd=folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )

        def measure() -> None:
            nonlocal peak
            itself = psutil.Process(process.pid)
            while not over.wait(2.0):
                try:
                    family = [itself, *itself.children(recursive=True)]
                except psutil.NoSuchProcess:
                    return
                seen.update({each.pid: each for each in family})
                peak = max(peak, memory_of(family))

        measuring = threading.Thread(target=measure)
        measuring.start()
        try:
            out, _ = process.communicate(timeout=DEADLINE_S)
        finally:
            process.kill()
            over.set()
            measuring.join()
    log = (folder / "stderr").read_text()
    lines = out.splitlines()
    return Ended(process.returncode, log, json.loads(lines[-1]) if lines else {}, peak, list(seen.values()))


@pytest.mark.timeout(DEADLINE_S + 60)  # includes the run of the demo in the fixture
def test_the_verdict_is_exact(ended: Ended) -> None:
    assert ended.code == 0, ended.stderr
    wanted = {"verdict": "exact", "recipients": RECIPIENTS, "double_sends": 0, "rows_wrong": 0, "counters_wrong": 0}
    assert {name: ended.result[name] for name in wanted} == wanted
    assert "verdict: exact" in ended.stderr


def test_every_recipient_got_one_message_except_opted_out_ones(ended: Ended) -> None:
    funnel = ended.result["funnel"]
    assert isinstance(funnel, dict)
    assert funnel["skipped"] == RECIPIENTS // 100
    assert funnel["pending"] == funnel["queued"] == 0
    assert funnel["total_target"] == RECIPIENTS
    assert 0 < funnel["read"] <= funnel["delivered"] <= funnel["sent"]
    assert isinstance(ended.result["failures"], dict)
    assert sum(ended.result["failures"].values()) == funnel["failed"]


def test_a_sender_was_killed_with_requests_in_flight(ended: Ended) -> None:
    killed = ended.result["killed"]
    assert isinstance(killed, dict)
    assert killed["in_flight"] >= 1
    assert len(killed["left"]) >= killed["in_flight"]
    assert f"with SIGKILL while WhatsApp held {killed['in_flight']} of its requests unanswered" in ended.stderr
    restarts = [line.split(" s  ", 1)[1] for line in ended.stderr.splitlines() if "it is started again" in line]
    others = [line for line in restarts if not line.startswith(f"{killed['process']} was killed by SIGKILL")]
    assert len(restarts) - len(others) == 1
    # On a busy machine a process may find Kafka or PostgreSQL too slow when it starts.
    assert all(" ended because a dependency is away" in line and "stalled: " not in line for line in others), others
    received = [left for left in killed["left"] if left["simulator"] == "accepted"]
    assert received
    assert all(left["status"] != "unknown" for left in received), "resolved by the webhook"


def test_the_demo_stays_within_its_memory_and_leaves_no_files(ended: Ended) -> None:
    assert 100_000_000 < ended.memory_bytes < MEMORY_BYTES_MAX
    assert not [each for each in ended.family if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
    folder = ended.stderr.partition("(logs: ")[2].partition(")")[0]
    assert folder
    assert not Path(folder).exists()


@pytest.mark.slow
def test_ctrl_c_ends_all_processes_and_leaves_no_files(tmp_path: Path) -> None:
    log = tmp_path / "stderr"
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [CAMPAIGNS, "demo", "--recipients", str(RECIPIENTS)], cwd=tmp_path, env=environment(), stderr=stderr
        )
    try:
        wait_for("the campaign to be active", lambda: "activated" in log.read_text(), 90)
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    finally:
        process.kill()
    assert "stopped" in log.read_text()
    assert not [each for each in family if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
    assert not Path(log.read_text().partition("(logs: ")[2].partition(")")[0]).exists()


@pytest.mark.slow
def test_on_given_servers_the_demo_removes_its_own_database_and_topics(
    tmp_path: Path, kafka: str, empty_database_url: str
) -> None:
    addresses = {"CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": kafka, "CAMPAIGNS_DATABASE_URL": empty_database_url}
    done = run("demo", "--recipients", "40", "--json", cwd=tmp_path, timeout_s=DEADLINE_S, **addresses)
    assert done.returncode == 0, done.stderr
    assert "(none embedded)" in done.stderr
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("SELECT to_regclass('campaign_recipients')").fetchone() == (None,)
        databases = connection.execute("SELECT datname FROM pg_database").fetchall()
    assert not [name for (name,) in databases if name.startswith("campaigns_demo")]
    topics = AdminClient({"bootstrap.servers": kafka}).list_topics(timeout=10).topics
    assert not [name for name in topics if name.startswith("campaigns_demo")]
