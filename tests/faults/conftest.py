"""All tests share one world. Each test must leave it in working order, which also tests the recovery."""

from collections.abc import Iterator

import pytest

from tests.faults.steady_load import Crowd
from tests.faults.world import World, start_world


@pytest.fixture(scope="session")
def running_world() -> Iterator[World]:
    """The servers and all processes. They run during the whole session."""
    with start_world() as found:
        yield found


@pytest.fixture
def world(running_world: World) -> Iterator[World]:
    """The shared world. Its load ends with each test."""
    yield running_world
    running_world.unload()


@pytest.fixture(scope="session")
def crowd() -> Crowd:
    """People for all campaigns of the session."""
    return Crowd(seed=7, size=120_000)
