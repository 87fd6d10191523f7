"""Jobs on a real Postgres: each is claimed and posted once, and a malformed one is dead-lettered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

import psycopg
import pytest
from aiohttp import web

from domain.error_codes import ThrottleScope
from schemas.codec import decode, encode
from schemas.dead_letters import read_headers
from schemas.events import EventKind
from schemas.jobs import SendJob
from schemas.places import Record
from streams.sender.claims import boot_time
from streams.sender.intake import Unfinished
from streams.sender.process import guarded, handler
from tables import ledger
from tables.database import Connection
from tables.ledger import ClaimAnswer, Key
from tests.support.exit_marks import KeptMarks
from tests.support.sender_bench import Bench, job_record, open_bench
from topics import decoding
from topics.dead_letter_limit import TooManyDeadLetters
from topics.exits import EXITS_MAX, ExitMark


async def test_each_job_is_posted_once_settled_published_and_marked(bench: Bench) -> None:
    jobs = await bench.world.release_jobs(200)
    await bench.take(jobs)
    await bench.take(jobs)
    await bench.finish()
    assert sorted(bench.api.posts) == sorted(job.recipient_name for job in jobs)
    assert len(set(bench.api.callbacks)) == 200
    assert set(await bench.ledger_rows()) == {("accepted", True)}
    events = bench.kafka.events()
    assert {(event.recipient_id, event.attempt) for event in events} == {(job.recipient_id, 1) for job in jobs}
    assert {event.kind for event in events} == {EventKind.ACCEPTED}
    assert len({event.wamid for event in events}) == len(events) == 200
    assert bench.api.open_posts_max <= 64


async def test_the_same_job_twice_in_one_batch_is_posted_once(bench: Bench) -> None:
    [job] = await bench.world.release_jobs(1)
    await bench.take([job, job, job])
    await bench.finish()
    assert len(bench.api.posts) == 1


async def test_a_batch_returns_when_claims_are_durable_not_when_answers_come(bench: Bench) -> None:
    release = asyncio.Event()

    async def slowly(number: int) -> web.Response:
        await release.wait()
        return await bench.api.accept(number)

    bench.api.answer = slowly
    await bench.take(await bench.world.release_jobs(5))
    assert await bench.world.count("send_ledger") == 5
    assert bench.sender.window.in_flight == 5
    release.set()
    await bench.finish()
    assert set(await bench.ledger_rows()) == {("accepted", True)}


async def test_a_malformed_job_is_dead_lettered_and_its_neighbours_are_sent(bench: Bench) -> None:
    jobs = await bench.world.release_jobs(2)
    records = [
        job_record(encode(jobs[0])),
        job_record(b'{"v":1}', key=b"k"),
        job_record(None),
        job_record(encode(jobs[1])),
    ]
    await bench.sender.intake.take(records)
    await bench.finish()
    assert len(bench.api.posts) == 2
    dead = [record for record in bench.kafka.records if record[0] == "p.send.jobs.dead"]
    assert [record[2] for record in dead] == [b'{"v":1}', None]
    letter = read_headers(dead[0][3])
    assert (letter.stage, letter.reason) == ("sender", "malformed")
    assert letter.error.startswith("SendJob: campaign_id: missing"), "the text of every stage"
    assert (letter.origin.partition, letter.origin.offset) == (3, 17)


async def test_a_job_that_raises_is_dead_lettered_and_its_neighbours_are_sent(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Raised again by every fresh process, it would be an endless restart."""
    good, bad = await bench.world.release_jobs(2)

    def raising(model: type[SendJob], value: bytes | None) -> SendJob:
        if value == encode(bad):
            raise ZeroDivisionError
        return decode(model, value)

    monkeypatch.setattr(decoding, "decode", raising)
    await bench.take([bad, good])
    await bench.finish()
    assert bench.api.posts == [good.phone_number]
    [dead] = [record for record in bench.kafka.records if record[0] == "p.send.jobs.dead"]
    assert (dead[2], read_headers(dead[3]).reason) == (encode(bad), "bug")


async def test_too_many_malformed_jobs_stop_the_stage_and_are_kept(database_url: str) -> None:
    async with open_bench(database_url, dead_letter_rate_max=2) as bench:
        await bench.take(await bench.world.release_jobs(1))
        with pytest.raises(TooManyDeadLetters):
            await bench.sender.intake.take([job_record(b"x")] * 3)
        await bench.finish()
        assert await bench.ledger_rows() == [("accepted", True)]
        assert [record[0] for record in bench.kafka.records] == ["p.recipient.events"]


