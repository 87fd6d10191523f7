"""`campaigns up` keeps its data after kill -9, ends all its processes, and starts an embedded server only if needed."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

import psutil
import pytest

from tests.acceptance.commands import is_ready, run, up, wait_for

COUNT = "SELECT count(*) FROM marketing_campaigns"
CREATE = (
    'curl -sf -X POST $API/api/marketing/campaigns -H "Content-Type: application/json" '
    """-d '{"name": "Kept", "template_name": "t", "language_code": "en_US"}'"""
)


def count_of_campaigns(folder: Path) -> str:
    return run("psql", "-At", "-c", COUNT, cwd=folder).stdout.strip()


def all_gone(family: list[psutil.Process]) -> bool:
    return not [each for each in family if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.slow
def test_data_survives_kill_9_and_a_normal_end_leaves_no_process(tmp_path: Path) -> None:
    with up(tmp_path) as first:
        campaign = json.loads(first.shell(CREATE))["id"]
        family = first.family()
        assert len(family) > 10, "every process and its guard"
        os.kill(first.process.pid, signal.SIGKILL)
        first.process.wait()
        wait_for("the end of everything that it started", lambda: all_gone(family), 60)
    with up(tmp_path) as second:
        stats = json.loads(second.shell(f"curl -sf $API/api/marketing/campaigns/{campaign}/stats"))
        assert stats["campaign_name"] == "Kept"
        family = second.family()
        second.process.send_signal(signal.SIGTERM)
        assert second.process.wait(60) == 0, second.stderr
        assert all_gone(family)
        assert not (tmp_path / ".campaigns" / "env").exists(), "others must not be sent to what is gone"


def test_up_runs_below_any_name_and_starts_again_what_dies(tmp_path: Path) -> None:
    folder = tmp_path / "Área de Trabalho, acme=1:#!"
    folder.mkdir()
    with up(folder) as running:
        broker = next(each for each in running.family() if each.name() == "java")
        broker.kill()
        wait_for("Kafka's name", lambda: "Kafka was killed by SIGKILL; it is started again" in running.stderr)
        wait_for("a new Kafka", lambda: run("check", cwd=folder).returncode == 0, 60)
        api = next(each for each in running.family() if each.cmdline()[-1:] == ["api"])
        api.terminate()
        wait_for("the API's name", lambda: "api was stopped from outside; it is started again" in running.stderr)
        wait_for("a new API", lambda: is_ready(running.api), 60)
        assert {each.name for each in folder.iterdir()} == {".campaigns", "up.stderr"}
        again = run("up", cwd=folder)
        assert again.returncode == 64
        assert "`campaigns status` shows its state" in again.stderr


def test_the_port_of_a_simulator_that_does_not_run_may_be_taken(tmp_path: Path) -> None:
    """The ports are judged before a server starts: the message about the next one shows that this one was passed."""
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as other:
        ports = [str(each.getsockname()[1]) for each in (taken, other)]
        command = ("up", "--simulator-port", ports[0], "--api-port", "0", "--ingress-port")
        simulated = run(*command, "0", cwd=tmp_path)
        assert (simulated.returncode, "--simulator-port" in simulated.stderr) == (64, True)
        real = run(*command, ports[1], cwd=tmp_path, CAMPAIGNS_WHATSAPP_ACCESS_TOKEN="a-token-of-my-own-0001")
        assert real.returncode == 64
        assert f"port {ports[1]} is taken" in real.stderr


@pytest.mark.slow
def test_no_embedded_server_starts_if_both_addresses_are_set(
    tmp_path: Path, kafka: str, empty_database_url: str
) -> None:
    addresses = {
        "CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": kafka,
        "CAMPAIGNS_DATABASE_URL": empty_database_url,
        "CAMPAIGNS_TOPIC_PREFIX": f"{tmp_path.name}.",
    }
    with up(tmp_path, **addresses) as started:
        assert json.loads(started.shell(CREATE))["status"] == "draft"
        assert count_of_campaigns(tmp_path) == "1"
        names = {process.name() for process in started.family()}
        assert not names & {"java", "postgres"}
        assert not (tmp_path / ".campaigns" / "kafka").exists()
        assert not (tmp_path / ".campaigns" / "postgres").exists()


def test_invalid_settings_are_named_and_end_with_64(tmp_path: Path) -> None:
    refused = run("up", "--api-port", "0", cwd=tmp_path, CAMPAIGNS_WHATSAPP_MPS="many", CAMPAIGNS_NO_SUCH_SETTING="1")
    assert refused.returncode == 64
    assert "CAMPAIGNS_WHATSAPP_MPS" in refused.stderr
    assert "CAMPAIGNS_NO_SUCH_SETTING: no such setting" in refused.stderr
