"""One world for all faults: each test leaves it whole again, which is itself a part of what is tested."""

from collections.abc import Iterator

import pytest

from tests.faults.steady import Crowd
from tests.faults.world import World
from tests.faults.world import world as a_world


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """Everything running, until a test leaves something broken."""
    with a_world() as found:
        yield found


@pytest.fixture(scope="session")
def crowd() -> Crowd:
    """People for all campaigns of the session."""
    return Crowd(seed=7, size=120_000)
