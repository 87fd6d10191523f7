"""The window of sends in flight, and its slots after a claim that raises."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from itertools import count
from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from domain.error_codes import ThrottleScope
from runtime.process import Transient
from schemas.codec import encode
from schemas.jobs import SendJob
from schemas.model import CampaignId, RecipientId
from schemas.places import Record
from streams.sender.claims import Claimed
from streams.sender.gate import Gate
from streams.sender.intake import JobIntake, Window
from tables.ledger import ClaimAnswer, ClaimResult
from topics.dead_letter_limit import DeadLetterLimit
from topics.dead_letters import DeadLetters
from topics.memory import MemoryPublisher


async def test_the_window_gives_its_free_slots_and_waits_for_the_first() -> None:
    window = Window(3)
    assert window.take(2) == 2
    assert window.take(5) == 1
    assert window.take(5) == 0
    waiting = asyncio.create_task(window.free())
    await asyncio.sleep(0)
    assert not waiting.done()
    window.give_back(2)
    await waiting
    assert window.take(5) == 2
    window.give_back(3)
    await window.empty()
    assert window.in_flight == 0


class NothingOld:
    async def wait(self, _unless_closed: Any) -> None:
        """All webhooks are applied."""


class Unreachable:
    """Claims of a Postgres that does not answer."""

    async def claim(self, *_: object) -> object:
        raise Transient("Postgres is away")


IDS = count(1)
"""The ids of recipients, in the order in which the jobs are made."""


def a_job(phone_number_id: str = "1") -> SendJob:
    return SendJob(
        campaign_id=CampaignId(uuid4()), recipient_id=RecipientId(UUID(int=next(IDS))), attempt=1,
        phone_number="15550000000", phone_number_id=phone_number_id, template_name="t", language_code="en",
        template_parameters=None, send_before=datetime(2100, 1, 1, tzinfo=UTC),
    )  # fmt: skip


async def test_a_claim_that_raises_gives_its_slots_back() -> None:
    """The batch is tried again. Each try would otherwise take slots, and none would be left after a few."""
    window = Window(3)
    never = cast("Any", None)
    async with asyncio.TaskGroup() as tasks:
        intake = JobIntake(
            claims=cast("Any", Unreachable()), gate=Gate(1000.0), sends=never, outbox=never, window=window,
            failures=never, tasks=tasks, dead_letters=DeadLetters(MemoryPublisher(), "sender", DeadLetterLimit(1)),
            webhook_age=cast("Any", NothingOld()),
        )  # fmt: skip
        with pytest.raises(Transient):
            await intake.take([Record("send.jobs", 0, 0, None, encode(a_job()))])
    assert window.in_flight == 0


class Refusing:
    """Claims that find every job stale, and keep which jobs shared a statement."""

    def __init__(self) -> None:
        self.chunks: list[list[SendJob]] = []

    async def claim(self, jobs: list[SendJob], *_: object) -> Claimed:
        self.chunks.append(jobs)
        return Claimed({(job.recipient_id, job.attempt): ClaimAnswer(ClaimResult.STALE) for job in jobs}, {}, 0.0)


async def taken(gate: Gate, jobs: list[SendJob], slots: int = 100) -> list[list[SendJob]]:
    """The chunks in which a batch of jobs is claimed."""
    claims, window, never = Refusing(), Window(slots), cast("Any", None)
    async with asyncio.TaskGroup() as tasks:
        intake = JobIntake(
            claims=cast("Any", claims), gate=gate, sends=never, outbox=never, window=window,
            failures=never, tasks=tasks, dead_letters=DeadLetters(MemoryPublisher(), "sender", DeadLetterLimit(1)),
            webhook_age=cast("Any", NothingOld()),
        )  # fmt: skip
        await intake.take([Record("send.jobs", 0, 0, None, encode(job)) for job in jobs])
    assert window.in_flight == 0
    return claims.chunks


async def test_the_jobs_of_several_numbers_share_a_claim_in_the_order_of_their_ids() -> None:
    jobs = [a_job(str(number)) for number in (1, 2, 3, 1, 2, 3)]
    assert await taken(Gate(1000.0), jobs[::-1]) == [jobs]


async def test_numbers_take_turns_where_slots_are_few() -> None:
    jobs = [a_job("1") for _ in range(4)] + [a_job("2") for _ in range(2)]
    chunks = await taken(Gate(1000.0), jobs, slots=2)
    assert [{job.phone_number_id for job in chunk} for chunk in chunks] == [{"1"}, {"2"}, {"1"}]


async def test_a_throttled_number_leaves_its_jobs_and_holds_up_no_other() -> None:
    gate = Gate(1000.0)
    gate.throttled("1", ThrottleScope.NUMBER, 3600.0)
    [[job]] = await taken(gate, [a_job("1"), a_job("2")])
    assert job.phone_number_id == "2"
