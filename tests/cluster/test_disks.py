"""The disks of the servers are full under load."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.cluster.disks import Disk, can_mount
from tests.cluster.scenario import run_scenario
from tests.cluster.world import ClusterWorld
from tests.faults.injections import BOTH, wait_seconds
from tests.faults.steady_load import Crowd

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.root,
    pytest.mark.skipif(not can_mount(), reason="needs root on Linux: the disks are small mounted file systems"),
]

FULL_S = 20.0


def keep_full(disks: Sequence[Disk]) -> None:
    """Fill the disks, and give the room back after some time."""
    for disk in disks:
        disk.fill()
    wait_seconds(FULL_S)
    for disk in disks:
        disk.empty()


def test_the_disks_of_all_brokers_are_full(cluster: ClusterWorld, crowd: Crowd) -> None:
    """A broker that cannot write ends, and is started again when there is room."""

    def fill(world: ClusterWorld) -> None:
        keep_full(world.broker_disks)
        world.brokers.restore()

    run_scenario(cluster, crowd, "the disks of all brokers are full", fill)


@pytest.mark.parametrize("role", ["primary", "standby"])
def test_the_disk_of_a_database_is_full(cluster: ClusterWorld, crowd: Crowd, role: str) -> None:
    """A primary without room for its log ends. While the standby cannot write, commits wait for it."""

    def fill(world: ClusterWorld) -> None:
        database = world.databases.primary if role == "primary" else world.databases.standby
        keep_full([world.database_disks[database.name]])
        world.databases.restore()

    run_scenario(cluster, crowd, f"the disk of the {role} is full", fill, unknown_max=BOTH)
