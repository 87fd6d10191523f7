"""Claim, renewal, settlement and sweep on a real Postgres: the rules that make "at most one send per attempt" true."""

import asyncio
import json
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from domain.inbound import STOPPED_CODE
from domain.signals import Signals
from schemas.events import EventKind, RecipientEvent
from schemas.jobs import SendJob
from schemas.model import CampaignId, RecipientId
from schemas.sources import Source
from schemas.subscriptions import SubscriptionKind
from tables import ledger, release_pages, subscriptions
from tables.database import Connection
from tables.ledger import Claim, ClaimAnswer, ClaimResult, Settlement
from tests.support.world import World

PAST = datetime(2020, 1, 1, tzinfo=UTC)


def sender_connection(world: World) -> AbstractAsyncContextManager[Connection]:
    """A connection that waits as briefly as a sender does."""
    return world.another("test-sender", statement_timeout="1000", lock_timeout="1000")


def _event(kind: EventKind, claim: Claim, campaign: CampaignId) -> str:
    now = datetime.now(UTC)
    return RecipientEvent(
        kind=kind,
        campaign_id=campaign,
        recipient_id=RecipientId(claim.recipient_id),
        attempt=claim.attempt,
        occurred_at=now,
        received_at=now,
    ).model_dump_json(exclude_none=True)


async def test_a_claim_is_written_once_and_ends_the_release(world: World) -> None:
    jobs = await world.release_jobs(3)
    assert await world.claim(jobs) == [ClaimResult.CLAIMED] * 3
    assert await world.count("releases") == 0
    again = await ledger.claim(world.connection, uuid4(), jobs, 45)
    assert set(again.values()) == {ClaimAnswer(ClaimResult.HELD)}
    assert await world.count("send_ledger") == 3


async def test_a_claim_and_a_renewal_read_the_identity_of_the_database_once_for_all_jobs(world: World) -> None:
    jobs, token = await world.release_jobs(3), uuid4()
    calls = "SELECT sum(calls)::int FROM pg_stat_xact_user_functions WHERE funcname = 'installation_is_known'"
    async with world.connection.transaction():
        await world.run("SET LOCAL track_functions = 'all'")
        assert await world.claim(jobs, token=token) == [ClaimResult.CLAIMED] * 3
        assert await world.run(calls) == [(1,)]
        claims = [Claim(job.recipient_id, job.attempt, token) for job in jobs]
        renewed = await ledger.renew(world.connection, claims, 45)
        assert {answer.verdict for answer in renewed.values()} == {ClaimResult.RENEWED}
        assert await world.run(calls) == [(2,)]


async def test_a_settled_attempt_is_held_without_an_event(world: World) -> None:
    claims = await _claimed(world)
    await ledger.settle(world.connection, [Settlement(claims[0], "accepted", "{}")])
    jobs = [(await world.release_jobs(1))[0].model_copy(update={"recipient_id": claims[0].recipient_id})]
    answers = await ledger.claim(world.connection, uuid4(), jobs, 45)
    assert set(answers.values()) == {ClaimAnswer(ClaimResult.HELD)}


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE send_ledger SET send_before = '2020-01-01'",
        "UPDATE marketing_campaigns SET status = 'paused', pause_reason = 'x'",
        "UPDATE marketing_campaigns SET status = 'cancelled'",
        "INSERT INTO subscriptions SELECT phone_number, 'operator', false, now() FROM campaign_recipients",
        "UPDATE campaign_recipients SET deferred_attempt = 1, deferred_until = now()",
    ],
)
async def test_a_held_attempt_does_not_expire(world: World, sql: str) -> None:
    """A claimed it and its answer timed out; B reads the job again, too late. B's `expired` would send it twice."""
    claims = await _claimed(world)
    jobs = [
        (await world.release_jobs(1))[0].model_copy(
            update={"recipient_id": claims[0].recipient_id, "send_before": PAST}
        )
    ]
    await world.run(sql)
    answers = await ledger.claim(world.connection, uuid4(), jobs, 45)
    assert set(answers.values()) == {ClaimAnswer(ClaimResult.HELD)}
    assert await world.run("SELECT token, outcome, event FROM send_ledger") == [(claims[0].token, None, None)]
    assert await world.budget_used() == 100


