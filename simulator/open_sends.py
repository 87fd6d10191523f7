"""A send between its receipt and its end. It waits by a timer, and not by a task, which costs more than the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from simulator.messages import PlannedSend, SendSteps
from simulator.posts import SendPost

Ended = Callable[[Exception | None], None]
"""Called once when a send was answered or its connection cut, with the error that prevented it: a ConnectionError if
the client has left, and any other if the code is wrong."""


class OpenSend:
    """One send, from its receipt to its answer."""

    __slots__ = ("_ended", "_holding", "_loop", "_planned", "_post", "_steps", "_timer")

    def __init__(self, steps: SendSteps, post: SendPost, loop: asyncio.AbstractEventLoop, ended: Ended) -> None:
        self._steps = steps
        self._post = post
        self._loop = loop
        self._ended = ended
        self._planned: PlannedSend | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._holding: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Receive the send. It ends now or later."""
        self._take(self._receive)

    def abandon(self) -> None:
        """The client has left before the answer."""
        if self._timer is not None:
            self._timer.cancel()
        if self._holding is not None:
            self._holding.cancel()
        if self._planned is not None:
            self._steps.abandon(self._planned)

    def _take(self, step: Callable[[], bool]) -> None:
        """Take one step, which tells whether it is the last one."""
        try:
            is_last = step()
        except Exception as error:  # noqa: BLE001 - the server of this send logs it and answers 500
            self._ended(error)
        else:
            if is_last:
                self._ended(None)

    def _receive(self) -> bool:
        """Judge and plan the send."""
        planned = self._planned = self._steps.receive(self._post)
        if planned is None:
            return True
        if planned.delay_s <= 0.0:
            return self._go_on()
        self._timer = self._loop.call_later(planned.delay_s, self._take, self._go_on)
        return False

    def _go_on(self) -> bool:
        """Answer after the latency, or hold the answer."""
        self._timer = None
        assert self._planned is not None
        if self._steps.holds(self._planned):
            self._holding = asyncio.create_task(self._hold(self._planned), name="simulator held answer")
            return False
        return self._answer()

    async def _hold(self, planned: PlannedSend) -> None:
        """Answer after the hold."""
        await self._steps.hold(planned)
        self._holding = None
        self._take(self._answer)

    def _answer(self) -> bool:
        """Answer, or cut the connection."""
        planned, self._planned = self._planned, None
        assert planned is not None
        self._steps.answer(planned)
        return True
