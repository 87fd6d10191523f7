"""Counters follow every change of the rows, and Postgres refuses to write derived columns."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.days import day_of
from domain.facts import facts_of
from schemas.model import CampaignId, RecipientId
from schemas.reasons import FailureReason, SkipReason
from schemas.stats import CampaignProgress
from tables import stats
from tables.database import Connection, connect
from tables.recipients import merge_facts
from tests.support.histories import events
from tests.support.world import World

PEOPLE = 6


class Counted:
    """A loop and a connection that last for all examples."""

    def __init__(self, url: str) -> None:
        self.runner = asyncio.Runner()
        self.connection: Connection = self.runner.run(connect(url, application_name="test"))
        self.world = World(self.connection, url)

    def close(self) -> None:
        self.runner.run(self.connection.close())
        self.runner.close()


@pytest.fixture
def counted(database_url: str) -> Iterator[Counted]:
    opened = Counted(database_url)
    yield opened
    opened.close()


WITHOUT_A_WORD = {
    "failure": """UPDATE campaign_recipients SET attempt = 1, failed_attempts = 2, failed_attempt = 1, failed_at = now()
    WHERE id = %(id)s""",
    "skip": "UPDATE campaign_recipients SET attempt = 1, skipped_attempt = 1 WHERE id = %(id)s",
}
BY_HAND = (
    """UPDATE campaign_recipients SET failed_attempts = 2, failed_attempt = 1, attempt = greatest(attempt, 1),
    failed_at = now(), failure_text = 'by hand', failure_class = 'never' WHERE id = %(id)s""",
    *WITHOUT_A_WORD.values(),
    "UPDATE campaign_recipients SET delivered_at = NULL, read_at = NULL WHERE id = %(id)s",
    "UPDATE campaign_recipients SET scheduled_send_date = now() WHERE campaign_id = %(campaign)s",
    "UPDATE campaign_recipients SET attempt = 5, retry_attempt = 5, unknown_attempt = 5 WHERE id = %(id)s",
    "UPDATE campaign_recipients SET price = 'by hand' WHERE id = %(id)s",
    "UPDATE campaign_recipients SET phone_number = '4917' || right(phone_number, 8) WHERE id = %(id)s",
    "DELETE FROM campaign_recipients WHERE id = %(id)s",
    """INSERT INTO campaign_recipients (campaign_id, phone_number)
    SELECT %(campaign)s, (15550000000 + random() * 1e9)::bigint::text""",
)
operations = st.lists(
    st.tuples(st.integers(0, PEOPLE - 1), st.one_of(st.sampled_from(BY_HAND), events(), st.just("fold"))),
    max_size=12,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations)
def test_counters_are_the_rows_after_anything(counted: Counted, done: list[tuple[int, object]]) -> None:
    async def scenario() -> None:
        connection = counted.connection
        campaign = await counted.world.add_campaign()
        people = await counted.world.add_recipients(PEOPLE, campaign)
        for place, operation in done:
            await _do(connection, campaign, people[place], operation)
            assert await stats.recount(connection, campaign) == []
        totals = (await stats.read(connection, [campaign]))[campaign]
        row = await (await connection.execute(
            "SELECT count(*), count(*) FILTER (WHERE status = 'failed'), count(read_at)"
            " FROM campaign_recipients WHERE campaign_id = %s", [campaign])).fetchone()  # fmt: skip
        assert (totals.total_target, totals.failed, totals.read) == row

    counted.runner.run(scenario())


async def _do(connection: Connection, campaign: CampaignId, person: RecipientId, operation: object) -> None:
    match operation:
        case "fold":
            await stats.fold(connection)
        case str() as statement:
            await connection.execute(statement.encode(), {"id": person, "campaign": campaign})
        case event:
            await merge_facts(connection, {person: facts_of(event, event.attempt or 0)})  # type: ignore[attr-defined,arg-type]


@pytest.mark.parametrize(("dimension", "statement"), WITHOUT_A_WORD.items())
async def test_a_row_without_a_reason_is_counted_as_unknown(world: World, dimension: str, statement: str) -> None:
    connection, campaign = world.connection, world.campaign
    person, *_ = await world.add_recipients(2)
    await connection.execute(statement.encode(), {"id": person})
    assert await stats.recount(connection, campaign) == []
    await stats.fold(connection)
    assert await stats.recount(connection, campaign) == []
    query = "SELECT key, n FROM campaign_counters WHERE campaign_id = %s AND dimension = %s AND n <> 0"
    assert await (await connection.execute(query, [campaign, dimension])).fetchall() == [("unknown", 1)]
    await connection.execute("DELETE FROM campaign_recipients WHERE id = %s", [person])
    await stats.fold(connection)
    assert await (await connection.execute(query, [campaign, dimension])).fetchall() == []


ODD_FAILURES = {
    "a long text": (None, "\u4eba" * 900),
    "a person's number": (None, "+49 171 1234567 is not on WhatsApp"),
    "a text of digits": (None, "131026"),
    "a negative code": (-5, "negative"),
    "a code that Meta cannot have": (10_000_000, "large"),
}
FAIL = """UPDATE campaign_recipients SET attempt = 1, failed_attempts = 2, failed_attempt = 1, failed_at = now(),
    failure_class = 'never', failure_code = %s, failure_text = %s WHERE id = %s"""


@pytest.mark.parametrize(("code", "text"), ODD_FAILURES.values(), ids=ODD_FAILURES)
async def test_a_failure_outside_the_closed_set_is_counted_as_unknown(
    world: World, code: int | None, text: str
) -> None:
    person, *_ = await world.add_recipients(2)
    await world.run(FAIL, code, text, person)
    await stats.fold(world.connection)
    assert await stats.recount(world.connection, world.campaign) == []
    assert (await stats.read(world.connection, [world.campaign]))[world.campaign].failures == {"unknown": 1}


@pytest.mark.parametrize(
    ("function", "codes"), [("failure_counter_key(NULL, %s)", FailureReason), ("skip_counter_key(%s)", SkipReason)]
)
async def test_each_reason_code_of_ours_is_a_counter_key(
    world: World, function: str, codes: type[FailureReason | SkipReason]
) -> None:
    """A new code needs a migration that replaces the function, and a line in verdict/recount.py."""
    for code in codes:
        assert await world.value(f"SELECT {function}", code.value) == code.value


async def test_folding_moves_every_delta_in_chunks(world: World) -> None:
    connection, campaign = world.connection, world.campaign
    await world.run(
        "INSERT INTO campaign_counter_deltas SELECT %s, 'failure', '131026', 1 FROM generate_series(1, 100)", campaign
    )
    place, calls = await stats.fold(connection, rows_max=2), 1
    assert place != stats.FIRST_PLACE, "a call has a limited number of chunks"
    while place != stats.FIRST_PLACE:
        place, calls = await stats.fold(connection, place, rows_max=2), calls + 1
    assert calls == 3
    assert (await stats.read(connection, [campaign]))[campaign].failures == {"131026": 100}
    assert await world.count("campaign_counter_deltas") == 0


async def test_an_incorrect_counter_is_found(world: World) -> None:
    connection, campaign = world.connection, world.campaign
    await world.add_recipients(3)
    await stats.fold(connection)
    await connection.execute("UPDATE campaign_counters SET n = 4 WHERE key = 'pending'")
    assert await stats.recount(connection, campaign) == [stats.Difference("status", "pending", 4, 3)]


async def test_folding_at_once_counts_every_delta_once(world: World) -> None:
    connection, campaign = world.connection, world.campaign
    async with world.another() as one, world.another() as two, world.another() as three:
        folders = (one, two, three)
        for _ in range(10):
            await asyncio.gather(add_recipient(world), *(stats.fold(folder) for folder in folders))
        for folder in folders:
            await stats.fold(folder)
    assert await stats.recount(connection, campaign) == []
    totals = (await stats.read(connection, [campaign]))[campaign]
    assert (totals.total_target, totals.pending) == (10, 10)


async def test_no_reader_sees_half_of_a_fold(world: World) -> None:
    """A reader that reads counters and deltas at two moments misses or doubles the deltas folded in between."""
    connection, campaign = world.connection, world.campaign
    begun = committed = 0
    mismatches: list[tuple[int, int, int]] = []
    is_over = asyncio.Event()

    async def compare() -> None:
        async with world.another() as reader:
            while not is_over.is_set():
                least = committed
                total = (await stats.read(reader, [campaign]))[campaign].total_target
                if not least <= total <= begun:
                    mismatches.append((least, total, begun))

    readers = [asyncio.create_task(compare()) for _ in range(2)]
    for _ in range(150):
        begun += 1
        await add_recipient(world)
        committed += 1
        await stats.fold(connection)
    is_over.set()
    await asyncio.gather(*readers)
    assert mismatches == []


async def add_recipient(world: World) -> None:
    await world.add_recipients(1)


@pytest.mark.parametrize(
    ("statement", "refusal"),
    [
        ("TRUNCATE campaign_recipients", psycopg.errors.FeatureNotSupported),
        ("UPDATE campaign_recipients SET status = 'sent'", psycopg.errors.GeneratedAlways),
        ("UPDATE campaign_recipients SET next_attempt_at = now()", psycopg.errors.GeneratedAlways),
        ("UPDATE campaign_recipients SET retry_count = 0", psycopg.errors.GeneratedAlways),
        ("UPDATE campaign_recipients SET delivered_at = now()", psycopg.errors.CheckViolation),
        ("UPDATE campaign_recipients SET attempt = 63", psycopg.errors.CheckViolation),
    ],
)
async def test_what_would_make_rows_disagree_is_refused(world: World, statement: str, refusal: type[Exception]) -> None:
    await world.add_recipients(1)
    with pytest.raises(refusal):
        await world.run(statement)


async def test_updates_stay_in_their_page(world: World) -> None:
    """An index that names status or a time of a fact would end this, and cost a third of the speed."""
    people = await world.add_recipients(200)
    await world.run("UPDATE campaign_recipients SET attempt = 1, updated_at = clock_timestamp()")
    facts = ("sent_at = to_timestamp(1)", "delivered_at = to_timestamp(2)", "read_at = to_timestamp(3)")
    for fact, person in itertools.product(facts, people):
        await world.run(f"UPDATE campaign_recipients SET {fact}, updated_at = clock_timestamp() WHERE id = %s", person)
    await world.run("SELECT pg_stat_force_next_flush()")
    [(updated, hot)] = await world.run(
        "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'campaign_recipients'"
    )
    updated -= len(people)  # those of the release
    assert updated == 3 * len(people)
    assert hot > updated * 0.8, (updated, hot)


def test_ids_are_version_7_and_in_order(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        statement = "SELECT campaigns_uuid_v7()::text FROM generate_series(1, 3) AS n WHERE pg_sleep(0.002) IS NOT NULL"
        made = [UUID(row[0]) for row in connection.execute(statement)]
    assert made == sorted(made)
    assert {(value.version, value.variant) for value in made} == {(7, "specified in RFC 4122")}


async def test_the_end_is_estimated_from_the_recipients_handled_in_the_last_minutes(world: World) -> None:
    people = await world.add_recipients(10)
    assert (await _progress(world)).eta is None, "nothing was handled"
    await _fail(world, people[:3])
    await stats.fold(world.connection)
    await _fail(world, people[3:5])  # a delta that is not folded counts too
    begun = await _progress(world)
    assert begun.eta is not None
    assert timedelta(0) < begun.eta - begun.as_of <= timedelta(minutes=5, seconds=1), (
        "five of ten took up to five minutes"
    )
    await world.run("UPDATE marketing_campaigns SET started_at = now() - interval '1 second'")
    soon = (await _progress(world)).eta
    assert soon is not None
    assert soon <= begun.as_of + timedelta(minutes=1), "the time before the start does not count"
    await world.set_campaign_status("paused")
    assert (await _progress(world)).eta is None
    await world.set_campaign_status("active")
    await stats.fold(world.connection)
    await world.run("UPDATE campaign_minutes SET minute = minute - interval '5 minutes'")
    assert (await _progress(world)).eta is None, "what was handled earlier is no rate"


async def test_the_estimate_respects_the_daily_limit(world: World) -> None:
    await world.run("UPDATE marketing_campaigns SET daily_send_limit = 5, time_zone = 'Pacific/Auckland'")
    await _fail(world, (await world.add_recipients(12))[:5])
    today = day_of(datetime.now(UTC), "Pacific/Auckland")
    await world.run("INSERT INTO campaign_days (campaign_id, day, used) VALUES (%s, %s, 5)", world.campaign, today.date)
    end = (await _progress(world)).eta
    assert end is not None
    assert day_of(end, "Pacific/Auckland").date - today.date == timedelta(days=2), "5 tomorrow, 2 the day after"


async def test_the_minutes_of_a_campaign_stay_few_and_old_deltas_are_in_none(world: World) -> None:
    people = await world.add_recipients(30)
    await stats.fold(world.connection)
    for minutes, person in zip(range(-28, 2), people, strict=True):
        await _fail(world, [person])
        await world.run("UPDATE campaign_counter_deltas SET counted_at = now() + %s", timedelta(minutes=minutes))
        await stats.fold(world.connection)
    kept = await world.run("SELECT count(*), sum(handled)::integer FROM campaign_minutes")
    assert kept == [(8, 8)], "six minutes before this one, this one and the next"
    assert await stats.recount(world.connection, world.campaign) == []


async def test_the_timeline_has_every_change_in_its_minute(world: World) -> None:
    people = await world.add_recipients(4)
    await stats.fold(world.connection)
    assert await stats.read_timeline(world.connection, world.campaign, 10) == [], "a new recipient is no message"
    await _fail(world, people[:3])
    await world.run("UPDATE campaign_counter_deltas SET counted_at = now() - interval '3 minutes'")
    await stats.fold(world.connection)
    await _fail(world, people[3:])
    await stats.fold(world.connection)
    await world.run(
        "UPDATE campaign_recipients SET accepted_attempts = 4, attempt = 2, sent_at = now(), delivered_at = now()"
        " WHERE id = %s", people[0],
    )  # fmt: skip
    await stats.fold(world.connection)
    early, late = await stats.read_timeline(world.connection, world.campaign, 10)
    assert (early.failed, early.sent) == (3, 0)
    assert (late.sent, late.delivered, late.read, late.failed) == (1, 1, 0, 0), "one failed, and one does no longer"
    assert (late.minute - early.minute).total_seconds() in (180.0, 240.0)
    assert await stats.read_timeline(world.connection, world.campaign, 1) == [late]


async def _progress(world: World) -> CampaignProgress:
    return (await stats.read(world.connection, [world.campaign]))[world.campaign]


async def _fail(world: World, people: Sequence[RecipientId]) -> None:
    for each in people:
        await world.run(WITHOUT_A_WORD["failure"].replace("%(id)s", "%s"), each)
