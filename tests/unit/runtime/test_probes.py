"""The HTTP server of the probes, on a real socket."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from runtime import probes
from runtime.health import Health
from runtime.probe import is_well
from runtime.process import EXIT_TRANSIENT, exit_code
from runtime.settings import Settings
from stack.ports import free_ports
from tests.support.paths import ROOT


def settings(port: int) -> Settings:
    return Settings.model_validate(
        {"kafka_bootstrap_servers": "k:1", "database_url": "postgresql://x", "metrics_port": port}
    )


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def address(health: Health) -> Iterator[str]:
    (port,) = free_ports(1)
    running = probes.serve(settings(port), health)
    assert running is not None
    yield f"http://127.0.0.1:{running.port}"
    running.close()


def get(url: str) -> httpx.Response:
    return httpx.get(url, trust_env=False, timeout=5.0)


def test_a_process_that_starts_is_alive_and_not_ready(address: str, health: Health) -> None:
    assert get(f"{address}/health").status_code == 200
    assert get(f"{address}/ready").status_code == 503
    health.started()
    answer = get(f"{address}/ready")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert json.loads(answer.text)["checks"] == {"started": True, "not_stopping": True, "not_halted": True}


def test_the_metrics_are_those_of_the_process(address: str, health: Health) -> None:
    answer = get(f"{address}/metrics")
    assert answer.status_code == 200
    assert "campaigns_sink_events_total" in answer.text
    assert "campaigns_ready 0.0" in answer.text
    health.started()
    assert "campaigns_ready 1.0" in get(f"{address}/metrics").text


def test_another_path_and_another_method_are_refused(address: str) -> None:
    assert get(f"{address}/secrets").status_code == 404
    assert httpx.post(f"{address}/health", trust_env=False).status_code == 501


def test_a_client_that_sends_nothing_holds_up_no_other(address: str) -> None:
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))):
        assert get(f"{address}/health").status_code == 200


def test_port_0_serves_nothing() -> None:
    assert probes.serve(settings(0)) is None


def test_a_taken_port_ends_the_process_with_the_name_of_the_variable(address: str) -> None:
    port = int(address.rpartition(":")[2])
    with pytest.raises(probes.PortTaken, match="CAMPAIGNS_METRICS_PORT") as taken:
        probes.serve(settings(port))
    assert exit_code(taken.value) == EXIT_TRANSIENT


def test_the_health_check_of_the_container_follows_the_answer(address: str, health: Health) -> None:
    assert not is_well(f"{address}/ready")
    health.started()
    assert is_well(f"{address}/ready")
    assert not is_well("http://127.0.0.1:1/health")
    done = subprocess.run([sys.executable, "-m", "runtime.probe", f"{address}/health"], cwd=ROOT, check=False)
    assert done.returncode == 0
