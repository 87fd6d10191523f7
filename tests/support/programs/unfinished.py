"""A stage whose batch fails until the stop. The process ends, and the batch is unacknowledged."""

import asyncio
from collections.abc import Sequence

from runtime.process import Transient
from runtime.settings import Settings
from schemas.places import Record
from schemas.topics import Topic
from streams.faust_app import Consumption, consume


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Consume, and fail at the moment of the stop."""

    async def fail(_records: Sequence[Record]) -> None:
        stop.set()
        raise Transient("a dependency is away")

    await consume(settings, stop, Consumption("unfinished", settings.topic(Topic.WEBHOOKS_RAW), 10, 0.05, 16), fail)