async def test_the_same_job_twice_in_a_batch_is_claimed_once(world: World) -> None:
    jobs = await world.release_jobs(1)
    answers = await ledger.claim(world.connection, uuid4(), [*jobs, *jobs], 45)
    assert [answer.verdict for answer in answers.values()] == [ClaimResult.CLAIMED]
    assert await world.count("send_ledger") == 1


async def test_a_lost_answer_is_read_back_by_its_token(world: World) -> None:
    good, late = await world.release_jobs(2), await world.release_jobs(1, send_before=PAST)
    token = uuid4()
    first = await ledger.claim(world.connection, token, good + late, 45)
    again = await ledger.claim(world.connection, token, good + late, 45)
    assert again == first
    assert await world.budget_used() == 99


@pytest.mark.parametrize("is_published", [False, True])
async def test_a_lost_answer_is_read_back_after_the_sweep_and_settled_as_not_sent(
    world: World, is_published: bool
) -> None:
    jobs, token = await world.release_jobs(1), uuid4()
    first = await ledger.claim(world.connection, token, jobs, 0)
    declared = await ledger.declare_unknown(world.connection, 10)
    if is_published:
        await ledger.mark_published(world.connection, declared)
    assert await ledger.claim(world.connection, token, jobs, 0) == first
    claim = Claim(jobs[0].recipient_id, 1, token)
    assert (await ledger.renew(world.connection, [claim], 45))[claim.key].verdict is ClaimResult.LOST
    settled = Settlement(claim, "expired", _event(EventKind.UNKNOWN, claim, world.campaign))
    assert (await ledger.settle(world.connection, [settled])).written == {claim.key}
    assert await world.budget_used() == 99


@pytest.mark.parametrize(
    ("sql", "verdict", "reason"),
    [
        ("UPDATE marketing_campaigns SET status = 'cancelled'", ClaimResult.SKIPPED, "campaign_cancelled"),
        (
            "INSERT INTO subscriptions SELECT phone_number, 'operator', false, now() FROM campaign_recipients",
            ClaimResult.SKIPPED,
            "opted_out",
        ),
        ("UPDATE releases SET send_before = now()", ClaimResult.EXPIRED, None),
    ],
)
async def test_a_refusal_is_settled_and_gives_the_budget_back_once(
    world: World, sql: str, verdict: ClaimResult, reason: str | None
) -> None:
    jobs = await world.release_jobs(1)
    await world.run(sql)
    answers = await ledger.claim(world.connection, uuid4(), jobs, 45)
    answer = answers[jobs[0].recipient_id, 1]
    assert answer.verdict is verdict
    event = RecipientEvent.model_validate_json(answer.event or "")
    assert (event.kind, event.attempt, event.skip_reason) == (EventKind(verdict.value), 1, reason)
    assert await world.claim(jobs) == [ClaimResult.HELD]
    assert await world.count("releases") == 0
    assert await world.budget_used() == 99
    assert [each.event for each in await ledger.unpublished(world.connection, 10, older_than_s=0)] == [answer.event]


@pytest.mark.parametrize("status", ["paused", "draft", "completed"])
async def test_while_paused_nothing_is_written(world: World, status: str) -> None:
    jobs = await world.release_jobs(2)
    await world.set_campaign_status(status)
    assert await world.claim(jobs) == [ClaimResult.PAUSED] * 2
    assert (await world.count("send_ledger"), await world.count("releases")) == (0, 2)
    await world.set_campaign_status("active")
    assert await world.claim(jobs) == [ClaimResult.CLAIMED] * 2


async def test_an_old_attempt_is_stale_and_its_release_forgotten(world: World) -> None:
    jobs = await world.release_jobs(1)
    await world.run("UPDATE campaign_recipients SET attempt = 2")
    assert await world.claim(jobs) == [ClaimResult.STALE]
    assert (await world.count("send_ledger"), await world.count("releases")) == (0, 0)


