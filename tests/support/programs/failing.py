"""A stage whose code raises. The bug must end the process, and the batch stays unacknowledged."""

import asyncio
from collections.abc import Sequence

from runtime.settings import Settings
from schemas.places import Record
from schemas.topics import Topic
from streams.faust_app import Consumption, consume


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Consume, and raise."""

    async def fail(_records: Sequence[Record]) -> None:
        raise ZeroDivisionError

    await consume(settings, stop, Consumption("failing", settings.topic(Topic.WEBHOOKS_RAW), 10, 0.05, 16), fail)
