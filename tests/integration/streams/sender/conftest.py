"""The bench of the tests of the sender."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.sender_bench import Bench, open_bench


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    async with open_bench(database_url) as made:
        yield made
