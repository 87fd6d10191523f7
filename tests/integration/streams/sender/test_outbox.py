"""Settling on a real Postgres: an outcome that is refused harms only itself, and a slow Kafka holds up few outcomes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import uuid4

import pytest

from domain.signals import Signals
from schemas.events import EventKind, RecipientEvent
from schemas.jobs import SendJob
from schemas.places import Outgoing
from streams.sender import outbox as outboxes
from streams.sender.events import settlement
from tables.ledger import Claim
from tests.support.sender_bench import Bench
from tests.support.waiting import eventually_async


async def claims_of(bench: Bench, jobs: list[SendJob]) -> list[Claim]:
    token = uuid4()
    await bench.world.claim(jobs, token=token)
    return [Claim(job.recipient_id, job.attempt, token) for job in jobs]


def accepted(job: SendJob, wamid: str) -> RecipientEvent:
    known = RecipientEvent(
        kind=EventKind.ACCEPTED, recipient_id=job.recipient_id, attempt=1, campaign_id=job.campaign_id,
        occurred_at="2026-11-26T12:00:00Z", received_at="2026-11-26T12:00:00Z",
    )  # fmt: skip
    return known.model_copy(update={"wamid": wamid})


async def test_an_outcome_that_postgres_refuses_is_unknown_and_its_round_is_settled(bench: Bench) -> None:
    jobs = await bench.world.release_jobs(20)
    outbox = bench.sender.intake._outbox
    wamids = ["wamid.\0" if place == 7 else f"wamid.{place}" for place in range(20)]
    settlements = [
        settlement(claim, accepted(job, wamid), Signals("ggggg"))
        for job, claim, wamid in zip(jobs, await claims_of(bench, jobs), wamids, strict=True)
    ]
    await asyncio.gather(*(outbox.settle(each) for each in settlements))
    await outbox.published()
    outcomes = await bench.world.run("SELECT outcome, count(*) FROM send_ledger GROUP BY 1 ORDER BY 1")
    assert outcomes == [("accepted", 19), ("unknown", 1)]
    [lost] = [event for event in bench.kafka.events() if event.kind is EventKind.UNKNOWN]
    assert (lost.recipient_id, lost.campaign_id) == (jobs[7].recipient_id, jobs[7].campaign_id)


async def test_an_outcome_whose_row_is_locked_waits_alone(bench: Bench) -> None:
    jobs = await bench.world.release_jobs(3)
    outbox = bench.sender.intake._outbox
    settlements = [
        settlement(claim, accepted(job, f"wamid.{place}"), Signals("ggggg"))
        for place, (job, claim) in enumerate(zip(jobs, await claims_of(bench, jobs), strict=True))
    ]
    async with bench.world.another() as operator:
        async with operator.transaction(), asyncio.timeout(5):
            await operator.execute("SELECT FROM send_ledger WHERE recipient_id = %s FOR UPDATE", [jobs[0].recipient_id])
            locked = asyncio.create_task(outbox.settle(settlements[0]))
            await asyncio.gather(*(outbox.settle(each) for each in settlements[1:]))
            assert not locked.done()
        await locked
    await outbox.published()
    assert await bench.world.run("SELECT outcome, count(*) FROM send_ledger GROUP BY 1") == [("accepted", 3)]
    assert len(bench.kafka.events()) == 3


async def test_an_outcome_waits_for_no_kafka_until_too_many_wait(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its slot serves the next message while Kafka is slow. Memory is bounded all the same."""
    answered = asyncio.Event()

    async def publish_later(records: Sequence[Outgoing], timeout_s: float) -> list[tuple[int, int]]:
        await answered.wait()
        return await type(bench.kafka).publish_batch(bench.kafka, records, timeout_s)

    monkeypatch.setattr(bench.kafka, "publish_batch", publish_later)
    monkeypatch.setattr(outboxes, "UNPUBLISHED_MAX", 2)
    jobs = await bench.world.release_jobs(3)
    outbox = bench.sender.outbox
    first, second, third = (
        settlement(claim, accepted(job, f"wamid.{place}"), Signals("ggggg"))
        for place, (job, claim) in enumerate(zip(jobs, await claims_of(bench, jobs), strict=True))
    )
    await outbox.settle(first)
    await outbox.settle(second)
    held = asyncio.create_task(outbox.settle(third))

    async def all_are_settled() -> bool:
        return await bench.ledger_rows() == [("accepted", False)] * 3

    await eventually_async(all_are_settled)
    assert not held.done()
    answered.set()
    await held
    await outbox.published()
    assert await bench.ledger_rows() == [("accepted", True)] * 3
    assert len(bench.kafka.events()) == 3
