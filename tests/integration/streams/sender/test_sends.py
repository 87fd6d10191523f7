"""The sender on a real Postgres and a real HTTP server: what is posted, how often, and what the ledger says."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import uuid4

import orjson
import psycopg
import pytest
from aiohttp import web
from pydantic import SecretStr

from domain.error_codes import ThrottleScope
from runtime.settings import Settings
from runtime.waiting import pause
from schemas.codec import decode, encode
from schemas.dead_letters import read_headers
from schemas.events import EventKind, RecipientEvent, RetryClass
from schemas.jobs import SendJob
from schemas.places import Record
from streams.sender import freshness, sends
from streams.sender.claims import boot_time
from streams.sender.intake import Unfinished
from streams.sender.process import Sender, sending
from tables import ledger
from tables.ledger import Claim
from tests.support.sending_world import World, a_world
from topics import decoding
from topics.dead_letter_limit import TooManyDeadLetters
from topics.memory import MemoryPublisher

Answer = Callable[[int], Awaitable[web.Response]]


def raw(value: bytes | None, key: bytes | None = None) -> Record:
    """A record of `send.jobs` as it was read."""
    return Record("p.send.jobs", 3, 17, key, value)


class Kafka(MemoryPublisher):
    """The in-memory publisher, read as events."""

    def events(self) -> list[RecipientEvent]:
        return [RecipientEvent.model_validate_json(each.value or b"") for each in self.of_topic("p.recipient.events")]

    def kinds(self) -> list[EventKind]:
        return [event.kind for event in self.events()]


class Api:
    """A Cloud API whose answers the test writes; keeps who was written to, and how often."""

    def __init__(self) -> None:
        self.posts: list[str] = []
        self.callbacks: list[str] = []
        self.open_posts = 0
        self.open_posts_max = 0
        self.arrived = asyncio.Event()
        self.answer: Answer = self.accept
        self.url = ""

    async def accept(self, number: int) -> web.Response:
        return web.json_response({"messages": [{"id": f"wamid.{number:04d}"}]})

    async def take(self, request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        self.posts.append(body["to"])
        self.callbacks.append(body["biz_opaque_callback_data"])
        self.open_posts += 1
        self.open_posts_max = max(self.open_posts, self.open_posts_max)
        self.arrived.set()
        try:
            return await self.answer(len(self.posts))
        finally:
            self.open_posts -= 1

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        application = web.Application()
        application.router.add_post("/v25.0/1/messages", self.take)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield
        finally:
            await runner.cleanup()


def error(code: int, status: int = 400) -> Answer:
    async def answer(number: int) -> web.Response:
        return web.json_response({"error": {"code": code, "message": "no"}}, status=status)

    return answer


@dataclass
class Bench:
    """Everything around one sender."""

    world: World
    kafka: Kafka
    api: Api
    sender: Sender

    async def take(self, jobs: Sequence[SendJob]) -> None:
        await self.sender.intake.take([raw(encode(job)) for job in jobs])

    async def a_claim(self) -> tuple[SendJob, Claim, float]:
        """One claimed attempt, with when it was claimed."""
        [job] = await self.world.release(1)
        issued_at, token = boot_time(), uuid4()
        await self.world.claim([job], token=token, lease_s=2)
        return job, Claim(job.recipient_id, job.attempt, token), issued_at

    async def finish(self) -> None:
        async with asyncio.timeout(20):
            await self.sender.window.empty()

    async def ledger_rows(self) -> list[tuple[object, ...]]:
        return await self.world.run("SELECT outcome, published_at IS NOT NULL FROM send_ledger")


@contextlib.asynccontextmanager
async def a_bench(
    database_url: str, progressed: Callable[[], None] = lambda: None, **changed: object
) -> AsyncIterator[Bench]:
    api, kafka = Api(), Kafka()
    async with a_world(database_url) as world, api.serving():
        values = {
            "kafka_bootstrap_servers": "unused:1",
            "database_url": SecretStr(database_url),
            "topic_prefix": "p.",
            "whatsapp_api_url": api.url,
            "whatsapp_mps": 2000,
            "callback_secret": SecretStr("k"),
            "send_window": 64,
            **changed,
        }
        async with sending(Settings.model_validate(values), kafka, progressed) as sender:
            yield Bench(world, kafka, api, sender)


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    async with a_bench(database_url) as made:
        yield made


async def test_each_job_is_posted_once_settled_published_and_marked(bench: Bench) -> None:
    jobs = await bench.world.release(200)
    await bench.take(jobs)
    await bench.take(jobs)
    await bench.finish()
    assert sorted(bench.api.posts) == sorted(job.phone_number for job in jobs)
    assert len(set(bench.api.callbacks)) == 200
    assert set(await bench.ledger_rows()) == {("accepted", True)}
    events = bench.kafka.events()
    assert {(event.recipient_id, event.attempt) for event in events} == {(job.recipient_id, 1) for job in jobs}
    assert {event.kind for event in events} == {EventKind.ACCEPTED}
    assert len({event.wamid for event in events}) == len(events) == 200
    assert bench.api.open_posts_max <= 64


async def test_the_same_job_twice_in_one_batch_is_posted_once(bench: Bench) -> None:
    [job] = await bench.world.release(1)
    await bench.take([job, job, job])
    await bench.finish()
    assert len(bench.api.posts) == 1


async def test_a_batch_returns_when_claims_are_durable_not_when_answers_come(bench: Bench) -> None:
    release = asyncio.Event()

    async def slowly(number: int) -> web.Response:
        await release.wait()
        return await bench.api.accept(number)

    bench.api.answer = slowly
    await bench.take(await bench.world.release(5))
    assert await bench.world.count("send_ledger") == 5
    assert bench.sender.window.in_flight == 5
    release.set()
    await bench.finish()
    assert set(await bench.ledger_rows()) == {("accepted", True)}


async def test_a_malformed_job_is_dead_lettered_and_its_neighbours_are_sent(bench: Bench) -> None:
    jobs = await bench.world.release(2)
    records = [raw(encode(jobs[0])), raw(b'{"v":1}', key=b"k"), raw(None), raw(encode(jobs[1]))]
    await bench.sender.intake.take(records)
    await bench.finish()
    assert len(bench.api.posts) == 2
    dead = [record for record in bench.kafka.records if record[0] == "p.send.jobs.dead"]
    assert [record[2] for record in dead] == [b'{"v":1}', None]
    letter = read_headers(dead[0][3])
    assert (letter.stage, letter.reason) == ("sender", "malformed")
    assert letter.error.startswith("SendJob: campaign_id: missing"), "as every stage says it"
    assert (letter.origin.partition, letter.origin.offset) == (3, 17)


async def test_a_job_that_raises_is_dead_lettered_and_its_neighbours_are_sent(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Raised again by every fresh process, it would be an endless restart."""
    good, bad = await bench.world.release(2)

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