async def test_an_answered_row_is_stale_but_its_release_stays(world: World) -> None:
    """Attempt 1 was unknown, 2 is released, then `sent` of 1 arrives; a later `failed` of 1 makes it queued again."""
    jobs = await world.release_jobs(1, attempt=2)
    await world.run("UPDATE campaign_recipients SET accepted_attempts = 2, sent_at = now()")
    assert await world.claim(jobs) == [ClaimResult.STALE]
    assert await world.count("releases") == 1
    await world.run("UPDATE campaign_recipients SET failed_attempts = 2")
    assert await world.claim(jobs) == [ClaimResult.CLAIMED]


async def test_a_deferred_row_without_a_ledger_row_is_stale(world: World) -> None:
    """A restore may lose the ledger row of a deferral that the topic knows. Its old job must not be sent early."""
    jobs = await world.release_jobs(1)
    await world.run("UPDATE campaign_recipients SET deferred_attempt = 1, deferred_until = now() + interval '1 hour'")
    assert await world.claim(jobs) == [ClaimResult.STALE]
    assert await world.count("send_ledger") == 0


async def test_an_unknown_recipient_is_stale(world: World) -> None:
    job = (await world.release_jobs(1))[0].model_copy(update={"recipient_id": RecipientId(uuid4())})
    assert await world.claim([job]) == [ClaimResult.STALE]


LOCK_RECIPIENT = "SELECT FROM campaign_recipients WHERE id = %s FOR UPDATE"


async def test_a_locked_row_delays_its_job_and_no_other(world: World) -> None:
    jobs = await world.release_jobs(3)
    async with world.another() as operator, operator.transaction(), asyncio.timeout(5):
        await operator.execute(LOCK_RECIPIENT, [jobs[1].recipient_id])
        assert await world.claim(jobs) == [ClaimResult.CLAIMED, ClaimResult.BUSY, ClaimResult.CLAIMED]
    assert await world.run("SELECT recipient_id FROM releases") == [(jobs[1].recipient_id,)], "its job comes again"
    assert await world.claim(jobs[1:2]) == [ClaimResult.CLAIMED]
    assert await world.count("send_ledger") == 3


async def test_a_refusal_of_a_locked_row_waits_too(world: World) -> None:
    jobs = await world.release_jobs(2, send_before=PAST)
    async with world.another() as operator, operator.transaction(), asyncio.timeout(5):
        await operator.execute(LOCK_RECIPIENT, [jobs[0].recipient_id])
        assert await world.claim(jobs) == [ClaimResult.BUSY, ClaimResult.EXPIRED]
    assert await world.budget_used() == 99


async def test_a_claim_is_read_back_although_its_row_is_locked(world: World) -> None:
    jobs, token = await world.release_jobs(1), uuid4()
    first = await ledger.claim(world.connection, token, jobs, 45)
    async with world.another() as operator, operator.transaction(), asyncio.timeout(5):
        await operator.execute(LOCK_RECIPIENT, [jobs[0].recipient_id])
        assert await ledger.claim(world.connection, token, jobs, 45) == first
        assert await world.claim(jobs) == [ClaimResult.HELD]


async def test_a_repeated_claim_waits_for_the_first(world: World) -> None:
    """Its connection was lost while the server worked. An answer `busy` would leave claims that nobody knows."""
    jobs, token = await world.release_jobs(2), uuid4()
    async with sender_connection(world) as other:
        async with world.connection.transaction():
            first = await ledger.claim(world.connection, token, jobs, 45)
            again = asyncio.create_task(ledger.claim(other, token, jobs, 45))
            await world.wait_for_blocked("test-sender")
        assert await again == first


async def test_a_locked_release_is_left_to_the_leader(world: World) -> None:
    jobs = await world.release_jobs(2)
    async with world.another() as operator, operator.transaction(), asyncio.timeout(5):
        await operator.execute("SELECT FROM releases WHERE recipient_id = %s FOR UPDATE", [jobs[0].recipient_id])
        assert await world.claim(jobs) == [ClaimResult.CLAIMED] * 2
    assert await world.run("SELECT recipient_id FROM releases") == [(jobs[0].recipient_id,)]
    used = await world.budget_used()
    await release_pages.forget_answered(world.connection, 0, 10)
    assert await world.count("releases") == 0
    assert await world.budget_used() == used, "a claimed attempt keeps its budget"


