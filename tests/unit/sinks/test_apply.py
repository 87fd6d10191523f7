"""Errors that a record causes are distinguished from other errors, and such a record is dead-lettered."""

from __future__ import annotations

from typing import cast

import psycopg
import pytest

from schemas.events import EventKind, RecipientEvent
from schemas.model import Wamid
from sinks import apply
from sinks.apply import CodeRaised, FoldedEvents, KnownPhoneNumbers, fold_events, is_caused_by_events, write_folded
from tables.database import Connection
from tests.support.histories import START

SOUND = RecipientEvent(kind=EventKind.SENT, wamid=Wamid("wamid.one"), occurred_at=START, received_at=START)
NO_CONNECTION = cast("Connection", object())


@pytest.mark.parametrize(
    "error",
    [
        psycopg.errors.DeadlockDetected(),
        psycopg.errors.LockNotAvailable(),
        psycopg.errors.QueryCanceled(),
        psycopg.errors.DiskFull(),
        psycopg.errors.OutOfMemory(),
        psycopg.OperationalError("the connection is closed"),
        psycopg.errors.UndefinedColumn(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_an_error_that_is_not_caused_by_events_does_not_split_the_batch(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise valid records would be dead-lettered one by one while the disk is full."""

    async def raising(*_: object) -> None:
        raise error

    monkeypatch.setattr(KnownPhoneNumbers, "foreign_among", raising)
    monkeypatch.setattr(apply, "merge_facts", raising)
    with pytest.raises(type(error)):
        await fold_events(NO_CONNECTION, [SOUND], KnownPhoneNumbers())
    with pytest.raises(type(error)) as raised:
        await write_folded(NO_CONNECTION, FoldedEvents())
    assert not is_caused_by_events(raised.value)


@pytest.mark.parametrize("error", [ZeroDivisionError(), KeyError("x"), psycopg.errors.CheckViolation()])
async def test_an_error_caused_by_events_is_recognised(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    async def raising(*_: object) -> None:
        raise error

    monkeypatch.setattr(KnownPhoneNumbers, "foreign_among", raising)
    monkeypatch.setattr(apply, "merge_facts", raising)
    for applying in (
        fold_events(NO_CONNECTION, [SOUND], KnownPhoneNumbers()),
        write_folded(NO_CONNECTION, FoldedEvents()),
    ):
        with pytest.raises((CodeRaised, psycopg.errors.CheckViolation)) as raised:
            await applying
        assert is_caused_by_events(raised.value)