async def test_a_slow_rate_claims_no_further_ahead_than_it_sends(database_url: str) -> None:
    """Five permits a second for twenty jobs: at the pause next to nothing is claimed that was not posted."""
    async with open_bench(database_url, whatsapp_mps=5) as bench:
        taking = asyncio.create_task(bench.take(await bench.world.release_jobs(20)))
        async with asyncio.timeout(5):
            await bench.api.arrived.wait()
        await bench.world.set_campaign_status("paused")
        posted = len(bench.api.posts)
        await taking
        await bench.finish()
        assert len(bench.api.posts) - posted <= 3
        claimed = await bench.world.count("send_ledger")
        assert claimed == len(bench.kafka.events()) <= posted + 3
        assert await bench.world.count("releases") == 20 - claimed


async def test_a_paused_job_writes_nothing_and_posts_nothing(bench: Bench) -> None:
    jobs = await bench.world.release_jobs(3)
    await bench.world.set_campaign_status("paused")
    await bench.take(jobs)
    await bench.finish()
    assert (bench.api.posts, bench.kafka.records, await bench.world.count("send_ledger")) == ([], [], 0)


async def test_a_connection_lost_at_the_claim_loses_no_attempt(bench: Bench) -> None:
    """Every connection of the sender is cut again and again while it claims, settles and marks."""
    jobs = await bench.world.release_jobs(120)
    cuts = 0

    async def cut() -> None:
        nonlocal cuts
        async with await psycopg.AsyncConnection.connect(bench.world.url, autocommit=True) as connection:
            for _ in range(15):
                cursor = await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'campaigns-sender' AND datname = current_database()"
                )
                cuts += len(await cursor.fetchall())
                await asyncio.sleep(0.02)

    cutting = asyncio.create_task(cut())
    for start in range(0, 120, 20):
        await bench.take(jobs[start : start + 20])
    await cutting
    await bench.finish()
    assert cuts > 0
    assert sorted(bench.api.posts) == sorted(job.recipient_name for job in jobs)
    assert {row[0] for row in await bench.ledger_rows()} == {"accepted"}


