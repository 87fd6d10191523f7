"""Shorter polls for the consumers that run inside a test, so that it ends as soon as its assertions hold."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

POLL_S = 0.05


@pytest.fixture(scope="session", autouse=True)
def short_polls() -> Iterator[None]:
    """An idle sink notices its stop, and a scan its last record, only after a poll: half a second in production."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("topics.intake.IDLE_WAIT_S", POLL_S)
        patch.setattr("topics.scan.POLL_S", POLL_S)
        yield
