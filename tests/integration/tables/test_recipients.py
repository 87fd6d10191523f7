"""The SQL merge is the domain's merge, in any split over batches and connections, parked before or after."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from itertools import pairwise
from random import Random
from typing import Any, LiteralString

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.facts import NOTHING, Facts, facts_of, merge
from domain.status import Status, failure_reason, next_attempt_at, retry_count, status
from domain.waiting import kind_of
from schemas.events import WEBHOOK_KINDS, EventKind, Failure, RecipientEvent, RetryClass
from schemas.model import CampaignId, RecipientId, Wamid
from schemas.reasons import SkipReason
from sinks.apply import KnownPhoneNumbers, apply_events
from tables import stats
from tables.database import Connection, connect, is_transient
from tables.fact_columns import COLUMNS
from tables.recipients import facts_of_row, merge_facts, read_facts
from tests.support.boundaries import CREATED_AT, MAX_RETRIES, PLANNED_AT, ROWS
from tests.support.histories import PRICINGS, RECIPIENT, START, events
from tests.support.world import NUMBER_ID, World

PEOPLE = 3
DENSE_PEOPLE = 150
TRIES_MAX = 20


@dataclass(frozen=True)
class Drawn:
    """A generated event, the index of its person, and whether it lacks our callback data."""

    person: int
    event: RecipientEvent
    without_callback: bool


@st.composite
def drawn_events(draw: st.DrawFn) -> Drawn:
    event = draw(events())
    may_lose_it = event.kind in WEBHOOK_KINDS and event.wamid is not None
    return Drawn(draw(st.integers(0, PEOPLE - 1)), event, may_lose_it and draw(st.booleans()))


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[Drawn], list[list[Drawn]], list[list[Drawn]]]:
    """A history, and two sinks' batches of it: shuffled, cut anywhere, with repetitions on both sides."""
    history = draw(st.lists(drawn_events(), max_size=14))
    sides = [draw(st.sampled_from((0, 1))) for _ in history]
    again = draw(st.lists(st.sampled_from(history), max_size=4)) if history else []
    first = draw(st.permutations([s for s, side in zip(history, sides, strict=True) if side == 0] + again))
    second = draw(st.permutations([s for s, side in zip(history, sides, strict=True) if side == 1] + again))
    return history, _cut(draw, first), _cut(draw, second)


def _cut(draw: st.DrawFn, history: list[Drawn]) -> list[list[Drawn]]:
    places = sorted(draw(st.sets(st.integers(0, len(history)), max_size=3)) | {0, len(history)})
    return [history[start:end] for start, end in pairwise(places)]


def as_published(drawn: Drawn, people: list[RecipientId]) -> RecipientEvent:
    person = people[drawn.person]
    wamid = None if drawn.event.wamid is None else Wamid(f"{drawn.event.wamid}.{person}")
    ids: dict[str, Any] = {"recipient_id": person, "wamid": wamid, "phone_number_id": NUMBER_ID}
    if drawn.without_callback:
        ids |= {"recipient_id": None, "attempt": None}
    return drawn.event.model_copy(update=ids)


def truth(history: list[Drawn], people: list[RecipientId]) -> dict[RecipientId, Facts]:
    """The facts of the domain. A status without callback data counts if its wamid is claimed, before it or after it."""
    claimed = {as_published(s, people).wamid for s in history if not s.without_callback}
    known = dict.fromkeys(people, NOTHING)
    for drawn in history:
        event = as_published(drawn, people)
        if not drawn.without_callback or event.wamid in claimed:
            attempt = drawn.event.attempt or 0
            known[people[drawn.person]] = merge(known[people[drawn.person]], facts_of(event, attempt))
    return known


