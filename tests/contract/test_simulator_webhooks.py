"""The simulator's webhooks over real HTTP: signed, batched, retried until a 200, and out of order if configured."""

import asyncio
from collections import Counter

import orjson

from simulator.config import AnswerConfig, Delay, Rule, SimulatorConfig, StatusConfig, WebhookConfig
from tests.contract.simulator_client import AT_ONCE, SOON, bench, quick, until


def troubled(**settings: object) -> SimulatorConfig:
    tree: dict[str, object] = {"sent": SOON, "delivered": SOON, "read": SOON, "late": SOON}
    return quick(statuses=StatusConfig.model_validate(tree | settings))


async def test_every_status_is_signed_sent_once_and_acknowledged() -> None:
    async with bench(quick()) as it:
        await asyncio.gather(*[it.sent(f"1604555{n:04d}", str(n)) for n in range(50)])
        await it.quiet()
        assert it.receiver.unsigned == 0
        received = Counter((s["biz_opaque_callback_data"], s["status"]) for s in it.receiver.statuses())
        assert received == Counter((str(n), status) for n in range(50) for status in ("sent", "delivered", "read"))
        for entry in await it.ledger():
            assert all(one["acknowledged"] and one["times_sent"] == 1 for one in entry["statuses"])
        state = await it.state()
        assert (state["statuses_planned"], state["statuses_said"], state["statuses_pending"]) == (150, 150, 0)
        assert state["next_due_in_seconds"] is None


async def test_statuses_are_sent_in_batches_or_alone() -> None:
    sizes = {}
    for most in (1, 40):
        async with bench(quick(webhooks=WebhookConfig(batch_statuses_max=most, batch_wait=0.1))) as it:
            await asyncio.gather(*[it.sent(f"1604555{n:04d}", str(n)) for n in range(40)])
            await it.quiet()
            assert len(it.receiver.statuses()) == 120
            sizes[most] = len(it.receiver.bodies)
    assert sizes[1] == 120
    assert sizes[40] < 60


async def test_a_refused_webhook_is_retried_with_the_same_bytes_until_a_200() -> None:
    config = quick(time_scale=10.0, webhooks=WebhookConfig(batch_wait=2.0))
    async with bench(config, answers=[503, 500, 302, 204]) as it:
        await it.sent("16045551234", "1.a")
        await it.quiet()
        assert len(it.receiver.bodies) == 5
        assert len(set(it.receiver.bodies)) == 1
        (entry,) = await it.ledger()
        assert [(one["times_sent"], one["acknowledged"]) for one in entry["statuses"]] == [(5, True)] * 3


async def test_retries_end_after_the_retry_window() -> None:
    config = quick(webhooks=WebhookConfig(retry_window=0.2, retry_first=0.05))
    async with bench(config, answers=[503] * 100) as it:
        await it.sent("16045551234", "1.a")
        await it.quiet()
        assert (await it.state())["webhooks_given_up"] > 0
        assert not any(one["acknowledged"] for one in (await it.ledger())[0]["statuses"])


async def test_duplicates_and_disorder_reach_the_receiver() -> None:
    async with bench(troubled(duplicate_share=1.0, disorder_share=1.0)) as it:
        await asyncio.gather(*[it.sent(f"1604555{n:04d}", str(n)) for n in range(50)])
        await it.quiet()
        statuses = it.receiver.statuses()
        assert set(Counter((s["id"], s["status"]) for s in statuses).values()) == {2}
        first: dict[str, list[str]] = {}
        for status in statuses:
            first.setdefault(status["id"], []).append(status["status"])
        assert any(words.index("read") < words.index("sent") for words in first.values())


async def test_statuses_can_overtake_the_answer() -> None:
    config = troubled(overtaking_share=1.0, overtaken=Delay(median_s=60.0, p99_s=60.0))
    async with bench(config) as it:
        sending = asyncio.create_task(it.sent("16045551234", "1.a"))
        await until(lambda: len(it.receiver.bodies) > 0)
        assert not sending.done()
        sending.cancel()
        await it.quiet()
        assert {s["id"] for s in it.receiver.statuses()} == {(await it.ledger())[0]["wamid"]}


async def test_only_the_last_status_always_has_callback_data() -> None:
    async with bench(troubled(without_callback_share=1.0)) as it:
        await it.sent("16045551234", "1.a")
        await it.quiet()
        has = {s["status"]: "biz_opaque_callback_data" in s for s in it.receiver.statuses()}
        assert has == {"sent": False, "delivered": False, "read": True}
        statuses = (await it.ledger())[0]["statuses"]
        assert {one["status"]: one["with_callback"] for one in statuses} == has


async def test_statuses_of_a_send_without_callback_data_have_none() -> None:
    async with bench(quick()) as it:
        await it.sent("16045551234")
        await it.quiet()
        assert not any("biz_opaque_callback_data" in s for s in it.receiver.statuses())


async def test_failed_before_and_after_delivered() -> None:
    rules = (
        Rule(suffix="1", outcome="fail", code=131026, statuses=("sent", "failed", "delivered")),
        Rule(suffix="2", outcome="fail", code=131026, statuses=("sent", "delivered", "failed")),
    )
    async with bench(quick(rules=rules, webhooks=WebhookConfig(batch_statuses_max=1, concurrency=1))) as it:
        for number in ("16045551231", "16045551232"):
            await it.sent(number, number[-1])
        await it.quiet()
        words: dict[str, list[str]] = {}
        for status in it.receiver.statuses():
            words.setdefault(status["biz_opaque_callback_data"], []).append(status["status"])
        assert words == {"1": ["sent", "failed", "delivered"], "2": ["sent", "delivered", "failed"]}


async def test_webhooks_can_be_paused() -> None:
    async with bench(quick()) as it:
        await it.control("outage", side="webhooks", seconds=3600)
        await it.sent("16045551234", "1.a")
        state = await it.state()
        assert (state["statuses_pending"], state["quiet"]) == (3, False)
        assert state["next_due_in_seconds"] > 3000
        await it.control("outage", side="webhooks", seconds=0)
        await it.quiet()
        assert len(it.receiver.statuses()) == 3


async def test_each_sending_number_has_its_own_change() -> None:
    async with bench(quick(webhooks=WebhookConfig(batch_wait=0.5))) as it:
        for phone_number_id in ("111", "222"):
            headers = {"Authorization": "Bearer token"}
            body = {"messaging_product": "whatsapp", "to": "16045551234", "type": "text", "text": {"body": "hello"}}
            url = f"{it.url}/v23.0/{phone_number_id}/messages"
            async with it.http.post(url, json=body, headers=headers) as response:
                assert response.status == 200
        await it.quiet()
        changes = [change for body in it.receiver.bodies for change in orjson.loads(body)["entry"][0]["changes"]]
        assert {change["value"]["metadata"]["phone_number_id"] for change in changes} == {"111", "222"}
        assert {s["conversation"]["origin"]["type"] for s in it.receiver.statuses()} == {"service"}


async def test_time_scale_shortens_every_delay() -> None:
    day = Delay(median_s=86400.0, p99_s=86400.0)
    config = SimulatorConfig(
        port=0,
        time_scale=1_000_000.0,
        answers=AnswerConfig(latency=AT_ONCE),
        statuses=StatusConfig(sent=day, delivered=day, read=day),
    )
    async with bench(config) as it:
        await it.sent("16045551234", "1.a")
        await it.quiet()
        assert len(it.receiver.statuses()) == 3
