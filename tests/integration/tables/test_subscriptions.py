"""Subscriptions on a real Postgres: the latest statement of each source, in any order."""

from datetime import UTC, datetime, timedelta

from domain.people import PersonKey, person_of
from domain.subscriptions import StatedSubscription, fold_subscriptions
from schemas.sources import Source
from tables.database import Connection
from tables.person_links import link_keys
from tables.subscriptions import Subscription, merge, read, state_by_operator, unpublished

PERSON = "14694652751"
USER = "user:US.13491208655302741918"
NOON = datetime(2026, 5, 5, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)


async def state(
    connection: Connection, person: str, source: Source, occurred_at: datetime, *, subscribed: bool
) -> Subscription:
    """Merge one statement, as the sink does, and read the subscription."""
    key = PersonKey(person) if person == USER else person_of(person)
    await merge(connection, {(key, source): StatedSubscription(occurred_at, subscribed)})
    return await read(connection, person)


async def test_an_unmentioned_person_is_subscribed(connection: Connection) -> None:
    assert (await read(connection, PERSON)).subscribed


async def test_an_older_statement_changes_nothing(connection: Connection) -> None:
    await state(connection, PERSON, Source.KEYWORD, LATER, subscribed=False)
    assert (await state(connection, PERSON, Source.KEYWORD, NOON, subscribed=True)).out_by == (Source.KEYWORD,)


async def test_of_two_simultaneous_statements_the_opt_out_wins(connection: Connection) -> None:
    await state(connection, PERSON, Source.PLATFORM, NOON, subscribed=False)
    assert not (await state(connection, PERSON, Source.PLATFORM, NOON, subscribed=True)).subscribed
    await state(connection, "15550000001", Source.PLATFORM, NOON, subscribed=True)
    assert not (await state(connection, "15550000001", Source.PLATFORM, NOON, subscribed=False)).subscribed


async def test_one_source_does_not_revoke_the_statement_of_another(connection: Connection) -> None:
    await state(connection, PERSON, Source.KEYWORD, NOON, subscribed=False)
    await state(connection, PERSON, Source.PLATFORM, LATER, subscribed=True)
    found = await state_by_operator(connection, PERSON, subscribed=True)
    assert (found.subscribed, found.out_by) == (False, (Source.KEYWORD,))


async def test_a_statement_under_one_key_holds_for_the_linked_ones_and_the_latest_wins(connection: Connection) -> None:
    await link_keys(connection, {(PersonKey(PERSON), PersonKey(USER)): True})
    await state(connection, USER, Source.KEYWORD, NOON, subscribed=False)
    assert (await read(connection, PERSON)).out_by == (Source.KEYWORD,)
    await state(connection, PERSON, Source.KEYWORD, LATER, subscribed=True)
    assert (await read(connection, USER)).subscribed
    await state(connection, USER, Source.KEYWORD, LATER, subscribed=False)
    assert (await read(connection, PERSON)).out_by == (Source.KEYWORD,), "of two at one moment the opt-out"


async def test_an_operators_opt_out_holds_against_a_later_opt_in_under_another_key(connection: Connection) -> None:
    await link_keys(connection, {(PersonKey(PERSON), PersonKey(USER)): True})
    await state(connection, USER, Source.OPERATOR, datetime.now(UTC) + timedelta(days=1), subscribed=True)
    assert not (await state_by_operator(connection, PERSON, subscribed=False)).subscribed


async def test_an_act_of_an_operator_that_comes_back_from_the_topic_changes_nothing(connection: Connection) -> None:
    await state_by_operator(connection, PERSON, subscribed=False)
    await state_by_operator(connection, PERSON, subscribed=True)
    before = await (await connection.execute("SELECT * FROM subscriptions")).fetchall()
    for each in await unpublished(connection, 10):
        await merge(connection, fold_subscriptions([each.event], {}).stated)
    assert await (await connection.execute("SELECT * FROM subscriptions")).fetchall() == before
    assert len(await unpublished(connection, 10)) == 2


async def test_an_opt_out_in_one_spelling_holds_for_all(connection: Connection) -> None:
    await state_by_operator(connection, "5215500001234", subscribed=False)
    assert not (await read(connection, "525500001234")).subscribed
    assert not (await read(connection, "5215500001234")).subscribed
    await state(connection, "525500001234", Source.KEYWORD, NOON, subscribed=False)
    assert (await read(connection, "5215500001234")).out_by == (Source.KEYWORD, Source.OPERATOR)
    assert {each.event.person for each in await unpublished(connection, 10)} == {"525500001234"}


async def test_a_row_written_by_hand_gets_the_key_of_its_person(connection: Connection) -> None:
    await connection.execute("INSERT INTO subscriptions VALUES ('5491100000003', 'operator', false, now())")
    assert not (await read(connection, "541100000003")).subscribed


async def test_an_act_of_an_operator_holds_also_after_one_of_a_host_whose_clock_was_ahead(
    connection: Connection,
) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    await state(connection, PERSON, Source.OPERATOR, tomorrow, subscribed=True)
    assert not (await state_by_operator(connection, PERSON, subscribed=False)).subscribed
    assert (await state_by_operator(connection, PERSON, subscribed=True)).subscribed
    assert not (await state_by_operator(connection, PERSON, subscribed=False)).subscribed
    kinds = [each.event.occurred_at for each in await unpublished(connection, 10)]
    assert kinds == sorted(set(kinds))
