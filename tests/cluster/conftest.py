"""All tests share one cluster. Each test must leave it in working order, which also tests the recovery."""

from collections.abc import Iterator

import pytest

from tests.cluster.world import ClusterWorld, start_cluster
from tests.faults.steady_load import Crowd


@pytest.fixture(scope="session")
def running_cluster() -> Iterator[ClusterWorld]:
    """The servers and all processes. They run during the whole session."""
    with start_cluster() as found:
        yield found


@pytest.fixture
def cluster(running_cluster: ClusterWorld) -> Iterator[ClusterWorld]:
    """The shared cluster. It is repaired after each test."""
    yield running_cluster
    running_cluster.restore()


@pytest.fixture(scope="session")
def crowd() -> Crowd:
    """People for all campaigns of the session."""
    return Crowd(seed=11, size=30_000)