async def test_claimers_do_not_hold_a_pause_off(world: World) -> None:
    jobs = await world.release_jobs(1)
    async with sender_connection(world) as other, other.transaction():
        await ledger.claim(other, uuid4(), jobs, 45)
        async with asyncio.timeout(2):
            await world.set_campaign_status("paused")


async def test_claims_in_opposite_orders_do_not_deadlock(world: World) -> None:
    jobs = await world.release_jobs(100)

    async def claim(batch: list[SendJob]) -> list[ClaimResult]:
        async with sender_connection(world) as connection:
            answers = await ledger.claim(connection, uuid4(), batch, 45)
            return [answer.verdict for answer in answers.values()]

    for _ in range(5):
        await world.run("DELETE FROM send_ledger")
        verdicts = await asyncio.gather(*(claim(jobs[:: 1 if n % 2 else -1]) for n in range(6)))
        assert sum(each.count(ClaimResult.CLAIMED) for each in verdicts) == 100


async def _claimed(world: World, count: int = 1, lease_s: float = 45) -> list[Claim]:
    token = uuid4()
    jobs = await world.release_jobs(count)
    assert await world.claim(jobs, token=token, lease_s=lease_s) == [ClaimResult.CLAIMED] * count
    return [Claim(job.recipient_id, job.attempt, token) for job in jobs]


async def test_a_renewal_prolongs_the_lease(world: World) -> None:
    claims = await _claimed(world, lease_s=0)
    answers = await ledger.renew(world.connection, claims, 45)
    assert answers[claims[0].key].verdict is ClaimResult.RENEWED
    assert await ledger.declare_unknown(world.connection, 10) == []
    assert await world.budget_used() == 100


async def test_a_renewal_during_a_settlement_leaves_the_outcome(world: World) -> None:
    """Judged from the old row, the claim would be open, and the renewal would erase the outcome and its event."""
    claims = await _claimed(world)
    async with sender_connection(world) as other:
        async with world.connection.transaction(), asyncio.timeout(5):
            await ledger.settle(world.connection, [Settlement(claims[0], "accepted", '{"is": "kept"}', "wamid.X")])
            assert (await ledger.renew(other, claims, 45))[claims[0].key] == ClaimAnswer(ClaimResult.BUSY)
        assert (await ledger.renew(other, claims, 45))[claims[0].key] == ClaimAnswer(ClaimResult.LOST)
    assert await world.run("SELECT outcome, event FROM send_ledger") == [("accepted", '{"is": "kept"}')]


async def test_a_renewal_during_the_sweep_permits_no_post(world: World) -> None:
    claims = await _claimed(world, lease_s=0)
    async with sender_connection(world) as other:
        async with world.connection.transaction(), asyncio.timeout(5):
            declared = await ledger.declare_unknown(world.connection, 10)
            assert (await ledger.renew(other, claims, 45))[claims[0].key] == ClaimAnswer(ClaimResult.BUSY)
        assert (await ledger.renew(other, claims, 45))[claims[0].key] == ClaimAnswer(ClaimResult.LOST)
    assert await world.run("SELECT outcome, event FROM send_ledger") == [("unknown", declared[0].event)]


@pytest.mark.parametrize(
    ("sql", "verdict"),
    [
        ("UPDATE marketing_campaigns SET status = 'paused', pause_reason = 'x'", ClaimResult.DEFERRED),
        ("UPDATE marketing_campaigns SET status = 'cancelled'", ClaimResult.SKIPPED),
        (
            "INSERT INTO subscriptions SELECT phone_number, 'operator', false, now() FROM campaign_recipients",
            ClaimResult.SKIPPED,
        ),
        ("UPDATE send_ledger SET send_before = now()", ClaimResult.EXPIRED),
        ("UPDATE campaign_recipients SET attempt = 2", ClaimResult.EXPIRED),
    ],
)
async def test_a_refused_renewal_settles_as_not_sent(world: World, sql: str, verdict: ClaimResult) -> None:
    claims = await _claimed(world)
    await world.run(sql)
    answer = (await ledger.renew(world.connection, claims, 45))[claims[0].key]
    assert answer.verdict is verdict
    assert RecipientEvent.model_validate_json(answer.event or "").kind == verdict.value
    assert await world.budget_used() == 99
    assert (await ledger.renew(world.connection, claims, 45))[claims[0].key].verdict is ClaimResult.LOST
    assert await world.budget_used() == 99