async def test_a_throttled_pair_keeps_its_claim_while_it_waits(database_url: str) -> None:
    """The wait outlives the lease: without renewals what surely was not sent would count as unknown."""
    beats: list[int] = []

    async with a_bench(database_url, lambda: beats.append(1), lease_s=4, send_timeout_s=1) as bench:

        async def throttle_first(number: int) -> web.Response:
            if number > 1:
                return await bench.api.accept(number)
            headers = {"Retry-After": "6"}
            return web.json_response({"error": {"code": 131056, "message": "no"}}, status=400, headers=headers)

        bench.api.answer = throttle_first
        await bench.take(await bench.world.release(1))
        await bench.api.arrived.wait()
        beats.clear()
        sweeping = asyncio.create_task(_sweep_until_done(bench))
        await bench.finish()
        assert await sweeping == []
        assert bench.kafka.kinds() == [EventKind.ACCEPTED]
        assert len(bench.api.posts) == 2
        assert len(beats) >= 4, "a stall to the watchdog otherwise"


async def _sweep_until_done(bench: Bench) -> list[object]:
    declared: list[object] = []
    while bench.sender.window.in_flight:
        declared += await ledger.declare_unknown(bench.world.connection, 10)
        await asyncio.sleep(0.05)
    return declared


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("UPDATE marketing_campaigns SET status = 'paused', pause_reason = 'x'", EventKind.DEFERRED),
        ("UPDATE marketing_campaigns SET status = 'cancelled'", EventKind.SKIPPED),
    ],
)
async def test_a_post_held_by_the_rate_sees_what_came_meanwhile(database_url: str, sql: str, kind: EventKind) -> None:
    """Permits come seconds after the claim: a post must not rest on what the claim was told."""
    async with a_bench(database_url, whatsapp_mps=1) as bench:
        for _ in range(3):
            bench.sender.sends._gate.reserve("1")
        sending = asyncio.create_task(bench.sender.sends.send(*await bench.a_claim()))
        await bench.world.run(sql)
        await sending
        assert bench.api.posts == []
        assert bench.kafka.kinds() == [kind]


