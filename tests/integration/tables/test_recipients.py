"""The SQL merge is the domain's merge, in any split over batches and connections, parked before or after."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.facts import NOTHING, Facts, facts_of, merge
from domain.status import Status, failure_reason, next_attempt_at, retry_count, status
from schemas.events import WEBHOOK_KINDS, EventKind, Failure, RecipientEvent, RetryClass
from schemas.model import CampaignId, RecipientId, Wamid
from sinks.apply import KnownPhoneNumbers, apply_events
from tables import stats
from tables.database import Connection, connect, is_transient
from tables.recipients import COLUMNS, facts_of_row, merge_facts, read_facts
from tests.support.campaign_rows import NUMBER_ID, add_campaign, add_recipients
from tests.support.histories import RECIPIENT, START, events

PEOPLE = 3
DENSE_PEOPLE = 150
TRIES_MAX = 20
MAX_RETRIES = 3
"""A campaign's, where nobody asked for another."""


@dataclass(frozen=True)
class Said:
    """An event as drawn: of which person, and whether it travels without our callback data."""

    person: int
    event: RecipientEvent
    without_callback: bool


@st.composite
def said(draw: st.DrawFn) -> Said:
    event = draw(events())
    may_lose_it = event.kind in WEBHOOK_KINDS and event.wamid is not None
    return Said(draw(st.integers(0, PEOPLE - 1)), event, may_lose_it and draw(st.booleans()))


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[Said], list[list[Said]], list[list[Said]]]:
    """A history, and two sinks' batches of it: shuffled, cut anywhere, with repetitions on both sides."""
    history = draw(st.lists(said(), max_size=14))
    sides = [draw(st.sampled_from((0, 1))) for _ in history]
    again = draw(st.lists(st.sampled_from(history), max_size=4)) if history else []
    first = draw(st.permutations([s for s, side in zip(history, sides, strict=True) if side == 0] + again))
    second = draw(st.permutations([s for s, side in zip(history, sides, strict=True) if side == 1] + again))
    return history, _cut(draw, first), _cut(draw, second)


def _cut(draw: st.DrawFn, history: list[Said]) -> list[list[Said]]:
    places = sorted(draw(st.sets(st.integers(0, len(history)), max_size=3)) | {0, len(history)})
    return [history[start:end] for start, end in pairwise(places)]


def travelling(saying: Said, people: list[RecipientId]) -> RecipientEvent:
    person = people[saying.person]
    wamid = None if saying.event.wamid is None else Wamid(f"{saying.event.wamid}.{person}")
    ids: dict[str, Any] = {"recipient_id": person, "wamid": wamid, "phone_number_id": NUMBER_ID}
    if saying.without_callback:
        ids |= {"recipient_id": None, "attempt": None}
    return saying.event.model_copy(update=ids)


def truth(history: list[Said], people: list[RecipientId]) -> dict[RecipientId, Facts]:
    """What the domain says: a status without callback data counts where its wamid is claimed, in whatever order."""
    claimed = {travelling(s, people).wamid for s in history if not s.without_callback}
    known = dict.fromkeys(people, NOTHING)
    for saying in history:
        event = travelling(saying, people)
        if not saying.without_callback or event.wamid in claimed:
            attempt = saying.event.attempt or 0
            known[people[saying.person]] = merge(known[people[saying.person]], facts_of(event, attempt))
    return known


def counters(known: Iterable[Facts]) -> dict[str, int]:
    """The counters that these facts mean, counted from the domain's own functions."""
    found: Counter[str] = Counter()
    for facts in known:
        word = status(facts)
        due = next_attempt_at(facts, planned_at=None, created_at=START, max_retries=MAX_RETRIES)
        found["funnel/total"] += 1
        found[f"status/{word}"] += 1
        found["funnel/sent"] += facts.sent_at is not None
        found["funnel/delivered"] += facts.delivered_at is not None
        found["funnel/read"] += facts.read_at is not None
        found["funnel/replied"] += facts.replied_at is not None
        found["funnel/retrying"] += word in (Status.FAILED, Status.UNKNOWN) and due is not None
        if word is Status.FAILED and facts.failure is not None:
            code = facts.failure.code
            found[f"failure/{facts.failure.text if code is None else code}"] += 1
        if word is Status.SKIPPED and facts.skipped is not None:
            found[f"skip/{facts.skipped.reason}"] += 1
    return {key: n for key, n in found.items() if n}


async def told(connection: Connection, campaign: CampaignId) -> dict[str, int]:
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
    database: Database, delivered: tuple[list[Said], list[list[Said]], list[list[Said]]]
) -> None:
    history, first, second = delivered

    async def scenario() -> None:
        campaign = await add_campaign(database.first)
        people = await add_recipients(database.first, campaign, PEOPLE)
        on_first = [[travelling(s, people) for s in batch] for batch in first]
        on_second = [[travelling(s, people) for s in batch] for batch in second]
        await asyncio.gather(deliver(database.first, on_first), deliver(database.second, on_second))
        expected = truth(history, people)
        assert await read_facts(database.first, people) == expected
        assert await stats.recount(database.first, campaign) == []
        assert await told(database.first, campaign) == counters(expected.values())
        async with unchanged(database.first, people):
            await deliver(database.second, [*on_second, *on_first])

    database.runner.run(scenario())


def dense(seed: int) -> tuple[list[Said], list[list[Said]], list[list[Said]]]:
    """Many people at once, few attempts, times and codes: ties of every rank, which a drawn history rarely has."""
    chance = Random(seed)
    history = [dense_event(chance) for _ in range(DENSE_PEOPLE * 12)]
    sides = [chance.choice(("first", "second", "both")) for _ in history]
    first = [s for s, side in zip(history, sides, strict=True) if side != "second"]
    second = [s for s, side in zip(history, sides, strict=True) if side != "first"]
    return history, dense_cut(chance, first), dense_cut(chance, second)


def dense_cut(chance: Random, history: list[Said]) -> list[list[Said]]:
    chance.shuffle(history)
    return [history[start : start + 60] for start in range(0, len(history), 60)]


def dense_event(chance: Random) -> Said:
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
    )
    may_lose_it = kind in WEBHOOK_KINDS and event.wamid is not None
    return Said(chance.randrange(DENSE_PEOPLE), event, may_lose_it and chance.random() < 0.7)


@pytest.mark.parametrize("seed", range(4))
def test_ties_of_every_rank_are_decided_alike(database: Database, seed: int) -> None:
    history, first, second = dense(seed)

    async def scenario() -> None:
        campaign = await add_campaign(database.first)
        people = await add_recipients(database.first, campaign, DENSE_PEOPLE)
        on_first = [[travelling(s, people) for s in batch] for batch in first]
        on_second = [[travelling(s, people) for s in batch] for batch in second]
        await asyncio.gather(deliver(database.first, on_first), deliver(database.second, on_second))
        found, expected = await read_facts(database.first, people), truth(history, people)
        assert [found[person] for person in people] == [expected[person] for person in people]
        assert await stats.recount(database.first, campaign) == []
        assert await told(database.first, campaign) == counters(expected.values())
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
        campaign = await add_campaign(connection)
        people = await add_recipients(connection, campaign, len(histories))
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


def test_facts_survive_the_way_through_a_row() -> None:
    assert facts_of_row(dict.fromkeys(COLUMNS, None) | {
        "attempt": 0, "accepted_attempts": 0, "failed_attempts": 0, "held_back_attempts": 0, "held_for_quality": False,
    }) == NOTHING  # fmt: skip
