"""Only a retry of unknown sends waits for answers."""

from __future__ import annotations

import pytest

from api.unknown_acts import UnknownOptions
from schemas.events import EventKind


@pytest.mark.parametrize(
    ("kind", "is_forced", "is_checked"),
    [(EventKind.RETRY, False, True), (EventKind.RETRY, True, False), (EventKind.ASSUMED_SENT, False, False)],
)
def test_only_a_retry_that_is_not_forced_is_checked(kind: EventKind, is_forced: bool, is_checked: bool) -> None:
    assert UnknownOptions(kind, is_forced=is_forced).is_checked == is_checked