async def test_a_stop_posts_nothing_ahead_of_the_rate(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for a permit beyond the end of the process is deferred, not posted at once."""
    async with a_bench(database_url, whatsapp_mps=1) as bench:
        sends = bench.sender.sends

        async def stopped_meanwhile(stop: asyncio.Event, seconds: float) -> bool:
            sends.draining.set()
            return await pause(stop, seconds)

        monkeypatch.setattr(freshness, "pause", stopped_meanwhile)
        for _ in range(6):
            sends._gate.reserve("1")
        await sends.send(*await bench.a_claim())
        assert bench.api.posts == []
        assert bench.kafka.kinds() == [EventKind.DEFERRED]


async def test_a_postgres_that_always_answers_late_frees_the_slot(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is posted on old knowledge, and what could not be posted rests before it is tried again."""
    monkeypatch.setattr(freshness, "CLAIM_MAX_AGE_S", -1.0)
    monkeypatch.setattr(freshness, "RENEWAL_MAX_AGE_S", -1.0)
    monkeypatch.setattr(freshness, "LATE_RENEWALS_MAX_S", 0.2)
    async with a_bench(database_url) as bench:
        await bench.take(await bench.world.release(2))
        await bench.finish()
        assert bench.api.posts == []
        assert bench.kafka.kinds() == [EventKind.DEFERRED] * 2
        for event in bench.kafka.events():
            assert event.not_before is not None
            assert (event.not_before - event.occurred_at).total_seconds() == pytest.approx(60, abs=1)


async def test_too_many_malformed_jobs_stop_the_stage_and_are_kept(database_url: str) -> None:
    async with a_bench(database_url, dead_letter_rate_max=2) as bench:
        await bench.take(await bench.world.release(1))
        with pytest.raises(TooManyDeadLetters):
            await bench.sender.intake.take([raw(b"x")] * 3)
        assert await bench.ledger_rows() == [("accepted", True)]
        assert [record[0] for record in bench.kafka.records] == ["p.recipient.events"]


@pytest.mark.parametrize(
    ("code", "retry_class"),
    [
        (131026, RetryClass.NEVER),
        (131000, RetryClass.BACKOFF),
        (131049, RetryClass.HELD_BACK),
        (132001, RetryClass.NEVER),
    ],
)
async def test_a_rejection_keeps_code_and_consequence(bench: Bench, code: int, retry_class: RetryClass) -> None:
    bench.api.answer = error(code)
    await bench.take(await bench.world.release(1))
    await bench.finish()
    [event] = bench.kafka.events()
    assert event.kind is EventKind.REJECTED
    assert event.failure is not None
    assert (event.failure.code, event.failure.retry_class) == (code, retry_class)
    assert len(bench.api.posts) == 1


async def test_an_answer_without_a_meaning_is_unknown_and_never_repeated(bench: Bench) -> None:
    bench.api.answer = error(3, 500)
    await bench.take(await bench.world.release(1))
    await bench.finish()
    assert bench.kafka.kinds() == [EventKind.UNKNOWN]
    assert len(bench.api.posts) == 1


async def test_a_throttled_message_goes_again_under_the_same_attempt(bench: Bench) -> None:
    async def throttle_first(number: int) -> web.Response:
        return await (error(130429, 429)(number) if number == 1 else bench.api.accept(number))

    bench.api.answer = throttle_first
    jobs = await bench.world.release(1)
    await bench.take(jobs)
    await bench.finish()
    assert len(bench.api.posts) == 2
    assert len(set(bench.api.callbacks)) == 1
    assert bench.kafka.kinds() == [EventKind.ACCEPTED]


async def test_a_throttle_that_lasts_is_deferred_and_gives_the_budget_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sends, "THROTTLED_MAX_S", 1.5)
    bench.api.answer = error(130429, 429)
    await bench.take(await bench.world.release(1))
    await bench.finish()
    [event] = bench.kafka.events()
    assert event.kind is EventKind.DEFERRED
    assert event.not_before is not None
    assert 59 < (event.not_before - event.occurred_at).total_seconds() < 62
    assert await bench.world.budget_used() == 99


