"""The reconciler with a crash in C: a body that contains `killer` ends the process as a segmentation fault would."""

import asyncio
import os
import signal
from typing import Any

import pytest

from runtime.settings import Settings
from schemas.lenient_json import ReadJson, read_json
from streams.reconciler import process


def crash_or_read(raw: bytes) -> ReadJson:
    """Read a body, or end the process."""
    if b"killer" in raw:
        os.kill(os.getpid(), signal.SIGKILL)
    return read_json(raw)


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """The process' coroutine function."""
    changes: dict[str, Any] = {"streams.reconciler.reading.read_json": crash_or_read}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in changes.items():
            patch.setattr(name, value)
        await process.run(settings, stop)
