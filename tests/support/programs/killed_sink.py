"""The sink with a crash in C: an event whose wamid contains `killer` ends the process as a segmentation fault would."""

import asyncio
import os
import signal

import pytest

from runtime.settings import Settings
from schemas.dead_letters import DeadItem
from schemas.model import WireModel
from schemas.places import Record
from schemas.usual_events import UsualEvent, decode_usual
from sinks import sink
from topics.decoding import decoded


def crash_or_decode(model: type[WireModel], record: Record) -> WireModel | DeadItem:
    """Decode a record, or end the process."""
    _crash_at(record.value)
    return decoded(model, record)


def crash_or_decode_usual(value: bytes | None) -> UsualEvent | None:
    """The same for a usual event."""
    _crash_at(value)
    return decode_usual(value)


def _crash_at(value: bytes | None) -> None:
    if b"killer" in (value or b""):
        os.kill(os.getpid(), signal.SIGKILL)


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """The process' coroutine function."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sinks.batch.decoded", crash_or_decode)
        patch.setattr("sinks.usual.decode_usual", crash_or_decode_usual)
        await sink.run(settings, stop)
