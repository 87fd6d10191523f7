"""The model compared with the SQL: the calls of the model's walks are repeated with the product's statements.

Every call of a walk is recorded with its answer and with the tables after it. The same calls are then made on a real
Postgres with the clock of the model: replacements of `clock_timestamp()` and `now()` come first in the search path. A
different answer or row means that the model and the SQL follow different rules.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any
from uuid import UUID

import pytest

from domain.breakers import Breaker, Scope, Signal, letters
from domain.facts import NOTHING
from domain.lifecycle import CampaignStatus
from domain.signals import Signals
from domain.waiting import Situation, explain, reached
from schemas.events import RecipientEvent
from schemas.jobs import SendJob
from schemas.model import RecipientId
from sinks import apply
from tables import breakers, closing, frequency, ledger, publications, recipients, release_pages
from tables.campaigns import CAP_WAIT_DAYS
from tables.database import Connection, connect
from tables.ledger import Claim, Settlement, UnpublishedOutcome
from tables.release_memory import ReleaseMemory
from tables.statements import load
from tests.properties.pipeline.humans import LedgerRow
from tests.properties.pipeline.ledger import CODE, REASON
from tests.properties.pipeline.limits import CAMPAIGN
from tests.properties.pipeline.rows import START, Key, counted
from tests.properties.pipeline.tables import Tables
from tests.properties.pipeline.walks import PRELUDES, Pipeline

DIMENSIONS = ("status", "funnel", "wait", "skip", "window")
HISTORIES = 24
STEPS = 30
FAR_OFFSET = 1_000_000
CLOCK = """
CREATE FUNCTION the_model.{}() RETURNS timestamptz LANGUAGE sql VOLATILE
    AS $$ SELECT current_setting('the_model.now')::timestamptz $$
"""
EMPTY = """
DELETE FROM releases; DELETE FROM send_ledger; DELETE FROM messages; DELETE FROM subscriptions;
DELETE FROM campaign_recipients; DELETE FROM campaign_days; DELETE FROM double_sends;
DELETE FROM breakers; DELETE FROM breaker_changes; DELETE FROM template_trials;
DELETE FROM campaign_counters; DELETE FROM campaign_counter_deltas; DELETE FROM marketing_campaigns
"""


@dataclass(frozen=True, slots=True)
class Call:
    """One call on the model's tables."""

    name: str
    now: datetime
    values: tuple[Any, ...]
    campaign: str
    """The state of the campaign before the call. Actions of an operator are not recorded as calls."""
    answer: Any
    after: Tables


RECORDED = frozenset({
    "release_due", "record_published", "forget_answered", "claim_attempts", "renew_claims", "settle_attempts",
    "mark_published", "declare_unknown", "skip_cancelled", "complete_campaigns", "reopen_campaigns", "apply_events",
    "reset_breaker",
})  # fmt: skip