async def test_only_the_owner_renews_and_settles(world: World) -> None:
    claims = await _claimed(world)
    thief = Claim(claims[0].recipient_id, 1, uuid4())
    assert (await ledger.renew(world.connection, [thief], 45))[thief.key].verdict is ClaimResult.LOST
    stolen = Settlement(thief, "accepted", _event(EventKind.ACCEPTED, thief, world.campaign))
    assert (await ledger.settle(world.connection, [stolen])).written == set()


@pytest.mark.parametrize(
    ("outcome", "used"), [("accepted", 100), ("rejected", 100), ("unknown", 100), ("deferred", 99)]
)
async def test_an_outcome_is_written_once_and_only_not_sent_gives_back(world: World, outcome: str, used: int) -> None:
    claims = await _claimed(world)
    settled = Settlement(claims[0], outcome, json.dumps({"o": outcome}))
    assert (await ledger.settle(world.connection, [settled])).written == {claims[0].key}
    assert (await ledger.settle(world.connection, [settled])).written == set()
    assert await world.budget_used() == used


async def test_the_sweep_declares_unknown_only_past_the_lease(world: World) -> None:
    await _claimed(world, 2)
    over = await _claimed(world, 1, lease_s=0)
    declared = await ledger.declare_unknown(world.connection, 10)
    assert [(each.recipient_id, each.outcome) for each in declared] == [(over[0].recipient_id, "unknown")]
    assert RecipientEvent.model_validate_json(declared[0].event).kind is EventKind.UNKNOWN
    assert await world.budget_used() == 100
    assert await ledger.declare_unknown(world.connection, 10) == []


async def test_the_sweep_leaves_an_outcome_that_is_being_settled(world: World) -> None:
    claims = await _claimed(world, 1, lease_s=0)
    async with sender_connection(world) as other:
        async with world.connection.transaction():
            await ledger.settle(world.connection, [Settlement(claims[0], "accepted", "{}")])
            assert await ledger.declare_unknown(other, 10) == []
        assert await ledger.declare_unknown(other, 10) == []
    assert await world.run("SELECT outcome FROM send_ledger") == [("accepted",)]


@pytest.mark.parametrize("is_published", [False, True])
async def test_an_answer_that_comes_after_unknown_supersedes_it_and_is_published(
    world: World, is_published: bool
) -> None:
    claims = await _claimed(world, 1, lease_s=0)
    declared = await ledger.declare_unknown(world.connection, 10)
    if is_published:
        await ledger.mark_published(world.connection, declared)
    settled = Settlement(claims[0], "accepted", '{"late": true}', "wamid.X")
    assert (await ledger.settle(world.connection, [settled])).written == {claims[0].key}
    await ledger.mark_published(world.connection, declared)  # the sweep's mark must not hide the answer
    waiting = await ledger.unpublished(world.connection, 10, older_than_s=0)
    assert [each.event for each in waiting] == ['{"late": true}']
    await ledger.mark_published(world.connection, waiting)
    assert await ledger.unpublished(world.connection, 10, older_than_s=0) == []


async def test_the_sweep_leaves_young_outcomes_to_their_sender(world: World) -> None:
    claims = await _claimed(world)
    await ledger.settle(world.connection, [Settlement(claims[0], "accepted", "{}")])
    assert await ledger.unpublished(world.connection, 10, older_than_s=60) == []
    assert len(await ledger.unpublished(world.connection, 10, older_than_s=0)) == 1


async def test_leases_count_from_the_database_clock(world: World) -> None:
    await _claimed(world, lease_s=45)
    rows = await world.run("SELECT lease_until - claimed_at FROM send_ledger")
    assert timedelta(seconds=44.9) < rows[0][0] < timedelta(seconds=45.1)


LOCK_CLAIM = "SELECT FROM send_ledger WHERE recipient_id = %s FOR UPDATE"