def counters(known: Iterable[Facts]) -> dict[str, int]:
    """The counters that these facts mean, counted from the domain's own functions."""
    found: Counter[str] = Counter()
    for facts in known:
        word = status(facts)
        due = next_attempt_at(facts, planned_at=None, created_at=START, max_retries=MAX_RETRIES)
        found["funnel/total"] += 1
        found["prefix/1"] += 1
        found[f"status/{word}"] += 1
        found["funnel/sent"] += facts.sent_at is not None
        found["funnel/delivered"] += facts.delivered_at is not None
        found["funnel/read"] += facts.read_at is not None
        found["funnel/replied"] += facts.replied_at is not None
        found["funnel/retrying"] += word in (Status.FAILED, Status.UNKNOWN) and due is not None
        found["funnel/due"] += due is not None
        if facts.delivered_at is not None and facts.price:
            found[f"price/{facts.price[3:]}/1"] += 1
        if due is not None:
            found[f"wait/{kind_of(facts)}"] += 1
        if word is Status.FAILED and facts.failure is not None:
            code = facts.failure.code
            found[f"failure/{'unknown' if code is None else code}"] += 1
        if word is Status.SKIPPED and facts.skipped is not None:
            found[f"skip/{facts.skipped.reason if facts.skipped.reason in list(SkipReason) else 'unknown'}"] += 1
    return {key: n for key, n in found.items() if n}


async def read_counters(connection: Connection, campaign: CampaignId) -> dict[str, int]:
    """The counters of a campaign, those not folded yet included."""
    cursor = await connection.execute(_COUNTERS, {"id": campaign})
    return dict(await cursor.fetchall())


_COUNTERS = """
    SELECT dimension || '/' || key, sum(n)::int
    FROM (SELECT dimension, key, n FROM campaign_counters WHERE campaign_id = %(id)s
          UNION ALL SELECT dimension, key, n FROM campaign_counter_deltas WHERE campaign_id = %(id)s) AS every
    GROUP BY 1 HAVING sum(n) <> 0
"""


class Database:
    """A loop and two connections that last for all examples of a test: the two sinks."""

    def __init__(self, url: str) -> None:
        self.runner = asyncio.Runner()
        self.first, self.second = self.runner.run(self._connect(url))
        self.world = World(self.first, url)

    async def _connect(self, url: str) -> tuple[Connection, Connection]:
        return await connect(url, application_name="one"), await connect(url, application_name="two")

    def close(self) -> None:
        for connection in (self.first, self.second):
            self.runner.run(connection.close())
        self.runner.close()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    yield opened
    opened.close()


@asynccontextmanager
async def unchanged(connection: Connection, people: list[RecipientId]) -> AsyncIterator[None]:
    statement = "SELECT id, xmin::text, updated_at FROM campaign_recipients WHERE id = ANY(%s) ORDER BY id"
    before = await (await connection.execute(statement, [people])).fetchall()
    yield
    assert await (await connection.execute(statement, [people])).fetchall() == before


async def deliver(connection: Connection, batches: list[list[RecipientEvent]]) -> None:
    numbers = KnownPhoneNumbers()
    for batch in batches:
        for tries in range(TRIES_MAX):
            try:
                async with connection.transaction():
                    applied = await apply_events(connection, batch, numbers)
                assert not applied.refused
                break
            except Exception as error:
                if not is_transient(error) or tries == TRIES_MAX - 1:
                    raise


SETTINGS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@SETTINGS
@given(deliveries())
def test_two_sinks_merge_what_the_domain_merges(
    database: Database, delivered: tuple[list[Drawn], list[list[Drawn]], list[list[Drawn]]]
) -> None:
    history, first, second = delivered

    async def scenario() -> None:
        campaign = await database.world.add_campaign()
        people = await database.world.add_recipients(PEOPLE, campaign)
        on_first = [[as_published(s, people) for s in batch] for batch in first]
        on_second = [[as_published(s, people) for s in batch] for batch in second]
        await asyncio.gather(deliver(database.first, on_first), deliver(database.second, on_second))
        expected = truth(history, people)
        assert await read_facts(database.first, people) == expected
        assert await stats.recount(database.first, campaign) == []
        assert await read_counters(database.first, campaign) == counters(expected.values())
        async with unchanged(database.first, people):
            await deliver(database.second, [*on_second, *on_first])

    database.runner.run(scenario())