class Recorder:
    """Tables that record every call."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.calls: list[Call] = []
        self._world = pipeline.world
        self._tables = pipeline.world.tables
        pipeline.world.tables = self  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._tables, name)
        if name not in RECORDED:
            return found

        def call(*values: Any) -> Any:
            campaign = self._tables.campaign
            answer = found(*values)
            self.calls.append(Call(name, self._world.now, values, campaign, *copy.deepcopy((answer, self._tables))))
            return answer

        return call

    def __setattr__(self, name: str, value: object) -> None:
        if name == "campaign":
            self._tables.campaign = str(value)
        else:
            object.__setattr__(self, name, value)


SCRIPTS: tuple[tuple[str, ...], ...] = (
    (*PRELUDES[2], "cancel", "skip cancelled", "webhook failed", "apply the next"),
    (*PRELUDES[1], "webhook delivered", "apply the next", "cancel", "skip cancelled"),
    (*PRELUDES[5], "claim", "receive claim", "permit", "renew", "settle"),
    (*PRELUDES[5], "3 s pass", "sweep publishes", "claim", "receive claim", "permit", "renew", "settle"),
    (
        *PRELUDES[6],
        "11 s pass",
        "apply the next",
        "leader releases",
        "leader publishes",
        "take",
        "claim",
        "receive claim",
        "permit",
        "post: accepted",
        "settle",
    ),
)
"""Rare situations, and situations that once were handled incorrectly."""


def history(seed: int, script: tuple[str, ...] = (), steps: int = STEPS) -> list[Call]:
    """A walk of the model and its fair end, as calls."""
    random = Random(seed)
    pipeline = Pipeline(random, people=1 + seed % 2)
    recorder = Recorder(pipeline)
    pipeline.begin(script or PRELUDES[seed % len(PRELUDES)])
    assert len(pipeline.trace) >= len(script), "a move of the script is not possible"
    for _ in range(steps):
        moves = list(pipeline.moves())
        pipeline.do(random.choices(moves, [move.weight for move in moves])[0])
    pipeline.finish()
    return recorder.calls


class Sql:
    """The same calls on Postgres."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def rows(self, sql: Any, *values: object) -> list[tuple[Any, ...]]:
        cursor = await self.connection.execute(sql, values)
        return await cursor.fetchall() if cursor.description else []

    async def begin(self, people: Sequence[RecipientId]) -> None:
        for statement in EMPTY.split(";"):
            await self.rows(statement)
        await self.rows(
            "INSERT INTO marketing_campaigns"
            " (id, name, template_name, language_code, phone_number_id, status, created_at)"
            " VALUES (%s, 'c', 't', 'en', '1', 'active', %s)",
            CAMPAIGN,
            START,
        )
        await self.rows("INSERT INTO campaign_days (campaign_id, day) VALUES (%s, '2026-03-01')", CAMPAIGN)
        for person in people:
            await self.rows(
                "INSERT INTO campaign_recipients (id, campaign_id, phone_number, scheduled_send_date, created_at)"
                " VALUES (%s, %s, %s, %s, %s)",
                person,
                CAMPAIGN,
                _phone(person),
                START,
                START,
            )

    async def surroundings(self, call: Call) -> None:
        """Set the clock, and repeat the actions of operators and recipients before this call."""
        await self.rows("SELECT set_config('the_model.now', %s, false)", call.now.isoformat())
        await self.rows(
            "UPDATE marketing_campaigns SET status = %s, pause_reason = %s",
            call.campaign,
            "test" if call.campaign == "paused" else None,
        )
        for person in call.after.opted_out:
            await self.rows(
                "INSERT INTO subscriptions (person, source, subscribed, occurred_at)"
                " VALUES (%s, 'operator', false, %s) ON CONFLICT DO NOTHING",
                _phone(person),
                call.now,
            )

    async def do(self, call: Call) -> Any:
        return await getattr(self, call.name)(*call.values)

    async def release_due(self, now: datetime, send_before: datetime) -> list[Key]:
        values = {
            **ReleaseMemory().place_of(CAMPAIGN), "campaign": CAMPAIGN, "day": "2026-03-01", "fresh": 100, "tried": 100,
            "number": "1", "follows": False, "countries": [""], "deadlines": [send_before], "producer": "",
            **frequency.release_parameters(None, CAP_WAIT_DAYS), "exclude_campaigns": [], "exclude_recipients": "sent",
            "pair_s": 0.0, "pair_remembered_s": 900.0,
        }  # fmt: skip
        cursor = await self.connection.execute(load("releases")["release_due"], values)
        released = [(RecipientId(row[0]), row[1]) for row in await cursor.fetchall() if row[6] == "queued"]
        for key in released:  # the default is the clock of the server
            await self.rows("UPDATE releases SET released_at = %s WHERE (recipient_id, attempt) = (%s, %s)", now, *key)
        return sorted(released)

    async def record_published(self, key: Key, offset: int, _now: datetime) -> None:
        await publications.record_published(self.connection, [_job(key, START)], [(0, offset)])

    async def forget_answered(self, _now: datetime, older_than_s: float) -> None:
        await release_pages.forget_answered(self.connection, older_than_s, 100)

    async def claim_attempts(
        self, key: Key, token: UUID, deadline: datetime, lease_s: float, _now: datetime
    ) -> tuple[str, RecipientEvent | None]:
        answers = await ledger.claim(self.connection, token, [_job(key, deadline)], lease_s)
        return answers[key].verdict.value, _event(answers[key].event)

    async def renew_claims(
        self, key: Key, token: UUID, lease_s: float, _now: datetime
    ) -> tuple[str, RecipientEvent | None]:
        answers = await ledger.renew(self.connection, [Claim(*key, token)], lease_s)
        return answers[key].verdict.value, _event(answers[key].event)

    async def settle_attempts(
        self, key: Key, token: UUID, event: RecipientEvent, _now: datetime, signal: Signal = Signal.NEUTRAL
    ) -> bool:
        signals = Signals(letters({Scope.ACCOUNT: signal}), CODE, REASON)
        settlement = Settlement(Claim(*key, token), event.kind.value, event.model_dump_json(), event.wamid, signals)
        return bool((await ledger.settle(self.connection, [settlement])).written)

    async def mark_published(self, key: Key, outcome: str) -> None:
        await ledger.mark_published(self.connection, [UnpublishedOutcome(*key, outcome, "")])

    async def reset_breaker(self, _now: datetime) -> None:
        await breakers.reset(self.connection, CAMPAIGN)

    async def declare_unknown(self, _now: datetime) -> list[Key]:
        declared = await ledger.declare_unknown(self.connection, 100)
        return sorted((RecipientId(each.recipient_id), each.attempt) for each in declared)

    async def skip_cancelled(self, _now: datetime) -> int:
        found = await closing.find_cancelled(self.connection, [CAMPAIGN])
        return (await closing.skip_chunk(self.connection, found[0], 100)).skipped if found else 0

    async def complete_campaigns(self, _now: datetime, unknown_s: float) -> bool:
        return bool(await closing.complete(self.connection, [CAMPAIGN], unknown_s))

    async def reopen_campaigns(self) -> bool:
        return bool(await closing.reopen(self.connection, [CAMPAIGN]))

    async def apply_events(self, events: Sequence[RecipientEvent], _now: datetime) -> None:
        async with self.connection.transaction():
            applied = await apply.apply_events(self.connection, events, apply.KnownPhoneNumbers())
        assert not applied.refused

    async def state(self, people: Sequence[RecipientId]) -> dict[str, Any]:
        """The content of the tables."""
        facts = await recipients.read_facts(self.connection, people)
        derived = "SELECT id, status, next_attempt_at, retry_count FROM campaign_recipients ORDER BY id"
        unclaimed = await publications.find_unclaimed(self.connection, {0: FAR_OFFSET}, publications.Patience(), 100)
        return {
            "facts": {person: facts.get(person, NOTHING) for person in people},
            "derived": await self.rows(derived),
            "ledger": await self.rows(
                "SELECT recipient_id, attempt, send_before, lease_until, outcome, published_at IS NOT NULL"
                " FROM send_ledger ORDER BY 1, 2"
            ),
            "releases": await self.rows(
                "SELECT recipient_id, attempt, send_before, publish_count FROM releases ORDER BY 1, 2"
            ),
            "breaker": await self.rows(
                "SELECT opened_at, code, reason, needs_human, pause_s, probe_at, probe_recipient, probe_attempt,"
                " probe_until FROM breakers WHERE opened_at IS NOT NULL"
            ),
            "used": await self.rows("SELECT sum(used)::integer FROM campaign_days"),
            "campaign": await self.rows("SELECT status FROM marketing_campaigns"),
            "unclaimed": sorted((job.recipient_id, job.attempt) for job in unclaimed),
            "counters": await self.rows(
                "SELECT dimension || '/' || key, sum(n)::integer FROM campaign_counter_deltas"
                " WHERE dimension = ANY (%s) GROUP BY 1 HAVING sum(n) <> 0 ORDER BY 1",
                list(DIMENSIONS),
            ),
        }


