"""The reconciler, where the broker goes away between the look at the topic and Faust's start: it is not looked at."""

import asyncio

import pytest

from runtime.settings import Settings
from streams.reconciler import process


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """The process' coroutine function."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streams.faust_app.require_topic", lambda *_: None)
        await process.run(settings, stop)