async def test_waiting_for_a_throttle_is_no_stall(database_url: str) -> None:
    """A window full of throttled sends commits nothing; the watchdog must hear that this is intended."""
    beats: list[int] = []
    async with a_bench(
        database_url, progressed=lambda: beats.append(1), send_window=2, lease_s=2, send_timeout_s=1
    ) as bench:
        bench.sender.sends._gate.throttled("1", ThrottleScope.NUMBER, 2.0)
        monitored = bench.sender.sends.send(*await bench.a_claim())
        sending = asyncio.create_task(monitored)
        await asyncio.wait([sending], timeout=1.6)
        assert not sending.done()
        assert len(beats) >= 2
        await sending
        assert bench.kafka.kinds() == [EventKind.ACCEPTED]


async def test_an_api_that_is_not_there_defers_too(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sends, "THROTTLED_MAX_S", 0.5)
    monkeypatch.setattr(bench.sender.sends._api, "_root", "http://127.0.0.1:1")
    await bench.take(await bench.world.release(2))
    await bench.finish()
    assert bench.kafka.kinds() == [EventKind.DEFERRED] * 2
    assert bench.api.posts == []


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("UPDATE marketing_campaigns SET status = 'paused', pause_reason = 'x'", EventKind.DEFERRED),
        ("UPDATE marketing_campaigns SET status = 'cancelled'", EventKind.SKIPPED),
        (
            "INSERT INTO subscriptions SELECT phone_number, 'operator', false, now() FROM campaign_recipients",
            EventKind.SKIPPED,
        ),
    ],
)
async def test_a_throttled_retry_does_not_outlive_a_stop(bench: Bench, sql: str, kind: EventKind) -> None:
    """The first answer throttles; while it waits, the campaign stops: no second post."""
    bench.api.answer = error(131056)
    await bench.take(await bench.world.release(1))
    async with asyncio.timeout(5):
        await bench.api.arrived.wait()
    await bench.world.run(sql)
    await bench.finish()
    assert bench.kafka.kinds() == [kind]
    assert len(bench.api.posts) == 1
    assert set(await bench.ledger_rows()) == {(kind.value, True)}


async def test_a_slow_rate_claims_no_further_ahead_than_it_sends(database_url: str) -> None:
    """Five permits a second for twenty jobs: at the pause next to nothing is claimed that was not posted."""
    async with a_bench(database_url, whatsapp_mps=5) as bench:
        taking = asyncio.create_task(bench.take(await bench.world.release(20)))
        async with asyncio.timeout(5):
            await bench.api.arrived.wait()
        await bench.world.campaign_is("paused")
        posted = len(bench.api.posts)
        await taking
        await bench.finish()
        assert len(bench.api.posts) - posted <= 3
        claimed = await bench.world.count("send_ledger")
        assert claimed == len(bench.kafka.events()) <= posted + 3
        assert await bench.world.count("releases") == 20 - claimed


async def test_a_paused_job_writes_nothing_and_posts_nothing(bench: Bench) -> None:
    jobs = await bench.world.release(3)
    await bench.world.campaign_is("paused")
    await bench.take(jobs)
    await bench.finish()
    assert (bench.api.posts, bench.kafka.records, await bench.world.count("send_ledger")) == ([], [], 0)