def explained(counters: dict[str, int], now: datetime) -> int:
    """How many recipients an explanation puts into its groups."""
    situation = Situation(CampaignStatus.ACTIVE, now, opens_at={"": now}, left_today=1)
    return reached(counters) + sum(group.recipients for group in explain(counters, situation))


def modelled(tables: Tables, now: datetime) -> dict[str, Any]:
    """The content of the model's tables, in the same form."""
    counters = sum((counted(row) for row in tables.rows.values()), start=Counter[str]())
    return {
        "facts": {person: row.facts for person, row in tables.rows.items()},
        "derived": [(p, r.status.value, r.due_at, _retries(r.facts)) for p, r in sorted(tables.rows.items())],
        "ledger": [(*key, *_ledger_row(held)) for key, held in sorted(tables.ledger.items())],
        "releases": [(*k, r.send_before, r.publish_count) for k, r in sorted(tables.releases.items())],
        "breaker": _breaker_row(tables.breaker),
        "used": [(tables.used,)],
        "campaign": [(tables.campaign,)],
        "unclaimed": sorted(tables.find_unclaimed(now, FAR_OFFSET)),
        "counters": sorted((key, n) for key, n in counters.items() if n and key.split("/")[0] in DIMENSIONS),
    }


def _retries(facts: Any) -> int:
    return int((facts.failed_attempts & ~facts.held_back_attempts).bit_count())


