"""Subscriptions on a real Postgres: the latest statement of each source, in any order."""

from datetime import UTC, datetime, timedelta

from schemas.subscriptions import Source
from tables.database import Connection
from tables.subscriptions import read, state

PERSON = "14694652751"
NOON = datetime(2026, 5, 5, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)


async def test_an_unmentioned_person_is_subscribed(connection: Connection) -> None:
    assert (await read(connection, PERSON)).subscribed


async def test_an_older_statement_changes_nothing(connection: Connection) -> None:
    await state(connection, PERSON, Source.KEYWORD, subscribed=False, occurred_at=LATER)
    found = await state(connection, PERSON, Source.KEYWORD, subscribed=True, occurred_at=NOON)
    assert found.out_by == (Source.KEYWORD,)


async def test_of_two_simultaneous_statements_the_opt_out_wins(connection: Connection) -> None:
    await state(connection, PERSON, Source.OPERATOR, subscribed=False, occurred_at=NOON)
    assert not (await state(connection, PERSON, Source.OPERATOR, subscribed=True, occurred_at=NOON)).subscribed
    await state(connection, "15550000001", Source.OPERATOR, subscribed=True, occurred_at=NOON)
    assert not (await state(connection, "15550000001", Source.OPERATOR, subscribed=False, occurred_at=NOON)).subscribed


async def test_one_source_does_not_revoke_the_statement_of_another(connection: Connection) -> None:
    await state(connection, PERSON, Source.KEYWORD, subscribed=False, occurred_at=NOON)
    found = await state(connection, PERSON, Source.OPERATOR, subscribed=True, occurred_at=LATER)
    assert (found.subscribed, found.out_by) == (False, (Source.KEYWORD,))
