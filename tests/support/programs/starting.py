"""The reconciler without its check of the topic, as if the broker went down between that check and Faust's start."""

import asyncio

import pytest

from runtime.settings import Settings
from streams.reconciler import process


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """The process' coroutine function."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streams.faust_app.require_topic", lambda *_: None)
        await process.run(settings, stop)
