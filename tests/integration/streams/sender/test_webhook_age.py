"""A sender claims nothing while old webhooks may not be applied, and goes on when they are."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from runtime import metrics
from streams.sender import webhook_age
from streams.sender.intake import Unfinished
from tests.support.sender_bench import Bench
from tests.support.waiting import eventually_async

APPLIED = "INSERT INTO webhook_progress (applied_through) VALUES (now() - %s * interval '1 second')"
CATCH_UP = "UPDATE webhook_progress SET applied_through = now()"


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_age, "READ_EVERY_S", 0.05)


def is_stopped() -> bool:
    return bool(metrics.SENDER_CLAIMS_STOPPED._value.get())


async def test_nothing_is_claimed_until_the_webhooks_are_applied(bench: Bench) -> None:
    await bench.world.run(APPLIED, 61)
    jobs = await bench.world.release_jobs(3)
    with capture_logs() as lines:
        taking = asyncio.create_task(bench.take(jobs))

        async def has_stopped() -> bool:
            return is_stopped()

        await eventually_async(has_stopped)
        await asyncio.sleep(0.2)
        assert await bench.world.count("send_ledger") == 0
        assert not taking.done()
        await bench.world.run(CATCH_UP)
        await asyncio.wait_for(taking, 10)
    await bench.finish()
    assert len(bench.api.posts) == 3
    assert not is_stopped()
    stops = [line for line in lines if line["event"].startswith("claims stop")]
    assert [line["limit_s"] for line in stops] == [60.0], "one line stands for many checks"


async def test_a_stopped_sender_leaves_its_batch_to_the_next_one(bench: Bench) -> None:
    await bench.world.run(APPLIED, 61)
    jobs = await bench.world.release_jobs(1)
    bench.sender.intake.close(0.1)
    with pytest.raises(Unfinished):
        await asyncio.wait_for(bench.take(jobs), 10)
    assert await bench.world.count("send_ledger") == 0
    assert bench.api.posts == []


@pytest.mark.parametrize("age_s", [None, 0, 55])
async def test_an_installation_without_webhooks_or_with_fresh_ones_sends(bench: Bench, age_s: int | None) -> None:
    if age_s is not None:
        await bench.world.run(APPLIED, age_s)
    await bench.take(await bench.world.release_jobs(1))
    await bench.finish()
    assert len(bench.api.posts) == 1
