"""Releasing on a real Postgres: within every budget, nobody twice, and nobody lost."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest

from domain.lifecycle import Action
from schemas.events import EventKind, RecipientEvent
from tables import ledger, release_pages, releases, stats, subscriptions
from tables.database import Connection
from tables.publications import Patience, find_unclaimed
from tables.release_memory import AFRESH_S, UNCLAIMED_KNOWN_S, ReleaseMemory
from tables.releases import Rates
from tests.support.world import FAST, NUMBER_ID, World


async def test_a_released_job_is_complete(world: World) -> None:
    campaign = await world.start_campaign(1, zone="America/Sao_Paulo")
    await world.run("UPDATE marketing_campaigns SET endpoint = 'marketing_messages' WHERE id = %s", campaign)
    (job,) = (await world.release()).jobs
    assert (job.campaign_id, job.attempt, job.phone_number) == (campaign, 1, "15550000000")
    assert (job.template_name, job.language_code, job.phone_number_id) == ("your_template", "en_US", NUMBER_ID)
    assert job.endpoint == "marketing_messages"
    assert await find_unclaimed(world.connection, {}, Patience(grace_s=-1), 10) == [job], "it is published as it was"
    assert job.send_before.hour == 3, "the end of a day in Sao Paulo"
    assert timedelta() < job.send_before - datetime.now(UTC) <= timedelta(days=1)
    assert await world.statuses(campaign) == {"queued": 1}
    assert (await world.release()).jobs == ()


async def test_a_step_takes_no_more_than_a_second_of_the_rate(world: World) -> None:
    await world.start_campaign(100)
    step = await world.release(Rates(mps=20, cap_s=10))
    assert (len(step.jobs), step.is_more) == (20, True)
    assert len((await world.release(Rates(mps=20, cap_s=10))).jobs) < 20


async def test_the_cap_counts_active_campaigns_only(world: World) -> None:
    paused = await world.start_campaign(50)
    rates = Rates(mps=1000, cap_s=0.01)
    assert len((await world.release(rates)).jobs) == 10
    assert len((await world.release(rates)).jobs) == 0, "ten wait unclaimed"
    await world.act(paused, Action.PAUSE)
    await world.start_campaign(50)
    assert len((await world.release(rates)).jobs) == 10, "those of a paused campaign hold nobody up"


async def test_steps_that_share_a_count_keep_the_cap_and_see_claims_with_the_next_count(world: World) -> None:
    await world.start_campaign(50)
    now, rates = [0.0], Rates(mps=1000, cap_s=0.01)
    memory = ReleaseMemory(lambda: now[0])
    step = await releases.release_step(await world.releaser(), rates, memory)
    await world.claim(list(step.jobs[:4]))
    again = await releases.release_step(await world.releaser(), rates, memory)
    now[0] += UNCLAIMED_KNOWN_S
    counted = await releases.release_step(await world.releaser(), rates, memory)
    assert (len(step.jobs), len(again.jobs), len(counted.jobs)) == (10, 0, 4)


async def test_no_plan_finds_a_busy_pair_by_the_recipients_of_a_campaign(world: World) -> None:
    """A plan of stale statistics did, in 10 ms for each release. Without nested loops every plain join does."""
    await world.start_campaign(500)
    await world.release(Rates(mps=500, cap_s=10))
    async with world.another(enable_nestloop="off") as connection, connection.transaction():
        busy = "SELECT is_pair_busy('15550000499', %s, 6, 600)"
        assert await (await connection.execute(busy, [NUMBER_ID])).fetchone() == (True,)
        read = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'campaign_recipients'"
        assert await (await connection.execute(read)).fetchone() == (1,)


async def test_no_plan_judges_a_human_with_links_by_the_recipients_of_a_campaign(world: World) -> None:
    """The plans of a new campaign did: 2 ms for each claim. Without nested loops every plain join does."""
    campaign = await world.start_campaign(500)
    await world.release(Rates(mps=500, cap_s=10))
    person = "15550000499"
    await world.run("INSERT INTO person_links VALUES (%s, 'user:US.1'), ('user:US.1', %s)", person, person)
    recipient = await world.value("SELECT id FROM campaign_recipients WHERE phone_number = %s", person)
    async with world.another(enable_nestloop="off") as connection, connection.transaction():
        judged = """
            SELECT is_unsubscribed(%(person)s), twin_refusal(%(campaign)s, %(recipient)s, %(person)s),
                   is_excluded(%(person)s, ARRAY[%(campaign)s], 'all'),
                   cap_allows_at(%(person)s, %(other)s, 1, 1) IS NOT NULL
        """
        values = {"campaign": campaign, "recipient": recipient, "person": person, "other": uuid4()}
        cursor = await connection.execute(judged, values)
        assert await cursor.fetchone() == (False, None, True, True)
        read = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'campaign_recipients'"
        assert await (await connection.execute(read)).fetchone() == (3,)


async def test_campaigns_of_a_number_share_it(world: World) -> None:
    first, second = await world.start_campaign(100), await world.start_campaign(100)
    jobs = (await world.release(Rates(mps=20, cap_s=10))).jobs
    assert [sum(job.campaign_id == each for job in jobs) for each in (first, second)] == [10, 10]


async def test_numbers_do_not_share(world: World) -> None:
    await world.start_campaign(100, number="1"), await world.start_campaign(100, number="2")
    assert len((await world.release(Rates(mps=20, cap_s=10))).jobs) == 40


async def test_a_day_takes_its_limit_and_what_it_could_not_take_moves_on(world: World) -> None:
    campaign = await world.start_campaign(10, limit=4)
    # As if yesterday had taken nobody: all are due today.
    await world.run("UPDATE campaign_recipients SET scheduled_send_date = now() - interval '1 day'")
    assert len((await world.release()).jobs) == 4
    assert (await world.release()).jobs == ()
    assert await world.statuses(campaign) == {"queued": 4, "pending": 6}
    await world.run("UPDATE campaign_days SET day = day - 30")
    assert len((await world.release()).jobs) == 4, "the next day"


async def test_two_concurrent_releasers_release_no_recipient_twice_and_keep_the_limit(world: World) -> None:
    campaign = await world.start_campaign(200, limit=150)
    await world.run("UPDATE campaign_recipients SET scheduled_send_date = now()")
    async with world.another("second") as second:
        rates = Rates(mps=100, cap_s=100)

        async def work(connection: Connection) -> list[object]:
            released: list[object] = []
            while len(released) < 150 and await world.budget_used(campaign) < 150:
                step = await releases.release_step(connection, rates)
                released += [(job.recipient_id, job.attempt) for job in step.jobs]
            return released

        both = await asyncio.gather(work(await world.releaser()), work(second))
    assert len(both[0]) + len(both[1]) == 150
    assert len({*both[0], *both[1]}) == 150
    assert await world.statuses(campaign) == {"queued": 150, "pending": 50}


async def test_a_row_that_a_sink_holds_is_neither_waited_for_nor_released_by_what_it_was(world: World) -> None:
    """The row gets a newer attempt. A releaser that used the old row would send to the recipient again."""
    campaign = await world.start_campaign(3)
    async with world.another("sink") as sink, sink.transaction():
        await sink.execute(
            "UPDATE campaign_recipients SET attempt = 2, unknown_attempt = 2 WHERE phone_number = '15550000000'"
        )
        step = await asyncio.wait_for(world.release(), 10)
        assert {job.phone_number for job in step.jobs} == {"15550000001", "15550000002"}
    assert (await world.release()).jobs == ()
    assert await world.statuses(campaign) == {"queued": 2, "unknown": 1}


@pytest.mark.parametrize(
    "change",
    [
        "scheduled_send_date = now() + %s * interval '1 minute'",
        "attempt = 1, deferred_attempt = 1, deferred_until = now() + %s * interval '1 minute'",
    ],
    ids=["first attempt", "later attempt"],
)
async def test_a_row_that_is_not_due_does_not_take_the_place_of_a_locked_one(world: World, change: str) -> None:
    await world.start_campaign(2)
    for number, minutes in (("15550000000", -1), ("15550000001", 60)):
        await world.run(f"UPDATE campaign_recipients SET {change} WHERE phone_number = '{number}'", minutes)
    async with world.another("sink") as sink, sink.transaction():
        await sink.execute("SELECT FROM campaign_recipients WHERE phone_number = '15550000000' FOR UPDATE")
        assert (await world.release()).jobs == ()
    assert [job.phone_number for job in (await world.release()).jobs] == ["15550000000"]


async def test_an_opted_out_person_is_skipped_by_an_attempt_of_its_own_without_budget(world: World) -> None:
    campaign = await world.start_campaign(2, limit=2)
    await subscriptions.state_by_operator(world.connection, "15550000001", subscribed=False)
    step = await world.release()
    assert (len(step.jobs), step.skipped) == (1, 1)
    assert await world.budget_used(campaign) == 1
    rows = await world.run(
        "SELECT attempt, skipped_attempt, failure_reason FROM campaign_recipients WHERE status = 'skipped'"
    )
    assert rows == [(1, 1, "opted_out")]
    (waiting,) = await ledger.unpublished(world.connection, 10, 0)
    event = RecipientEvent.model_validate_json(waiting.event)
    assert (event.kind, event.attempt, event.skip_reason) == (EventKind.SKIPPED, 1, "opted_out")


async def test_an_opt_out_in_another_spelling_holds(world: World) -> None:
    campaign = await world.start_campaign(3)
    await world.run("UPDATE campaign_recipients SET phone_number = '5215500001234' WHERE phone_number LIKE '%%0'")
    await world.run(
        "UPDATE campaign_recipients SET phone_number = '5511900000001' WHERE phone_number LIKE '%%50000001'"
    )
    for written in ("525500001234", "551100000001"):
        await subscriptions.state_by_operator(world.connection, written, subscribed=False)
    assert [job.phone_number for job in (await world.release()).jobs] == ["15550000002"]
    assert await world.statuses(campaign) == {"skipped": 2, "queued": 1}


async def test_a_row_that_repeats_a_person_is_skipped_with_the_reason(world: World) -> None:
    campaign = await world.start_campaign(2)
    await world.run("UPDATE campaign_recipients SET repetition = 1 WHERE phone_number = '15550000001'")
    step = await world.release()
    assert ([job.phone_number for job in step.jobs], step.skipped) == (["15550000000"], 1)
    rows = await world.run("SELECT phone_number, failure_reason FROM campaign_recipients WHERE status = 'skipped'")
    assert rows == [("15550000001", "same_person")]
    assert await stats.recount(world.connection, campaign) == []


@pytest.mark.parametrize(
    "answer",
    [
        "deferred_attempt = 1, deferred_until = now()",
        "failed_attempts = 2, failed_at = now(), failure_class = 'backoff', failure_backoff_s = 0",
        "unknown_attempt = 1, retry_attempt = 1",
    ],
)
async def test_a_skip_is_not_hidden_under_the_attempt_before(world: World, answer: str) -> None:
    campaign = await world.start_campaign(1)
    await world.release()
    await world.run(f"UPDATE campaign_recipients SET {answer}")
    await subscriptions.state_by_operator(world.connection, "15550000000", subscribed=False)
    assert (await world.release()).skipped == 1
    assert (await world.release()).skipped == 0
    assert await world.statuses(campaign) == {"skipped": 1}


async def test_a_failed_row_is_released_again_when_its_backoff_is_over(world: World) -> None:
    await world.start_campaign(1)
    await world.release()
    await world.run(
        "UPDATE campaign_recipients SET failed_attempts = 2, failed_attempt = 1, failed_at = now(), failure_code = 1,"
        " failure_text = 'x', failure_class = 'backoff', failure_backoff_s = 600"
    )
    assert (await world.release()).jobs == ()
    await world.run("UPDATE campaign_recipients SET failed_at = now() - interval '601 seconds'")
    assert [job.attempt for job in (await world.release()).jobs] == [2]


async def test_the_62nd_attempt_is_the_last(world: World) -> None:
    campaign = await world.start_campaign(1)
    await world.run("UPDATE campaign_recipients SET attempt = 62, expired_attempt = 62, expired_until = now()")
    step = await world.release()
    assert (step.jobs, step.exhausted) == ((), 1)
    rows = await world.run("SELECT status, failure_reason, next_attempt_at, attempt FROM campaign_recipients")
    assert rows == [("failed", "attempts_exhausted", None, 62)]
    assert await stats.recount(world.connection, campaign) == []


async def test_parameters_that_no_job_can_carry_harm_their_row_only(world: World) -> None:
    campaign = await world.start_campaign(3)
    await world.run("""UPDATE campaign_recipients SET template_parameters = '"text"' WHERE phone_number LIKE '%%0'""")
    await world.run(
        "UPDATE campaign_recipients SET template_parameters = jsonb_build_array(repeat('x', 300000))"
        " WHERE phone_number LIKE '%%1'"
    )
    step = await world.release()
    assert (len(step.jobs), step.skipped) == (1, 2)
    rows = await world.run("SELECT DISTINCT failure_reason FROM campaign_recipients WHERE status = 'skipped'")
    assert rows == [("template_parameters_invalid",)]
    assert await world.statuses(campaign) == {"queued": 1, "skipped": 2}


async def test_a_resolved_release_is_deleted_and_its_budget_returned(world: World) -> None:
    campaign = await world.start_campaign(2)
    await world.release()
    await world.run(
        "UPDATE campaign_recipients SET sent_at = now(), delivered_at = now(), accepted_attempts = 2"
        " WHERE phone_number = '15550000000'"
    )
    assert (await release_pages.forget_answered(await world.releaser(), 0, 10)).deleted == 1
    assert await world.budget_used(campaign) == 1
    assert (await release_pages.forget_answered(await world.releaser(), 0, 10)).deleted == 0


async def test_a_claimed_release_that_is_forgotten_returns_no_budget(world: World) -> None:
    campaign = await world.start_campaign(1)
    await world.release()
    await world.run(
        "INSERT INTO send_ledger (recipient_id, attempt, campaign_id, budget_day, send_before, token, lease_until)"
        " SELECT recipient_id, attempt, campaign_id, budget_day, send_before, gen_random_uuid(), now() FROM releases"
    )
    assert (await release_pages.forget_answered(await world.releaser(), 0, 10)).deleted == 1
    assert await world.budget_used(campaign) == 1


async def test_no_campaign_of_twenty_starves_in_small_steps(world: World) -> None:
    campaigns = [await world.start_campaign(50) for _ in range(20)]
    memory, released = ReleaseMemory(), Counter[object]()
    for _ in range(10):
        await world.run("UPDATE number_rates SET tokens = 0, refilled_at = clock_timestamp() - interval '0.1 seconds'")
        step = await releases.release_step(await world.releaser(), Rates(mps=80, cap_s=10), memory)
        released.update(job.campaign_id for job in step.jobs)
    assert min(released[each] for each in campaigns) >= max(released.values()) - 1 >= 3


async def test_retries_do_not_queue_behind_recipients_without_an_attempt(world: World) -> None:
    campaign = await world.start_campaign(300)
    await world.run(
        "UPDATE campaign_recipients SET attempt = 1, failed_attempts = 2, failed_attempt = 1, failure_backoff_s = 1,"
        " failed_at = now() - interval '2 seconds', failure_class = 'backoff', failure_text = 'x'"
        " WHERE campaign_id = %s AND phone_number::bigint %% 3 = 0",
        campaign,
    )
    await world.run("UPDATE campaign_recipients SET scheduled_send_date = now() - interval '1 day'")
    jobs = (await world.release(Rates(mps=50, cap_s=10))).jobs
    assert Counter(job.attempt for job in jobs) == {1: 40, 2: 10}


async def test_rows_that_become_due_behind_the_search_are_found_later(world: World) -> None:
    await world.start_campaign(4)
    await world.run("UPDATE campaign_recipients SET scheduled_send_date = now() - interval '1 hour'")
    await world.run(
        "UPDATE campaign_recipients SET scheduled_send_date = now() + interval '1 hour'"
        " WHERE phone_number = '15550000000'"
    )
    now = [0.0]
    memory = ReleaseMemory(lambda: now[0])
    assert len((await releases.release_step(await world.releaser(), FAST, memory)).jobs) == 3
    await world.run("UPDATE campaign_recipients SET scheduled_send_date = now() - interval '2 hours'")
    assert (await releases.release_step(await world.releaser(), FAST, memory)).jobs == ()
    now[0] += AFRESH_S
    assert len((await releases.release_step(await world.releaser(), FAST, memory)).jobs) == 1


BROKEN = {
    "time_zone": ("Mars/Olympus", "invalid_time_zone"),
    "language_code": ("e", "invalid_language_code"),
    "template_name": ("x" * 513, "invalid_template_name"),
    "phone_number_id": ("1" * 65, "invalid_phone_number_id"),
}


@pytest.mark.parametrize(("column", "value", "reason"), [(name, *each) for name, each in BROKEN.items()], ids=BROKEN)
async def test_a_broken_campaign_is_paused_and_the_others_continue(
    world: World, column: str, value: str, reason: str
) -> None:
    broken, other = await world.start_campaign(2), await world.start_campaign(3)
    await world.run("ALTER TABLE marketing_campaigns DROP CONSTRAINT marketing_campaigns_sendable")
    await world.run(f"UPDATE marketing_campaigns SET {column} = %s WHERE id = %s", value, broken)
    assert {job.campaign_id for job in (await world.release()).jobs} == {other}
    assert await world.run("SELECT status, pause_reason FROM marketing_campaigns WHERE id = %s", broken) == [
        ("paused", reason)
    ]


@pytest.mark.parametrize("column", sorted(set(BROKEN) - {"time_zone"}))
async def test_the_database_refuses_what_no_message_can_be_made_of(world: World, column: str) -> None:
    campaign = await world.start_campaign(1)
    with pytest.raises(psycopg.errors.CheckViolation):
        await world.run(f"UPDATE marketing_campaigns SET {column} = %s WHERE id = %s", BROKEN[column][0], campaign)


async def test_a_locked_budget_holds_up_its_campaign_only(world: World) -> None:
    locked, other = await world.start_campaign(2), await world.start_campaign(3)
    await world.run("INSERT INTO campaign_days (campaign_id, day) VALUES (%s, current_date)", locked)
    async with world.another("operator") as operator, operator.transaction():
        await operator.execute("SELECT FROM campaign_days WHERE campaign_id = %s FOR UPDATE", [locked])
        memory = ReleaseMemory()
        step = await releases.release_step(await world.releaser(), FAST, memory)
        assert {job.campaign_id for job in step.jobs} == {other}
        assert memory.is_held(locked)
    assert len((await world.release()).jobs) == 2


async def test_a_locked_number_holds_up_no_other(world: World) -> None:
    await world.start_campaign(2, number="1"), await world.start_campaign(3, number="2")
    await world.run("INSERT INTO number_rates (phone_number_id) VALUES ('1')")
    async with world.another("operator") as operator, operator.transaction():
        await operator.execute("SELECT FROM number_rates WHERE phone_number_id = '1' FOR UPDATE")
        assert {job.phone_number_id for job in (await world.release()).jobs} == {"2"}


async def test_deleted_recipients_do_not_fill_the_cap(world: World) -> None:
    rates = Rates(mps=1000, cap_s=0.01)
    await world.start_campaign(20)
    assert len((await world.release(rates)).jobs) == 10
    await world.run("DELETE FROM campaign_recipients WHERE status = 'queued'")
    assert (await release_pages.forget_answered(await world.releaser(), 0, 100)).deleted == 10
    assert len((await world.release(rates)).jobs) == 10


async def test_a_clock_that_was_set_back_stops_no_number(world: World) -> None:
    await world.start_campaign(100)
    rates = Rates(mps=20, cap_s=100)
    assert len((await world.release(rates)).jobs) == 20
    await world.run("UPDATE number_rates SET refilled_at = clock_timestamp() + interval '1 hour'")
    await world.release(rates)  # the first step takes over the new time
    await world.run("UPDATE number_rates SET refilled_at = refilled_at - interval '1 second'")
    assert len((await world.release(rates)).jobs) == 20


async def test_a_number_has_its_own_pace(world: World) -> None:
    await world.start_campaign(100, number="1"), await world.start_campaign(100, number="2")
    jobs = (await world.release(Rates(mps=20, cap_s=10, own={"2": 50}))).jobs
    assert Counter(job.phone_number_id for job in jobs) == {"1": 20, "2": 50}
