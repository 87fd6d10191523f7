"""Breakers in Postgres: the same steps as the domain's, one probe at a time over all senders, and what resumes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.breakers import Breaker, Probe, ProbePauses, Scope, ScopeSignal, Signal, step
from domain.lifecycle import Action
from domain.signals import NEUTRAL, Signals
from schemas.events import EventKind, Failure, RecipientEvent, RetryClass
from schemas.jobs import SendJob
from tables import breakers, campaigns, ledger
from tables.database import Connection, connect
from tables.ledger import Claim, ClaimResult, Settlement
from tables.new_recipients import NewRecipient
from tests.support.boundaries import OPENINGS, PAUSES_OF_PROBES, PROBE_CASES, STEPPED_AT
from tests.support.world import FAST, NUMBER_ID, World

START = datetime(2026, 11, 26, tzinfo=UTC)
QUICK = ProbePauses(first_s=0.05, max_s=1.0)
TOKEN_GONE = Signals("nnnhg", 190, "code 190: access token expired")
NOT_ANSWERING = Signals("nnnnb", None, "timeout")
ACCEPTED = Signals("ggggg")


@pytest.fixture(autouse=True)
async def only_the_campaigns_of_the_test(world: World) -> None:
    await world.set_campaign_status("cancelled")


# ---------------------------------------------------------------------------------------------- the SQL is the domain's

STEP = """
    SELECT streak, foreign_streak, recent, opened_at, reason, code, needs_human, pause_s, probe_at, probe_recipient,
           probe_attempt, probe_until, closed_at
    FROM breaker_step(
        ROW('number', '1', %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, NULL, %s)::breakers,
        %s, %s, %s, %s, %s, %s, %s)
"""
signals = st.builds(
    ScopeSignal, st.sampled_from(Signal), st.none() | st.integers(0, 9), st.text(max_size=3), st.booleans()
)
states = st.builds(
    Breaker,
    streak=st.integers(0, 4),
    foreign=st.integers(0, 2),
    recent=st.integers(0, (1 << 20) - 1).filter(lambda bits: bits.bit_count() < 10),
    opened_at=st.none() | st.just(START),
    reason=st.none() | st.just("r"),
    code=st.none() | st.integers(0, 9),
    needs_human=st.booleans(),
    pause_s=st.sampled_from([0.0, 5.0, 40.0, 300.0]),
    probe_at=st.none() | st.just(START + timedelta(seconds=5)),
    probe=st.none() | st.just(Probe(UUID(int=1), 2, START + timedelta(seconds=45))),
    closed_at=st.none() | st.integers(-100, 0).map(lambda s: START + timedelta(seconds=s)),
).map(
    lambda b: replace(b, needs_human=False, probe=None, probe_at=None) if not b.is_open else replace(b, closed_at=None)
)


def _row(b: Breaker) -> list[Any]:
    probe = (b.probe.recipient_id, b.probe.attempt, b.probe.until) if b.probe else (None, None, None)
    return [
        b.streak, b.foreign, b.recent, b.opened_at, b.reason, b.code, b.needs_human, b.pause_s, b.probe_at, *probe,
        b.closed_at,
    ]  # fmt: skip


async def test_the_sql_steps_as_the_domain_does(world: World) -> None:
    pauses = ProbePauses()
    cases: list[tuple[Breaker, ScopeSignal, datetime]] = []

    @settings(max_examples=400, database=None, suppress_health_check=list(HealthCheck))
    @given(states, signals, st.integers(0, 200))
    def collect(breaker: Breaker, observed: ScopeSignal, after_s: int) -> None:
        cases.append((breaker, replace(observed, reason=observed.reason.replace("\0", "") if observed.reason else None),
                      START + timedelta(seconds=after_s)))  # fmt: skip

    collect()
    for breaker, observed, now in cases:
        values = [*_row(breaker), observed.signal.value, observed.code, observed.reason, observed.is_probe, now]
        [row] = await world.run(STEP, *values, pauses.first_s, pauses.max_s)
        assert list(row) == _row(step(breaker, observed, now, pauses)), (breaker, observed)


WALK = """
    WITH RECURSIVE walk (place, state) AS (
        SELECT 0, ROW('number', '1', 0, 0, 0, NULL, NULL, NULL, false, 0, NULL, NULL, NULL, NULL, NULL, NULL)::breakers
        UNION ALL
        SELECT place + 1, breaker_step(state, substr(%(signals)s, place + 1, 1), 7, 'why', false, %(now)s, 5, 300)
        FROM walk WHERE place < length(%(signals)s)
    )
    SELECT (state).opened_at IS NOT NULL FROM walk ORDER BY place DESC LIMIT 1
