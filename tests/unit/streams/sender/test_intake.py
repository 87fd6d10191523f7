"""The window of sends in flight, and its slots after a claim that raises."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, cast
from uuid import uuid4

import pytest

from runtime.process import Transient
from schemas.codec import encode
from schemas.jobs import SendJob
from schemas.model import CampaignId, RecipientId
from schemas.places import Record
from streams.sender.gate import Gate
from streams.sender.intake import JobIntake, Window
from topics.dead_letter_limit import DeadLetterLimit
from topics.dead_letters import DeadLetters
from topics.memory import MemoryPublisher


async def test_the_window_gives_its_free_slots_and_waits_for_the_first() -> None:
    window = Window(3)
    assert await window.take(2) == 2
    assert await window.take(5) == 1
    waiting = asyncio.create_task(window.take(5))
    await asyncio.sleep(0)
    assert not waiting.done()
    window.give_back(2)
    assert await waiting == 2
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


def a_job() -> SendJob:
    return SendJob(
        campaign_id=CampaignId(uuid4()), recipient_id=RecipientId(uuid4()), attempt=1, phone_number="15550000000",
        phone_number_id="1", template_name="t", language_code="en", template_parameters=None,
        send_before=datetime(2100, 1, 1, tzinfo=UTC),
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