def dense(seed: int) -> tuple[list[Drawn], list[list[Drawn]], list[list[Drawn]]]:
    """Many people at once, few attempts, times and codes: ties of every rank, which a drawn history rarely has."""
    chance = Random(seed)
    history = [dense_event(chance) for _ in range(DENSE_PEOPLE * 12)]
    sides = [chance.choice(("first", "second", "both")) for _ in history]
    first = [s for s, side in zip(history, sides, strict=True) if side != "second"]
    second = [s for s, side in zip(history, sides, strict=True) if side != "first"]
    return history, dense_cut(chance, first), dense_cut(chance, second)


def dense_cut(chance: Random, history: list[Drawn]) -> list[list[Drawn]]:
    chance.shuffle(history)
    return [history[start : start + 60] for start in range(0, len(history), 60)]


def dense_event(chance: Random) -> Drawn:
    kind = chance.choice([*EventKind, EventKind.FAILED, EventKind.FAILED, EventKind.REJECTED])
    attempt = chance.choice([1, 1, 2])
    event = RecipientEvent(
        kind=kind,
        recipient_id=RECIPIENT,
        attempt=attempt,
        wamid=chance.choice([None, Wamid(f"wamid.{attempt}a"), Wamid(f"wamid.{attempt}B")]),
        occurred_at=START + timedelta(minutes=chance.randrange(4)),
        received_at=START,
        failure=Failure(
            code=chance.choice([None, 0, 131049]),
            reason=chance.choice(["", "a", "B", "é"]),
            retry_class=chance.choice([*RetryClass]),
            backoff_s=chance.choice([0, 60]),
        ),
        skip_reason=chance.choice(["a", "B"]),
        not_before=START + timedelta(minutes=chance.randrange(4)),
        held_for_quality=chance.random() < 0.1,
        pricing=chance.choice(PRICINGS),
    )
    may_lose_it = kind in WEBHOOK_KINDS and event.wamid is not None
    return Drawn(chance.randrange(DENSE_PEOPLE), event, may_lose_it and chance.random() < 0.7)


@pytest.mark.parametrize("seed", range(4))
def test_ties_of_every_rank_are_decided_alike(database: Database, seed: int) -> None:
    history, first, second = dense(seed)

    async def scenario() -> None:
        campaign = await database.world.add_campaign()
        people = await database.world.add_recipients(DENSE_PEOPLE, campaign)
        on_first = [[as_published(s, people) for s in batch] for batch in first]
        on_second = [[as_published(s, people) for s in batch] for batch in second]
        await asyncio.gather(deliver(database.first, on_first), deliver(database.second, on_second))
        found, expected = await read_facts(database.first, people), truth(history, people)
        assert [found[person] for person in people] == [expected[person] for person in people]
        assert await stats.recount(database.first, campaign) == []
        assert await read_counters(database.first, campaign) == counters(expected.values())
        async with unchanged(database.first, people):
            await deliver(database.second, [*on_second, *on_first])

    database.runner.run(scenario())


_MEANING = (
    "SELECT id, status, retry_count, failure_reason, next_attempt_at, scheduled_send_date, created_at, max_retries"
    " FROM campaign_recipients WHERE id = ANY(%s)"
)