"""


async def test_the_sql_opens_where_the_domain_opens(world: World) -> None:
    for signals_of_scope, is_open in OPENINGS:
        cursor = await world.connection.execute(WALK, {"signals": signals_of_scope, "now": START})
        assert await cursor.fetchone() == (is_open,), signals_of_scope


async def test_the_sql_pauses_where_the_domain_pauses(world: World) -> None:
    pauses = ProbePauses()
    for breaker, observed, pause_s in PAUSES_OF_PROBES:
        values = [*_row(breaker), observed.signal.value, observed.code, observed.reason, observed.is_probe]
        [row] = await world.run(STEP, *values, STEPPED_AT, pauses.first_s, pauses.max_s)
        assert row[7] == pause_s, (breaker, observed)


async def test_the_sql_lets_through_what_the_domain_lets_through(world: World) -> None:
    campaign = await world.start_campaign(2)
    [probe, other] = (await world.release()).jobs
    refusal = "SELECT refusal = 'breaker_open' IS TRUE FROM claim_refusal(%s, 1::smallint, now() + interval '1 hour')"
    for case in PROBE_CASES:
        breaker = case.breaker(datetime.now(UTC))
        await world.run("DELETE FROM breakers")
        await world.run(
            "INSERT INTO breakers (scope, key, opened_at, probe_at, probe_recipient, probe_attempt, probe_until)"
            " VALUES ('number', %s, %s, %s, %s, %s, %s)",
            NUMBER_ID, breaker.opened_at, breaker.probe_at, breaker.probe and probe.recipient_id,
            breaker.probe and breaker.probe.attempt, breaker.probe and breaker.probe.until,
        )  # fmt: skip
        released = await world.run(
            "SELECT b.is_held, b.may_probe FROM marketing_campaigns AS c,"
            " campaign_breakers(c.phone_number_id, c.template_name, c.language_code) AS b WHERE c.id = %s", campaign,
        )  # fmt: skip
        assert released == [(case.is_open, case.permits)], case
        refused = [(await world.run(refusal, each.recipient_id))[0][0] for each in (other, probe)]
        assert refused == [case.holds_others, case.holds_probe], case
        [(verdict, _)] = (await claimed(world, [other])).values()
        expected = ClaimResult.PROBE if case.permits else ClaimResult.DEFERRED if case.is_open else ClaimResult.CLAIMED
        assert verdict is expected, case
        await world.run("DELETE FROM send_ledger")


# ------------------------------------------------------------------------------------------------------------- feeding


async def claimed(world: World, jobs: list[SendJob]) -> dict[SendJob, tuple[ClaimResult, Claim]]:
    token = uuid4()
    answers = await ledger.claim(world.connection, token, jobs, 45)
    return {
        job: (answers[job.recipient_id, job.attempt].verdict, Claim(job.recipient_id, job.attempt, token))
        for job in jobs
    }


async def settle(
    world: World, claim: Claim, kind: EventKind, signals: Signals, connection: Connection | None = None
) -> None:
    now = datetime.now(UTC)
    failure = Failure(code=132000, reason="no", retry_class=RetryClass.NEVER, backoff_s=0)
    more: dict[EventKind, dict[str, Any]] = {
        EventKind.DEFERRED: {"not_before": now},
        EventKind.REJECTED: {"failure": failure},
    }
    event = RecipientEvent(kind=kind, recipient_id=claim.recipient_id, attempt=claim.attempt, occurred_at=now,
                           received_at=now, **more.get(kind, {}))  # fmt: skip
    written = await ledger.settle(
        connection or world.connection, [Settlement(claim, kind.value, event.model_dump_json(), None, signals)], QUICK
    )
    assert written.written == {claim.key}


async def spend(world: World, jobs: list[SendJob], signals: Signals, kind: EventKind = EventKind.UNKNOWN) -> None:
    for verdict, claim in (await claimed(world, jobs)).values():
        assert verdict in (ClaimResult.CLAIMED, ClaimResult.PROBE)
        await settle(world, claim, kind, signals)


async def open_scopes(world: World) -> list[tuple[Scope, str, bool]]:
    return [(b.scope, b.key, b.needs_human) for b in await breakers.known(world.connection) if b.opened_at is not None]


async def test_good_outcomes_leave_no_row(world: World) -> None:
    await world.start_campaign(5)
    jobs = list((await world.release()).jobs)
    await spend(world, jobs[:2], NOT_ANSWERING)
    assert [b.streak for b in await breakers.known(world.connection)] == [2]
    await spend(world, jobs[2:3], ACCEPTED, EventKind.ACCEPTED)
    assert [b.streak for b in await breakers.known(world.connection)] == [0]
    for job in jobs[3:]:
        await spend(world, [job], ACCEPTED, EventKind.ACCEPTED)
    assert [b.recent_bad for b in await breakers.known(world.connection)] == [2]


async def test_a_wrong_token_holds_claims_and_releases_at_once_and_pauses_the_campaign(world: World) -> None:
    campaign = await world.start_campaign(10)
    first, *rest = (await world.release()).jobs
    await spend(world, [first], TOKEN_GONE, EventKind.DEFERRED)
    assert await open_scopes(world) == [(Scope.ACCOUNT, "", True)]
    verdicts = {verdict for verdict, _ in (await claimed(world, rest)).values()}
    assert verdicts == {ClaimResult.DEFERRED}
    await world.import_recipients(campaign, 3)
    assert (await world.release()).jobs == (), "nothing is released while a human is needed"
    assert await breakers.pause_held(world.connection, 86_400) == [
        (campaign, "account stopped: code 190: access token expired")
    ]
    assert (await campaigns.read(world.connection, campaign)).pause_reason is not None
    assert await world.budget_used(campaign) == 0, "what was not sent gives its budget back"
    changes = [(each.change, each.code) for each in await breakers.unpublished_changes(world.connection, 10)]
    assert changes == [("opened", 190), ("campaign_paused", 190)]


async def test_after_a_resume_one_probe_goes_out_and_closes_it(world: World) -> None:
    campaign = await world.start_campaign(10)
    [job, *_] = (await world.release()).jobs
    await spend(world, [job], TOKEN_GONE, EventKind.DEFERRED)
    await breakers.pause_held(world.connection, 86_400)
    await world.act(campaign, Action.RESUME)
    await world.import_recipients(campaign, 5)
    released = (await world.release()).jobs
    assert len(released) == 1
    assert (await world.release()).jobs == ()
    [(verdict, claim)] = (await claimed(world, list(released))).values()
    assert verdict is ClaimResult.PROBE
    await settle(world, claim, EventKind.ACCEPTED, ACCEPTED)
    assert await open_scopes(world) == []
    assert [each.change for each in await breakers.unpublished_changes(world.connection, 10)] == [
        "opened", "campaign_paused", "reset", "closed",
    ]  # fmt: skip
    assert (await world.release()).jobs != ()


async def test_the_endpoint_opens_after_five_and_probes_by_itself(world: World) -> None:
    await world.start_campaign(12)
    jobs = list((await world.release()).jobs)
    await spend(world, jobs[:4], NOT_ANSWERING)
    assert await open_scopes(world) == []
    await spend(world, jobs[4:5], NOT_ANSWERING)
    assert await open_scopes(world) == [(Scope.ENDPOINT, "", False)]
    assert (await ledger.claim(world.connection, uuid4(), jobs[5:6], 45))[jobs[5].recipient_id, 1].verdict is (
        ClaimResult.DEFERRED
    )
    await asyncio.sleep(QUICK.first_s)
    answers = await claimed(world, jobs[6:])
    verdicts = [verdict for verdict, _ in answers.values()]
    assert verdicts.count(ClaimResult.PROBE) == 1
    assert verdicts.count(ClaimResult.DEFERRED) == 5


async def test_two_senders_get_one_probe(world: World) -> None:
    await world.start_campaign(30)
    jobs = list((await world.release()).jobs)
    await spend(world, jobs[:5], NOT_ANSWERING)
    await asyncio.sleep(QUICK.first_s)

    async def claim(part: list[SendJob], connection: Connection) -> list[ClaimResult]:
        answers = await ledger.claim(connection, uuid4(), part, 45)
        return [answer.verdict for answer in answers.values()]

    both = await asyncio.gather(claim(jobs[5:17], world.connection), claim(jobs[17:], await world.releaser()))
    assert sum(verdicts.count(ClaimResult.PROBE) for verdicts in both) == 1
    assert all(verdict in (ClaimResult.PROBE, ClaimResult.DEFERRED) for verdicts in both for verdict in verdicts)


async def test_a_claim_that_waits_for_the_probe_of_another_is_deferred(world: World) -> None:
    await world.start_campaign(7)
    jobs = list((await world.release()).jobs)
    await spend(world, jobs[:5], NOT_ANSWERING)
    await asyncio.sleep(QUICK.first_s)
    async with world.another("test-sender") as other:
        async with world.connection.transaction():
            assert [verdict for verdict, _ in (await claimed(world, jobs[5:6])).values()] == [ClaimResult.PROBE]
            claiming = asyncio.create_task(ledger.claim(other, uuid4(), jobs[6:], 45))
            await world.wait_for_blocked("test-sender")
        assert [answer.verdict for answer in (await claiming).values()] == [ClaimResult.DEFERRED]


async def test_where_a_human_is_needed_no_probe_goes_out_at_any_time(world: World) -> None:
    campaign = await world.start_campaign(3)
    first, *rest = (await world.release()).jobs
    await spend(world, [first], TOKEN_GONE, EventKind.DEFERRED)
    await world.run("UPDATE breakers SET probe_at = now() - interval '1 day'")
    assert {verdict for verdict, _ in (await claimed(world, rest)).values()} == {ClaimResult.DEFERRED}
    await world.import_recipients(campaign, 3)
    assert (await world.release()).jobs == ()


async def test_the_scheduler_releases_one_probe_at_its_time(world: World) -> None:
    """The search for campaigns judged the breakers earlier. This decision holds their locks."""
    await world.start_campaign(5)
    await spend(world, list((await world.release()).jobs), NOT_ANSWERING)
    for state, permits in (
        ("probe_at = now() + interval '1 hour'", False),
        ("probe_at = now() - interval '1 hour', needs_human = true", False),
        ("needs_human = false, probe_until = now() + interval '1 hour'", False),
        ("probe_until = now() - interval '1 second'", True),
        ("pause_s = pause_s", False),
        ("probe_released_at = now() - interval '6 seconds'", True),
    ):
        await world.run(f"UPDATE breakers SET {state}")
        taken = await breakers.take_release_probe(world.connection, NUMBER_ID, "your_template", "en_US")
        assert taken == permits, state


async def test_a_probe_that_fails_doubles_the_pause_and_one_that_dies_frees_its_place_after_the_lease(
    world: World,
) -> None:
    await world.start_campaign(10)
    jobs = list((await world.release()).jobs)
    await spend(world, jobs[:5], NOT_ANSWERING)
    await asyncio.sleep(QUICK.first_s)
    await spend(world, jobs[5:6], NOT_ANSWERING)
    [pause_s] = [row[0] for row in await world.run("SELECT pause_s FROM breakers")]
    assert pause_s == 2 * QUICK.first_s
    await asyncio.sleep(pause_s)
    dead = await ledger.claim(world.connection, uuid4(), jobs[6:7], 0.05)
    assert [answer.verdict for answer in dead.values()] == [ClaimResult.PROBE]
    await asyncio.sleep(0.06)
    late = await ledger.claim(world.connection, uuid4(), jobs[7:8], 45)
    assert [answer.verdict for answer in late.values()] == [ClaimResult.PROBE]


async def test_a_renewal_before_a_post_obeys_and_the_probe_keeps_its_place(world: World) -> None:
    await world.start_campaign(10)
    jobs = list((await world.release()).jobs)
    mine = await claimed(world, jobs[:6])
    claims = [claim for _, claim in mine.values()]
    for claim in claims[:5]:
        await settle(world, claim, EventKind.UNKNOWN, NOT_ANSWERING)
    answers = await ledger.renew(world.connection, claims[5:], 45)
    assert [answer.verdict for answer in answers.values()] == [ClaimResult.DEFERRED]
    await asyncio.sleep(QUICK.first_s)
    [(verdict, probe)] = (await claimed(world, jobs[6:7])).values()
    assert verdict is ClaimResult.PROBE
    await world.run("UPDATE breakers SET probe_until = now() + interval '1 second'")
    assert (await ledger.renew(world.connection, [probe], 45))[probe.key].verdict is ClaimResult.RENEWED
    assert await world.run("SELECT probe_until > now() + interval '40 seconds' FROM breakers") == [(True,)]


async def test_one_failing_template_or_number_harms_only_itself(world: World) -> None:
    bad = await world.start_campaign(3, number="111")
    good = await world.start_campaign(3, number="222")
    jobs = {job.recipient_id: job for job in (await world.release()).jobs}
    [one, *_] = [job for job in jobs.values() if job.campaign_id == bad]
    await spend(world, [one], Signals("nnhng", 33, "code 33"), EventKind.DEFERRED)
    assert await open_scopes(world) == [(Scope.NUMBER, "111", True)]
    others = [job for job in jobs.values() if job.campaign_id == good]
    assert {verdict for verdict, _ in (await claimed(world, others)).values()} == {ClaimResult.CLAIMED}
    assert [campaign for campaign, _ in await breakers.pause_held(world.connection, 86_400)] == [bad]


async def test_the_first_ten_refusals_with_one_code_open_the_template(world: World) -> None:
    refused = Signals("nrngg", 132000, "code 132000")
    await world.start_campaign(12)
    jobs = list((await world.release()).jobs)
    await spend(world, jobs[:9], refused, EventKind.REJECTED)
    assert await open_scopes(world) == []
    await spend(world, jobs[9:10], refused, EventKind.REJECTED)
    assert await open_scopes(world) == [(Scope.TEMPLATE, "your_template/en_US", False)]


async def test_a_template_that_was_accepted_once_is_not_opened_by_bad_rows(world: World) -> None:
    refused = Signals("nrngg", 132000, "code 132000")
    campaign = await world.start_campaign(14)
    jobs = list((await world.release()).jobs)
    await world.run(
        "UPDATE campaign_recipients SET accepted_attempts = 2, sent_at = now() WHERE id = %s", jobs[0].recipient_id
    )
    await spend(world, jobs[1:12], refused, EventKind.REJECTED)
    assert await open_scopes(world) == []
    assert await world.run("SELECT campaign_id, is_over FROM template_trials") == [(campaign, True)]


async def test_a_settlement_that_is_not_written_feeds_nothing(world: World) -> None:
    await world.start_campaign(1)
    [job] = (await world.release()).jobs
    [(_, claim)] = (await claimed(world, [job])).values()
    await settle(world, claim, EventKind.ACCEPTED, ACCEPTED)
    again = Settlement(claim, "unknown", "{}", None, TOKEN_GONE)
    assert (await ledger.settle(world.connection, [again])).written == set()
    assert await breakers.known(world.connection) == []


async def test_a_settlement_that_is_behind_itself_feeds_once(world: World) -> None:
    """The sender lost the answer to a settlement, and settles again while the first one still commits."""
    await world.start_campaign(1)
    [job] = (await world.release()).jobs
    [(_, claim)] = (await claimed(world, [job])).values()
    again = Settlement(claim, "unknown", "{}", None, NOT_ANSWERING)
    async with world.another("test-sender") as other:
        async with world.connection.transaction():
            await settle(world, claim, EventKind.UNKNOWN, NOT_ANSWERING)
            assert (await ledger.settle(other, [again], QUICK)).busy == {claim.key}
        settled = await ledger.settle(other, [again], QUICK)
    assert (settled.written, settled.busy) == (frozenset(), frozenset())
    assert [b.streak for b in await breakers.known(world.connection)] == [1]


async def test_a_breaker_that_is_open_for_a_day_pauses_its_campaigns(world: World) -> None:
    campaign = await world.start_campaign(6)
    await spend(world, list((await world.release()).jobs)[:5], NOT_ANSWERING)
    assert await breakers.pause_held(world.connection, 86_400) == []
    await world.run("UPDATE breakers SET opened_at = now() - interval '25 hours'")
    assert [each for each, _ in await breakers.pause_held(world.connection, 86_400)] == [campaign]
    await world.act(campaign, Action.RESUME)
    assert await breakers.pause_held(world.connection, 86_400) == [], "the resume starts the time again"


async def test_a_locked_campaign_does_not_delay_the_pause_of_the_others(world: World) -> None:
    locked, other = await world.start_campaign(1), await world.start_campaign(1)
    [job, *_] = (await world.release()).jobs
    await spend(world, [job], TOKEN_GONE, EventKind.DEFERRED)
    async with world.another() as other_connection, other_connection.transaction():
        await other_connection.execute("SELECT FROM marketing_campaigns WHERE id = %s FOR UPDATE", [locked])
        assert [each for each, _ in await breakers.pause_held(world.connection, 86_400)] == [other]
    assert [each for each, _ in await breakers.pause_held(world.connection, 86_400)] == [locked]


async def test_after_the_closing_the_rate_grows_from_a_twentieth(world: World) -> None:
    await world.start_campaign(900)
    await breakers.open_by_operator(world.connection, Scope.NUMBER, NUMBER_ID, "test")
    assert await breakers.close(world.connection, Scope.NUMBER, NUMBER_ID)
    assert not await breakers.close(world.connection, Scope.NUMBER, NUMBER_ID)
    assert 1 <= len((await world.release(FAST)).jobs) <= FAST.mps * 0.06
    await world.run("UPDATE breakers SET closed_at = now() - interval '61 seconds'")
    await world.run("UPDATE number_rates SET refilled_at = now() - interval '1 second'")
    assert len((await world.release(FAST)).jobs) > 800
    await breakers.forget_recovered(world.connection, 10)
    assert await breakers.known(world.connection) == []


async def test_what_is_over_is_forgotten_in_bounded_pieces(world: World) -> None:
    """Old changes and recovered breakers go, at most a limit of each in one statement. A locked breaker waits."""
    await world.run(
        "INSERT INTO breaker_changes (change, scope, key, published_at)"
        " SELECT 'closed', 'number', n::text, CASE WHEN n < 6 THEN now() - interval '31 days' WHEN n = 6 THEN now() END"
        " FROM generate_series(1, 7) AS n"
    )
    await world.run("INSERT INTO breakers (scope, key) SELECT 'number', n::text FROM generate_series(1, 4) AS n")
    async with await connect(world.url, application_name="operator") as operator, operator.transaction():
        await operator.execute("SELECT FROM breakers WHERE key = '1' FOR UPDATE")
        left = []
        for _ in range(3):
            await breakers.forget_recovered(world.connection, 2)
            left.append((await world.count("breaker_changes"), await world.count("breakers")))
    assert left == [(5, 2), (3, 1), (2, 1)]
    await breakers.forget_recovered(world.connection, 2)
    assert (await world.count("breaker_changes"), await world.count("breakers")) == (2, 0)


async def test_an_operator_opens_and_closes(world: World) -> None:
    await world.start_campaign(2)
    await breakers.open_by_operator(world.connection, Scope.ENDPOINT, "", "maintenance")
    assert (await world.release()).jobs == ()
    assert (await breakers.count_open(world.connection))[Scope.ENDPOINT] == 1
    await breakers.close(world.connection, Scope.ENDPOINT, "")
    assert (await world.release()).jobs != ()


async def test_a_pair_holds_one_person_of_one_number_until_the_next_probe(world: World) -> None:
    await world.start_campaign(2)
    busy, other = (await world.release()).jobs
    await breakers.open_by_operator(world.connection, Scope.RECIPIENT, f"{NUMBER_ID}/{busy.phone_number}", "test")
    await world.run("UPDATE breakers SET needs_human = false, probe_at = now() + interval '9 seconds'")
    answers = await ledger.claim(world.connection, uuid4(), [busy, other], 45)
    assert answers[other.recipient_id, 1].verdict is ClaimResult.CLAIMED
    held = answers[busy.recipient_id, 1]
    assert held.verdict is ClaimResult.DEFERRED
    event = RecipientEvent.model_validate_json(held.event or "")
    assert event.not_before is not None
    assert 8 < (event.not_before - event.occurred_at).total_seconds() <= 9


async def test_two_spellings_of_a_person_share_the_breaker_of_the_pair(world: World) -> None:
    """Mexico: WhatsApp writes 521 where lists write 52."""
    for number in ("5215512345678", "525512345678"):
        campaign = await world.add_campaign()
        await campaigns.add_recipients(world.connection, campaign, [NewRecipient(number)])
    first, second = (await world.release()).jobs
    assert {first.phone_number, second.phone_number} == {"5215512345678", "525512345678"}
    await spend(world, [first], Signals("onnng", 131056, "code 131056"), EventKind.DEFERRED)
    assert await open_scopes(world) == [(Scope.RECIPIENT, f"{NUMBER_ID}/525512345678", False)]
    [(verdict, _)] = (await claimed(world, [second])).values()
    assert verdict is ClaimResult.DEFERRED


async def test_a_locked_recipient_does_not_become_the_probe(world: World) -> None:
    """A probe that is not claimed would keep all others back for the time of a lease."""
    await world.start_campaign(2)
    jobs = list((await world.release()).jobs)
    await breakers.open_by_operator(world.connection, Scope.ENDPOINT, "", "test")
    await world.run("UPDATE breakers SET needs_human = false, probe_at = now()")
    first, second = sorted(jobs, key=lambda job: job.recipient_id)
    async with world.another() as other, other.transaction(), asyncio.timeout(5):
        await other.execute("SELECT FROM campaign_recipients WHERE id = %s FOR UPDATE", [first.recipient_id])
        assert await world.claim([first, second]) == [ClaimResult.BUSY, ClaimResult.PROBE]


async def test_a_deferral_says_nothing_and_frees_the_probe(world: World) -> None:
    await world.start_campaign(8)
    jobs = list((await world.release()).jobs)
    await spend(world, jobs[:5], NOT_ANSWERING)
    await asyncio.sleep(QUICK.first_s)
    await spend(world, jobs[5:6], Signals(NEUTRAL), EventKind.DEFERRED)
    assert await world.run("SELECT probe_recipient FROM breakers") == [(None,)]
