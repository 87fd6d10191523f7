"""A stage that never finishes a batch, for the test of the watchdog."""

import asyncio
from collections.abc import Sequence

from runtime.settings import Settings
from schemas.places import Record
from schemas.topics import Topic
from streams.faust_app import Consumption, consume


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Consume, and hang."""

    async def hang(_records: Sequence[Record]) -> None:
        await asyncio.Event().wait()

    await consume(settings, stop, Consumption("stalling", settings.topic(Topic.WEBHOOKS_RAW), 10, 0.05, 16), hang)
