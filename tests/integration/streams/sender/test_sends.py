"""The answers of the Cloud API, on a real Postgres and a real HTTP server: published, sent again or deferred."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web
from pydantic import SecretStr

from domain.error_codes import ThrottleScope
from runtime.sending_numbers import SendingNumber
from schemas.events import EventKind, RecipientEvent, RetryClass
from streams.sender import sends
from tables import ledger
from tests.support.sender_bench import Answer, Bench, error_answer, open_bench
from tests.support.world import NUMBER_ID


@pytest.mark.parametrize(
    ("code", "retry_class"),
    [
        (131026, RetryClass.NEVER),
        (131000, RetryClass.BACKOFF),
        (131049, RetryClass.NEVER),  # the recipients of a world have the calling code 1
        (132000, RetryClass.NEVER),
    ],
)
async def test_a_rejection_keeps_code_and_consequence(bench: Bench, code: int, retry_class: RetryClass) -> None:
    bench.api.answer = error_answer(code)
    await bench.take(await bench.world.release_jobs(1))
    await bench.finish()
    [event] = bench.kafka.events()
    assert event.kind is EventKind.REJECTED
    assert event.failure is not None
    assert (event.failure.code, event.failure.retry_class) == (code, retry_class)
    assert len(bench.api.posts) == 1


async def test_an_answer_without_a_meaning_is_unknown_and_never_repeated(bench: Bench) -> None:
    bench.api.answer = error_answer(3, 500)
    await bench.take(await bench.world.release_jobs(1))
    await bench.finish()
    assert bench.kafka.kinds() == [EventKind.UNKNOWN]
    assert len(bench.api.posts) == 1


async def test_a_throttled_message_goes_again_under_the_same_attempt(bench: Bench) -> None:
    async def throttle_first(number: int) -> web.Response:
        return await (error_answer(130429, 429)(number) if number == 1 else bench.api.accept(number))

    bench.api.answer = throttle_first
    jobs = await bench.world.release_jobs(1)
    await bench.take(jobs)
    await bench.finish()
    assert len(bench.api.posts) == 2
    assert len(set(bench.api.callbacks)) == 1
    assert bench.kafka.kinds() == [EventKind.ACCEPTED]


async def test_a_throttle_that_lasts_is_deferred_and_gives_the_budget_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sends, "THROTTLED_MAX_S", 1.5)
    bench.api.answer = error_answer(130429, 429)
    await bench.take(await bench.world.release_jobs(1))
    await bench.finish()
    [event] = bench.kafka.events()
    assert event.kind is EventKind.DEFERRED
    assert event.not_before is not None
    assert 59 < (event.not_before - event.occurred_at).total_seconds() < 62
    assert await bench.world.budget_used() == 99


async def test_waiting_for_a_throttle_is_no_stall(database_url: str) -> None:
    """A window full of throttled sends commits nothing; the watchdog must hear that this is intended."""
    beats: list[int] = []
    async with open_bench(
        database_url, progressed=lambda: beats.append(1), send_window=2, lease_s=2, send_timeout_s=1
    ) as bench:
        bench.sender.sends._gate.throttled(NUMBER_ID, ThrottleScope.NUMBER, 2.0)
        monitored = bench.sender.sends.send(*await bench.add_claim())
        sending = asyncio.create_task(monitored)
        await asyncio.wait([sending], timeout=1.6)
        assert not sending.done()
        assert len(beats) >= 2
        await sending
        await bench.finish()
        assert bench.kafka.kinds() == [EventKind.ACCEPTED]


async def test_an_api_that_is_not_there_defers_at_once_and_opens_the_endpoint(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.sender.sends._api, "_root", "http://127.0.0.1:1")
    await bench.take(await bench.world.release_jobs(8))
    await bench.finish()
    assert bench.kafka.kinds() == [EventKind.DEFERRED] * 8
    assert bench.api.posts == []
    assert await bench.world.run("SELECT scope FROM breakers WHERE opened_at IS NOT NULL") == [("endpoint",)]


async def test_events_that_kafka_does_not_take_are_left_to_the_sweep(bench: Bench) -> None:
    bench.kafka.is_down = True
    await bench.take(await bench.world.release_jobs(1))
    await bench.finish()
    assert await bench.ledger_rows() == [("accepted", False)]
    [waiting] = await ledger.unpublished(bench.world.connection, 10, older_than_s=0)
    assert RecipientEvent.model_validate_json(waiting.event).kind is EventKind.ACCEPTED


async def test_the_drain_waits_for_answers_and_defers_what_is_throttled(database_url: str) -> None:
    async with open_bench(database_url) as bench:
        release = asyncio.Event()

        async def answer(number: int) -> web.Response:
            if number == 1:
                return await error_answer(131056)(number)
            await release.wait()
            return await bench.api.accept(number)

        bench.api.answer = answer
        jobs = await bench.world.release_jobs(1)
        await bench.take(jobs)
        await bench.api.arrived.wait()
        await bench.take(await bench.world.release_jobs(2))
        draining = asyncio.create_task(bench.sender.drain())
        async with asyncio.timeout(10):
            while EventKind.DEFERRED not in bench.kafka.kinds():  # noqa: ASYNC110 - the throttled one
                await asyncio.sleep(0.01)
        release.set()
        await draining
        assert sorted(bench.kafka.kinds()) == [EventKind.ACCEPTED, EventKind.ACCEPTED, EventKind.DEFERRED]
        assert len(bench.api.posts) == 3


async def test_a_wrong_token_defers_every_message_and_posts_only_those_in_flight(bench: Bench) -> None:
    """Nobody is lost, nothing is counted as a failure, and the rest of the batch is not posted at all."""
    bench.api.answer = error_answer(190, 401)
    for _ in range(4):
        await bench.take(await bench.world.release_jobs(50))
    await bench.finish()
    assert set(bench.kafka.kinds()) == {EventKind.DEFERRED}
    assert len(bench.kafka.events()) == 200
    assert len(bench.api.posts) <= 64, "the window of sends in flight"
    assert await bench.world.budget_used() == 0
    assert await bench.world.run("SELECT scope, code, needs_human FROM breakers WHERE opened_at IS NOT NULL") == [
        ("account", 190, True)
    ]


@pytest.mark.parametrize(
    ("answer", "scope"),
    [
        (error_answer(132015), "template"),
        (error_answer(131042), "account"),
        (error_answer(2500), "number"),
        (error_answer(133010), "number"),
    ],
)
async def test_a_code_of_a_scope_holds_that_scope(bench: Bench, answer: Answer, scope: str) -> None:
    bench.api.answer = answer
    await bench.take(await bench.world.release_jobs(3))
    await bench.finish()
    assert set(bench.kafka.kinds()) == {EventKind.DEFERRED}
    assert await bench.world.run("SELECT DISTINCT scope FROM breakers WHERE opened_at IS NOT NULL") == [(scope,)]


@pytest.mark.parametrize(
    ("status", "body"), [(403, "<html>denied</html>"), (200, '{"status":"ok"}'), (502, "Bad Gateway")]
)
async def test_a_server_that_is_not_the_cloud_api_costs_a_few_messages(
    database_url: str, status: int, body: str
) -> None:
    async with open_bench(database_url, whatsapp_mps=20) as bench:

        async def foreign(number: int) -> web.Response:
            return web.Response(text=body, status=status)

        bench.api.answer = foreign
        await bench.take(await bench.world.release_jobs(40))
        await bench.finish()
        kinds = bench.kafka.kinds()
        assert 3 <= kinds.count(EventKind.UNKNOWN) == len(bench.api.posts) <= 12
        assert kinds.count(EventKind.DEFERRED) == 40 - len(bench.api.posts)


async def test_a_probe_of_a_scope_that_still_fails_is_deferred_and_one_that_is_accepted_closes(
    database_url: str,
) -> None:
    async with open_bench(database_url, time_scale=100) as bench:
        bench.api.answer = error_answer(131000, 500)
        await bench.take(await bench.world.release_jobs(5))
        await bench.finish()
        assert set(bench.kafka.kinds()) == {EventKind.REJECTED}
        await asyncio.sleep(0.06)
        await bench.take(await bench.world.release_jobs(1))
        await bench.finish()
        assert bench.kafka.kinds()[-1] is EventKind.DEFERRED, "a probe spends no retry"
        assert len(bench.api.posts) == 6
        bench.api.answer = bench.api.accept
        await asyncio.sleep(0.11)
        await bench.take(await bench.world.release_jobs(1))
        await bench.finish()
        assert bench.kafka.kinds()[-1] is EventKind.ACCEPTED
        assert await bench.world.run("SELECT FROM breakers WHERE opened_at IS NOT NULL") == []


async def test_a_server_that_answers_nobody_costs_a_few_messages_and_not_a_timeout_of_them(database_url: str) -> None:
    async with open_bench(database_url, whatsapp_mps=100, send_timeout_s=3, lease_s=20) as bench:
        release = asyncio.Event()

        async def never(number: int) -> web.Response:
            await release.wait()
            return web.Response()

        bench.api.answer = never
        taking = asyncio.create_task(bench.take(await bench.world.release_jobs(300)))
        await taking
        await bench.finish()
        release.set()
        kinds = bench.kafka.kinds()
        assert len(bench.api.posts) == kinds.count(EventKind.UNKNOWN) <= 100
        assert kinds.count(EventKind.DEFERRED) == 300 - len(bench.api.posts)


async def test_an_answer_under_another_wa_id_names_the_person_in_the_event(bench: Bench) -> None:
    """Another spelling of the number dialled is no news."""

    async def named(_number: int) -> web.Response:
        contact = {
            "input": "x",
            "wa_id": "15559990001" if bench.api.posts[-1] == other.phone_number else one.phone_number,
        }
        return web.json_response({"messages": [{"id": f"wamid.{bench.api.posts[-1]}"}], "contacts": [contact]})

    one, other = await bench.world.release_jobs(2)
    bench.api.answer = named
    await bench.take([one])
    await bench.finish()
    await bench.take([other])
    await bench.finish()
    assert {each.recipient_id: each.also_known_as for each in bench.kafka.events()} == {
        one.recipient_id: None,
        other.recipient_id: ["15559990001"],
    }


async def test_a_wrong_token_of_one_number_stops_no_other(database_url: str) -> None:
    own = (SendingNumber(phone_number_id=NUMBER_ID, access_token=SecretStr("expired")),)
    async with open_bench(database_url, whatsapp_numbers=own) as bench:
        bench.api.answer = error_answer(190, 401)
        await bench.take(await bench.world.release_jobs(1))
        await bench.finish()
        opened = "SELECT scope, key, needs_human FROM breakers WHERE opened_at IS NOT NULL"
        assert await bench.world.run(opened) == [("number", NUMBER_ID, True)]
        assert bench.kafka.kinds() == [EventKind.DEFERRED]
