"""An act on unknown sends needs a selection, and only a retry waits for answers."""

from __future__ import annotations

import pytest

from operations.options import InvalidOptions
from operations.unknown_acts import UnknownOptions, act
from runtime.settings import read_settings
from schemas.events import EventKind

SETTINGS = read_settings({"CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": "k:1", "CAMPAIGNS_DATABASE_URL": "postgresql://x"})


async def test_without_a_selection_no_server_is_queried() -> None:
    with pytest.raises(InvalidOptions, match="--campaign"):
        await act(SETTINGS, UnknownOptions(EventKind.RETRY, is_sure=True))


@pytest.mark.parametrize(
    ("kind", "is_forced", "is_checked"),
    [(EventKind.RETRY, False, True), (EventKind.RETRY, True, False), (EventKind.ASSUMED_SENT, False, False)],
)
def test_only_a_retry_that_is_not_forced_is_checked(kind: EventKind, is_forced: bool, is_checked: bool) -> None:
    assert UnknownOptions(kind, is_forced=is_forced).is_checked == is_checked
