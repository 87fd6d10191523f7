"""The advice of `campaigns check` leads out: it depends on who runs the server that does not answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from operations.check import CheckFinding, check
from operations.local_up import LocalUp
from runtime.settings import read_settings

NOWHERE = {
    "CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    "CAMPAIGNS_DATABASE_URL": "postgresql://x:hunter2@127.0.0.1:1/x",
}
OURS = frozenset({"Kafka", "PostgreSQL"})


def findings(up: LocalUp, **more: str) -> dict[str, CheckFinding]:
    settings = read_settings({**NOWHERE, **{f"CAMPAIGNS_{name}": value for name, value in more.items()}}, Path("none"))
    return {finding.about: finding for finding in check(settings, up)}


@pytest.mark.parametrize(
    ("up", "advice"),
    [
        (LocalUp("4711", OURS, NOWHERE), "(process 4711) starts it again when it has ended, or has not answered"),
        (LocalUp("", OURS, NOWHERE), "was killed: start `campaigns up` here again"),
        (LocalUp("4711", frozenset(), NOWHERE), "correct its address in the settings"),
        (LocalUp("", frozenset(), {}), "correct its address in the settings"),
    ],
)
def test_the_next_step_names_who_runs_the_server(monkeypatch: pytest.MonkeyPatch, up: LocalUp, advice: str) -> None:
    monkeypatch.setattr("operations.check.TIMEOUT_S", 0.5)
    found = findings(up)
    for server in ("Kafka", "PostgreSQL"):
        assert found[server].state == "wrong"
        assert advice in found[server].next_step
        assert "hunter2" not in found[server].found


def test_a_weak_secret_and_an_open_api_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operations.check.TIMEOUT_S", 0.5)
    found = findings(LocalUp("", frozenset(), {}), CALLBACK_SECRET="hunter2", API_HOST="0.0.0.0")
    assert found["CAMPAIGNS_CALLBACK_SECRET"].found == "is shorter than 16 characters"
    assert found["API"].state == "wrong"