def _ledger_row(held: LedgerRow) -> tuple[Any, ...]:
    return (held.send_before, held.lease_until, held.outcome, held.is_published)


def _breaker_row(b: Breaker) -> list[tuple[Any, ...]]:
    """The row of an open breaker. A closed one may have a row or none."""
    if not b.is_open:
        return []
    probe = (b.probe.recipient_id, b.probe.attempt, b.probe.until) if b.probe else (None, None, None)
    return [(b.opened_at, b.code, b.reason, b.needs_human, b.pause_s, b.probe_at, *probe)]


def _phone(person: RecipientId) -> str:
    return str(15_550_000_000 + person.int)


def _event(stated: str | None) -> RecipientEvent | None:
    return RecipientEvent.model_validate_json(stated).model_copy(update={"producer": ""}) if stated else None


def _job(key: Key, send_before: datetime) -> SendJob:
    return SendJob(
        campaign_id=CAMPAIGN,
        recipient_id=key[0],
        attempt=key[1],
        phone_number_id="1",
        phone_number=_phone(key[0]),
        template_name="t",
        language_code="en",
        send_before=send_before,
    )


def _plain(answer: Any) -> Any:
    return sorted(answer) if isinstance(answer, list) else answer


async def follow(url: str, histories: Sequence[list[Call]]) -> None:
    """Repeat each history on Postgres. After each call, Postgres and the model must be equal."""
    async with await connect(url, application_name="test-clock") as admin:
        await admin.execute("CREATE SCHEMA the_model")
        for name in ("clock_timestamp", "now"):
            await admin.execute(CLOCK.format(name).encode())
    path = {"search_path": "the_model,pg_catalog,public"}
    async with await connect(url, application_name="test-model", session=path) as connection:
        sql = Sql(connection)
        for number, calls in enumerate(histories):
            people = sorted(calls[0].after.rows)
            await sql.begin(people)
            for place, call in enumerate(calls):
                await sql.surroundings(call)
                where = f"history {number}, call {place}: {call.name}{call.values}"
                assert await sql.do(call) == _plain(call.answer), where
                found = await sql.state(people)
                assert found == modelled(call.after, call.now), where
                assert explained(dict(found["counters"]), call.now) == len(people), where


@pytest.mark.parametrize("part", [0, pytest.param(1, marks=pytest.mark.slow)])
async def test_the_sql_gives_the_answers_and_the_rows_of_the_model(database_url: str, part: int) -> None:
    await follow(database_url, [history(seed) for seed in range(part, HISTORIES, 2)])


async def test_the_sql_follows_past_failures(database_url: str) -> None:
    await follow(database_url, [history(0, script, steps=0) for script in SCRIPTS])