@SETTINGS
@given(
    st.lists(st.lists(events(), max_size=8), min_size=12, max_size=12),
    st.integers(0, 4),
    st.one_of(st.none(), st.datetimes()),
)
def test_generated_columns_agree_with_the_domain(
    database: Database, histories: list[list[RecipientEvent]], max_retries: int, planned: Any
) -> None:
    async def scenario() -> None:
        connection = database.first
        campaign = await database.world.add_campaign()
        people = await database.world.add_recipients(len(histories), campaign)
        await connection.execute(
            "UPDATE campaign_recipients SET max_retries = %s, scheduled_send_date = %s AT TIME ZONE 'UTC'"
            " WHERE campaign_id = %s",
            [max_retries, planned, campaign],
        )
        facts = {
            person: reduce(merge, (facts_of(event, event.attempt or 0) for event in history), NOTHING)
            for person, history in zip(people, histories, strict=True)
        }
        await merge_facts(connection, facts)
        cursor = await connection.execute(_MEANING, [people])
        for person, word, retries, reason, due, planned_at, created_at, limit in await cursor.fetchall():
            known = facts[person]
            assert (word, retries, reason) == (status(known), retry_count(known), failure_reason(known))
            assert due == next_attempt_at(known, planned_at=planned_at, created_at=created_at, max_retries=limit)

    database.runner.run(scenario())


def test_the_boundaries_are_those_of_the_domain(database: Database) -> None:
    async def scenario() -> None:
        people = await database.world.add_recipients(len(ROWS), await database.world.add_campaign())
        for person, row in zip(people, ROWS.values(), strict=True):
            await database.world.run(
                "UPDATE campaign_recipients SET created_at = %s, scheduled_send_date = %s, max_retries = %s"
                " WHERE id = %s",
                CREATED_AT, PLANNED_AT, row.max_retries, person,
            )  # fmt: skip
        await merge_facts(database.first, dict(zip(people, (row.facts for row in ROWS.values()), strict=True)))
        query = "SELECT status, next_attempt_at FROM campaign_recipients WHERE id = ANY(%s) ORDER BY id"
        found = dict(zip(ROWS, await database.world.run(query, people), strict=True))
        assert found == {name: (row.status.value, row.due_at) for name, row in ROWS.items()}

    database.runner.run(scenario())


@pytest.mark.parametrize(("attempt", "is_accepted"), [(62, True), (63, False)])
def test_the_database_stores_no_attempt_beyond_the_bits_of_a_bigint(
    database: Database, attempt: int, is_accepted: bool
) -> None:
    async def scenario() -> None:
        (person,) = await database.world.add_recipients(1, await database.world.add_campaign())
        with nullcontext() if is_accepted else pytest.raises(psycopg.errors.CheckViolation):
            await database.world.run("UPDATE campaign_recipients SET attempt = %s WHERE id = %s", attempt, person)

    database.runner.run(scenario())


@pytest.mark.parametrize(("change", "touched"), [
    ("max_retries = 1", 2),
    ("max_retries = 1, updated_at = clock_timestamp()", 2),
    ("max_retries = 1, updated_at = '2020-01-01'", 0),
    ("max_retries = 1, updated_at = CASE id WHEN %(first)s THEN '2020-01-01' ELSE updated_at END", 1),
    ("id = gen_random_uuid()", 2),
])  # fmt: skip
def test_each_change_of_a_row_sets_its_time_unless_the_statement_sets_another(
    database: Database, change: LiteralString, touched: int
) -> None:
    async def scenario() -> None:
        campaign = await database.world.add_campaign()
        people = await database.world.add_recipients(2, campaign)
        before = await database.world.value("SELECT clock_timestamp()")
        update: LiteralString = "UPDATE campaign_recipients SET " + change + " WHERE campaign_id = %(campaign)s"
        await database.first.execute(update, {"campaign": campaign, "first": people[0]})
        later = "SELECT count(*) FROM campaign_recipients WHERE campaign_id = %s AND updated_at > %s"
        assert await database.world.value(later, campaign, before) == touched

    database.runner.run(scenario())


def test_facts_survive_the_way_through_a_row() -> None:
    assert facts_of_row(dict.fromkeys(COLUMNS, None) | {
        "attempt": 0, "accepted_attempts": 0, "failed_attempts": 0, "held_back_attempts": 0, "held_for_quality": False,
    }) == NOTHING  # fmt: skip
