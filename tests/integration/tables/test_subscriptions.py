"""Subscriptions on a real Postgres: the latest statement of each source, in any order."""

from datetime import UTC, datetime, timedelta

from schemas.subscriptions import Source
from tables.database import Connection
from tables.subscriptions import read, state, state_by_operator, unpublished

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


async def test_an_opt_out_in_one_spelling_holds_for_all(connection: Connection) -> None:
    await state_by_operator(connection, "5215500001234", subscribed=False)
    assert not (await read(connection, "525500001234")).subscribed
    assert not (await read(connection, "5215500001234")).subscribed
    await state(connection, "525500001234", Source.KEYWORD, subscribed=False, occurred_at=NOON)
    assert (await read(connection, "5215500001234")).out_by == (Source.KEYWORD, Source.OPERATOR)
    assert {each.event.person for each in await unpublished(connection, 10)} == {"525500001234"}


async def test_a_row_written_by_hand_gets_the_key_of_its_person(connection: Connection) -> None:
    await connection.execute("INSERT INTO subscriptions VALUES ('5491100000003', 'operator', false, now())")
    assert not (await read(connection, "541100000003")).subscribed


async def test_an_act_of_an_operator_holds_also_after_one_of_a_host_whose_clock_was_ahead(
    connection: Connection,
) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    await state(connection, PERSON, Source.OPERATOR, subscribed=True, occurred_at=tomorrow)
    assert not (await state_by_operator(connection, PERSON, subscribed=False)).subscribed
    assert (await state_by_operator(connection, PERSON, subscribed=True)).subscribed
    assert not (await state_by_operator(connection, PERSON, subscribed=False)).subscribed
    kinds = [each.event.occurred_at for each in await unpublished(connection, 10)]
    assert kinds == sorted(set(kinds))