async def test_events_that_kafka_does_not_take_are_left_to_the_sweep(bench: Bench) -> None:
    bench.kafka.is_down = True
    await bench.take(await bench.world.release(1))
    await bench.finish()
    assert await bench.ledger_rows() == [("accepted", False)]
    [waiting] = await ledger.unpublished(bench.world.connection, 10, older_than_s=0)
    assert RecipientEvent.model_validate_json(waiting.event).kind is EventKind.ACCEPTED


async def test_a_connection_lost_at_the_claim_loses_no_attempt(bench: Bench) -> None:
    """Every connection of the sender is cut again and again while it claims, settles and marks."""
    jobs = await bench.world.release(120)
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
    assert sorted(bench.api.posts) == sorted(job.phone_number for job in jobs)
    assert {row[0] for row in await bench.ledger_rows()} == {"accepted"}


async def test_the_drain_waits_for_answers_and_defers_what_is_throttled(database_url: str) -> None:
    async with a_bench(database_url) as bench:
        release = asyncio.Event()

        async def answer(number: int) -> web.Response:
            if number == 1:
                return await error(131056)(number)
            await release.wait()
            return await bench.api.accept(number)

        bench.api.answer = answer
        jobs = await bench.world.release(1)
        await bench.take(jobs)
        await bench.api.arrived.wait()
        await bench.take(await bench.world.release(2))
        draining = asyncio.create_task(bench.sender.drain())
        async with asyncio.timeout(10):
            while EventKind.DEFERRED not in bench.kafka.kinds():  # noqa: ASYNC110 - the throttled one
                await asyncio.sleep(0.01)
        release.set()
        await draining
        assert sorted(bench.kafka.kinds()) == [EventKind.ACCEPTED, EventKind.ACCEPTED, EventKind.DEFERRED]
        assert len(bench.api.posts) == 3


async def test_a_batch_that_cannot_be_finished_at_the_stop_is_not_acknowledged(bench: Bench) -> None:
    release = asyncio.Event()

    async def answer(number: int) -> web.Response:
        await release.wait()
        return await bench.api.accept(number)

    bench.api.answer = answer
    await bench.take(await bench.world.release(1))
    bench.sender.intake.close(grace_s=-1)
    late = asyncio.create_task(bench.take(await bench.world.release(1)))
    await bench.api.arrived.wait()
    assert not late.done()  # its end is the end of the process, so it waits for what is in flight
    release.set()
    with pytest.raises(Unfinished):
        await late
    assert await bench.ledger_rows() == [("accepted", True)]


@pytest.mark.parametrize(
    ("sleep_s", "sql", "posts", "kind"),
    [
        (100.0, "SELECT 1", 0, EventKind.EXPIRED),
        (2.0, "UPDATE marketing_campaigns SET status = 'paused', pause_reason = 'x'", 0, EventKind.DEFERRED),
        (2.0, "SELECT 1", 1, EventKind.ACCEPTED),
    ],
)
async def test_a_sender_that_slept_between_claim_and_post_checks_its_claim_again(
    database_url: str, monkeypatch: pytest.MonkeyPatch, sleep_s: float, sql: str, posts: int, kind: EventKind
) -> None:
    """Frozen between claim and post (SIGSTOP, a suspended machine, a slow pool): boot time went on."""
    slept = 0.0
    monkeypatch.setattr("streams.sender.process.boot_time", lambda: boot_time() + slept)
    async with a_bench(database_url) as bench:

        async def sleep_instead(stop: asyncio.Event, _seconds: float) -> bool:
            nonlocal slept
            await bench.world.run(sql)
            slept += sleep_s
            return await pause(stop, 0.001)

        monkeypatch.setattr(freshness, "pause", sleep_instead)
        monkeypatch.setattr(bench.sender.sends._gate, "reserve", lambda _: (0.0 if slept else 5.0, True))
        await bench.take(await bench.world.release(1))
        await bench.finish()
        assert len(bench.api.posts) == posts
        assert bench.kafka.kinds() == [kind]
