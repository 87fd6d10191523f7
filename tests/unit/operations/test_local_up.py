"""Commands know whether an address is that of the `campaigns up` of their directory, and whether it runs."""

from __future__ import annotations

import fcntl
from pathlib import Path

from operations.local_up import find_local_up

KAFKA = "CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS"
LINES = f"# embedded: Kafka\n{KAFKA}=127.0.0.1:1\nCAMPAIGNS_DATABASE_URL=postgresql://h/d\n"


def test_nothing_is_known_without_a_state_folder(tmp_path: Path) -> None:
    up = find_local_up(tmp_path / "none")
    assert (up.pid, up.owns("Kafka", KAFKA, "127.0.0.1:1")) == ("", False)


def test_a_running_up_owns_its_embedded_servers_only(tmp_path: Path) -> None:
    (tmp_path / "env").write_text(LINES)
    with (tmp_path / "up.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4711")
        lock.flush()
        up = find_local_up(tmp_path)
    assert up.pid == "4711"
    assert up.owns("Kafka", KAFKA, "127.0.0.1:1")
    assert not up.owns("Kafka", KAFKA, "127.0.0.1:2")
    assert not up.owns("PostgreSQL", "CAMPAIGNS_DATABASE_URL", "postgresql://h/d")


def test_a_killed_up_runs_no_more_but_its_addresses_are_known(tmp_path: Path) -> None:
    (tmp_path / "env").write_text(LINES)
    (tmp_path / "up.lock").write_text("4711")
    up = find_local_up(tmp_path)
    assert (up.pid, up.owns("Kafka", KAFKA, "127.0.0.1:1")) == ("", True)