async def test_a_locked_ledger_row_delays_its_renewal_and_no_other(world: World) -> None:
    claims = await _claimed(world, 3)
    async with world.another() as operator, operator.transaction(), asyncio.timeout(5):
        await operator.execute(LOCK_CLAIM, [claims[1].recipient_id])
        answers = await ledger.renew(world.connection, claims, 45)
    assert [answers[each.key].verdict for each in claims] == [
        ClaimResult.RENEWED, ClaimResult.BUSY, ClaimResult.RENEWED,
    ]  # fmt: skip
    assert (await ledger.renew(world.connection, claims[1:2], 45))[claims[1].key].verdict is ClaimResult.RENEWED


async def test_a_locked_ledger_row_delays_its_settlement_and_no_other(world: World) -> None:
    claims = await _claimed(world, 3)
    settlements = [Settlement(each, "accepted", _event(EventKind.ACCEPTED, each, world.campaign)) for each in claims]
    async with world.another() as operator, operator.transaction(), asyncio.timeout(5):
        await operator.execute(LOCK_CLAIM, [claims[1].recipient_id])
        settled = await ledger.settle(world.connection, settlements)
    assert (settled.written, settled.busy) == (frozenset({claims[0].key, claims[2].key}), frozenset({claims[1].key}))
    again = await ledger.settle(world.connection, settlements)
    assert (again.written, again.busy) == (frozenset({claims[1].key}), frozenset())


async def test_a_locked_ledger_row_is_not_marked_and_is_published_again(world: World) -> None:
    claims = await _claimed(world, 2)
    await ledger.settle(world.connection, [Settlement(each, "accepted", "{}") for each in claims])
    outcomes = await ledger.unpublished(world.connection, 10, older_than_s=0)
    async with world.another() as operator, operator.transaction(), asyncio.timeout(5):
        await operator.execute(LOCK_CLAIM, [claims[0].recipient_id])
        await ledger.mark_published(world.connection, outcomes)
    left = await ledger.unpublished(world.connection, 10, older_than_s=0)
    assert [each.recipient_id for each in left] == [claims[0].recipient_id]


@pytest.mark.parametrize(
    ("code", "outcome"), [(131050, "rejected"), (131049, "rejected"), (131050, "unknown"), (None, "accepted")]
)
async def test_a_refusal_because_the_person_stopped_is_an_opt_out_of_the_platform(
    world: World, code: int | None, outcome: str
) -> None:
    """It goes to the outbox, in the transaction of the outcome, and once."""
    [claim] = await _claimed(world, 1)
    settlement = Settlement(claim, outcome, "{}", signals=Signals(code=code))
    for _ in range(2):
        await ledger.settle(world.connection, [settlement])
    person = await world.value("SELECT person FROM campaign_recipients WHERE id = %s", claim.recipient_id)
    is_stop = (code, outcome) == (STOPPED_CODE, "rejected")
    expected = [(person, Source.PLATFORM, SubscriptionKind.OPTED_OUT)] if is_stop else []
    found = [each.event for each in await subscriptions.unpublished(world.connection, 10)]
    assert [(each.person, each.source, each.kind) for each in found] == expected


async def test_a_claimed_message_is_not_posted_while_a_webhook_may_not_be_applied(world: World) -> None:
    """A claim may wait a minute for its permit, and meanwhile an opt-out may be among the webhooks."""
    await world.run("INSERT INTO webhook_progress (applied_through) VALUES (now())")
    first, second, third = await world.release_jobs(3)
    token = uuid4()
    assert await world.claim([first, second], token=token) == [ClaimResult.CLAIMED] * 2
    claims = [Claim(each.recipient_id, each.attempt, token) for each in (first, second)]
    renewed = await ledger.renew(world.connection, claims[:1], 45)
    assert renewed[claims[0].key].verdict is ClaimResult.RENEWED
    await world.run("UPDATE webhook_progress SET applied_through = now() - interval '61 seconds'")
    renewed = await ledger.renew(world.connection, claims[1:], 45)
    assert renewed[claims[1].key].verdict is ClaimResult.DEFERRED
    assert await world.claim([third]) == [ClaimResult.PAUSED], "nothing is written, and the job comes again"
    await world.run("UPDATE webhook_progress SET applied_through = now()")
    assert await world.claim([third]) == [ClaimResult.CLAIMED]
