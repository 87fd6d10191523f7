"""One world for all faults: each test leaves it whole again, which is itself a part of what is tested."""

from collections.abc import Iterator

import pytest

from tests.faults.steady import Crowd
from tests.faults.world import World
from tests.faults.world import world as a_world


@pytest.fixture(scope="session")
def running_world() -> Iterator[World]:
    """Everything running."""
    with a_world() as found:
        yield found


@pytest.fixture
def world(running_world: World) -> Iterator[World]:
    """The world of all tests, without a load left over."""
    yield running_world
    running_world.unload()


@pytest.fixture(scope="session")
def crowd() -> Crowd:
    """People for all campaigns of the session."""
    return Crowd(seed=7, size=120_000)
