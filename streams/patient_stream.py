"""A stream of Faust that waits for its first event, and not for a clock.

Faust's `take_events` wakes at the end of every `within`, also when nothing has come: 20 times a second and 0.4 % of a
core for a worker that has nothing to do. This stream begins to count `within` when an event has come.
"""

from __future__ import annotations

import asyncio
from typing import Any

import faust


class PatientStream(faust.Stream[Any]):
    """The stream of `take_events`, which alone calls `wait_for_stopped`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._has_come = asyncio.Event()
        self.add_processor(self._note)  # it runs before the processor that fills the buffer of `take_events`

    def _note(self, value: Any) -> Any:
        """Note that an event is about to be in the buffer."""
        self._has_come.set()
        return value

    async def wait_for_stopped(self, *waits: Any, timeout: Any = None) -> bool:  # noqa: ASYNC109 - Faust names it so
        """Wait for an event, or the stop. Then wait until the batch is full, up to `timeout`, as Faust does.

        An event that comes during a batch is noted, so the next wait does not miss it. One that the batch holds already
        may be noted too, and costs one turn without a batch.
        """
        if not self._has_come.is_set():
            await super().wait_for_stopped(self._has_come.wait())
        self._has_come.clear()
        return bool(await super().wait_for_stopped(*waits, timeout=timeout))
