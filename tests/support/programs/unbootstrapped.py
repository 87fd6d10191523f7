"""A stage whose consumer gets metadata without brokers, as from a broker that was frozen for some seconds."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka.client import AIOKafkaClient

from runtime.settings import Settings
from schemas.places import Record
from schemas.topics import Topic
from streams.faust_app import Consumption, consume


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Consume nothing, because the group is never joined."""

    async def without_brokers(_client: AIOKafkaClient, _kind: Any, _group: Any) -> int:
        raise AssertionError

    async def handle(_records: Sequence[Record]) -> None:
        """Accept every record."""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AIOKafkaClient, "coordinator_lookup", without_brokers)
        consumption = Consumption("unbootstrapped", settings.topic(Topic.WEBHOOKS_RAW), 10, 0.05, 16)
        await consume(settings, stop, consumption, handle)
