"""The pinned packages of the peers."""

from __future__ import annotations

from bench.environments import LOCKS, versions
from bench.peer_jars import KAFKA, OTHER_DRIVERS, SHARED
from stack.jars import read_lock


def test_every_package_of_a_peer_is_pinned() -> None:
    for wanted in LOCKS.glob("*.in"):
        named = [line for line in wanted.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
        assert len(versions(wanted.stem)) == len(named)


def test_the_plugin_of_debezium_has_no_package_of_the_worker_and_no_other_driver() -> None:
    plugin = read_lock((LOCKS / "debezium-plugin.lock").read_text(encoding="utf-8"))
    assert {jar.group for jar in plugin} & {*SHARED, *OTHER_DRIVERS} == set()
    assert versions("debezium")["connect-runtime"] == KAFKA