async def test_a_lost_answer_and_an_outage_above_the_lease_leave_no_attempt_unknown(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim is committed, its answer is lost, and Postgres answers again once the sweep has seen the lease end."""
    [job] = await bench.world.release_jobs(1)
    lease_s, claim, lost = 0.01, ledger.claim, 0

    async def losing(connection: Connection, token: UUID, jobs: Sequence[SendJob], _: float) -> dict[Key, ClaimAnswer]:
        nonlocal lost
        answers = await claim(connection, token, jobs, lease_s)
        if lost == 3:
            return answers
        lost += 1
        await bench.world.run("SELECT pg_sleep(%s)", 2 * lease_s)
        await ledger.declare_unknown(bench.world.connection, 10)
        raise psycopg.OperationalError("the connection is lost")

    monkeypatch.setattr(ledger, "claim", losing)
    monkeypatch.setattr(bench.sender.intake._claims, "_lease_s", lease_s)
    monkeypatch.setattr(bench.sender.intake._claims, "_clock", lambda: boot_time() - 60)  # the first try is so old
    await bench.take([job])
    await bench.finish()
    assert lost == 3
    assert bench.api.posts == []
    assert await bench.ledger_rows() == [("expired", True)]
    assert bench.kafka.kinds() == [EventKind.EXPIRED]


async def test_a_claim_without_an_answer_ends_with_the_process(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> None:
        bench.sender.intake.close(grace_s=-1)
        raise psycopg.OperationalError("away")

    monkeypatch.setattr(ledger, "claim", away)
    with pytest.raises(Unfinished):
        await asyncio.wait_for(bench.take(await bench.world.release_jobs(1)), 10)
    assert bench.sender.window.in_flight == 0


async def test_a_batch_that_cannot_be_finished_at_the_stop_is_not_acknowledged(bench: Bench) -> None:
    release = asyncio.Event()

    async def answer(number: int) -> web.Response:
        await release.wait()
        return await bench.api.accept(number)

    bench.api.answer = answer
    await bench.take(await bench.world.release_jobs(1))
    bench.sender.intake.close(grace_s=-1)
    late = asyncio.create_task(bench.take(await bench.world.release_jobs(1)))
    await bench.api.arrived.wait()
    assert not late.done()  # its end is the end of the process, so it waits for what is in flight
    release.set()
    with pytest.raises(Unfinished):
        await late
    await bench.finish()
    assert await bench.ledger_rows() == [("accepted", True)]


async def test_a_throttled_number_holds_up_no_other(database_url: str) -> None:
    """Its jobs stay unclaimed for the redelivery, and the jobs of the other number are sent at once."""
    async with open_bench(database_url) as bench:
        jobs = await bench.world.release_jobs(20)
        throttled = [job.model_copy(update={"phone_number_id": "2"}) for job in jobs[:10]]
        bench.sender.sends._gate.throttled("2", ThrottleScope.NUMBER, 60.0)
        async with asyncio.timeout(5):
            await bench.take([*throttled, *jobs[10:]])
        await bench.finish()
        assert sorted(bench.api.posts) == sorted(job.recipient_name for job in jobs[10:])
        assert await bench.world.count("send_ledger") == 10
        assert await bench.world.count("releases") == 10, "the scheduler publishes these again"


async def test_a_job_that_ends_each_sender_fails_without_a_post_and_the_others_are_sent(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unclaimed, it would be published again and again. Each guard here is a process of its own."""
    jobs = await bench.world.release_jobs(3)
    bad = jobs[1].model_copy(update={"phone_number_id": "2"})
    room = bench.sender.sends._gate.room

    def raising(number: str, ahead_s: float) -> int:
        if number == "2":
            raise ZeroDivisionError
        return room(number, ahead_s)

    monkeypatch.setattr(bench.sender.sends._gate, "room", raising)
    batch = [Record("p.send.jobs", 0, offset, None, encode(job)) for offset, job in enumerate([jobs[0], bad, jobs[2]])]
    marks = KeptMarks()
    for _ in range(EXITS_MAX):
        with pytest.raises(ZeroDivisionError):
            await guarded(bench.sender, marks).handle(batch)
    await guarded(bench.sender, marks).handle(batch)
    await bench.finish()
    assert sorted(bench.api.posts) == sorted([jobs[0].recipient_name, jobs[2].recipient_name])
    assert sorted(await bench.ledger_rows()) == [("accepted", True), ("accepted", True), ("rejected", True)]
    [failed] = [event for event in bench.kafka.events() if event.kind is EventKind.REJECTED]
    assert failed.recipient_id == bad.recipient_id
    assert failed.failure is not None
    assert failed.failure.reason == "ended_senders"
    [dead] = bench.kafka.of_topic("p.send.jobs.dead")
    assert (dead.value, read_headers(dead.headers).reason) == (encode(bad), "bug")
    assert await bench.world.count("releases") == 0, "nothing is published again"


async def test_a_job_that_was_claimed_when_its_sender_ended_is_left_to_its_lease(bench: Bench) -> None:
    """It may have been posted, so only its lease may end it: as `unknown`."""
    job, _, _ = await bench.add_claim()
    marks = KeptMarks()
    marks.marks[0] = ExitMark(7, EXITS_MAX, alone=7)
    await guarded(bench.sender, marks).handle([Record("p.send.jobs", 0, 7, None, encode(job))])
    await bench.finish()
    assert await bench.ledger_rows() == [(None, False)]
    assert bench.api.posts == []
    assert [record.topic for record in bench.kafka.records] == ["p.send.jobs.dead"]


async def test_a_bug_in_the_intake_ends_the_process_after_the_answers_of_the_sends_in_flight(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = asyncio.Event()

    async def slowly(number: int) -> web.Response:
        await release.wait()
        return await bench.api.accept(number)

    def raising(_number: str, _ahead_s: float) -> int:
        raise ZeroDivisionError

    bench.api.answer = slowly
    one, other = await bench.world.release_jobs(2)
    handle = handler(bench.sender, guarded(bench.sender, KeptMarks()))
    await handle([Record("p.send.jobs", 0, 0, None, encode(one))])
    await bench.api.arrived.wait()
    monkeypatch.setattr(bench.sender.sends._gate, "room", raising)
    ending = asyncio.ensure_future(handle([Record("p.send.jobs", 0, 1, None, encode(other))]))
    await bench.sender.sends.draining.wait()
    assert not ending.done(), "it waits for the answer"
    release.set()
    with pytest.raises(ZeroDivisionError):
        await ending
    assert await bench.ledger_rows() == [("accepted", True)]


async def test_a_job_alone_is_done_when_its_answer_has_come(bench: Bench) -> None:
    release = asyncio.Event()

    async def slowly(number: int) -> web.Response:
        await release.wait()
        return await bench.api.accept(number)

    bench.api.answer = slowly
    [job] = await bench.world.release_jobs(1)
    taking = asyncio.create_task(bench.sender.intake.take_alone([job_record(encode(job))]))
    await bench.api.arrived.wait()
    assert not taking.done()
    release.set()
    await taking
    assert await bench.ledger_rows() == [("accepted", True)]
