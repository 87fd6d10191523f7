"""A stage whose agent is cancelled in the middle of a batch. The process ends, and the batch is unacknowledged."""

import asyncio
from collections.abc import Sequence

from runtime.settings import Settings
from schemas.places import Record
from schemas.topics import Topic
from streams.faust_app import Consumption, consume


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Consume, and cancel the agent, as a rebalance of Faust does."""

    async def cancel(_records: Sequence[Record]) -> None:
        task = asyncio.current_task()
        assert task is not None, "the agent runs as a task"
        task.cancel()
        await asyncio.Event().wait()

    await consume(settings, stop, Consumption("cancelled", settings.topic(Topic.WEBHOOKS_RAW), 10, 0.05, 16), cancel)
