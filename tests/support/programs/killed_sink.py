"""The sink with a crash in C: an event whose wamid contains `killer` ends the process as a segmentation fault would."""

import asyncio
import os
import signal

import pytest

from runtime.settings import Settings
from schemas.dead_letters import DeadItem
from schemas.model import WireModel
from schemas.places import Record
from sinks import sink
from topics.decoding import decoded


def crash_or_decode(model: type[WireModel], record: Record) -> WireModel | DeadItem:
    """Decode a record, or end the process."""
    if b"killer" in (record.value or b""):
        os.kill(os.getpid(), signal.SIGKILL)
    return decoded(model, record)


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """The process' coroutine function."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sinks.batch.decoded", crash_or_decode)
        await sink.run(settings, stop)
