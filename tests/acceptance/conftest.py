"""Removes the kept states of `campaigns up` after the acceptance tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runtime.settings import STATE_FOLDER
from stack.embedded import remove_state


@pytest.fixture(scope="session", autouse=True)
def kept_states_go(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Remove the states below our temporary folder. For root, their databases are in other folders."""
    yield
    for pointer in tmp_path_factory.getbasetemp().glob(f"*/{STATE_FOLDER.name}/postgres.location"):
        remove_state(pointer.parent)
