"""A time limit for many waits of the same length, with one timer for all of them.

`asyncio.timeout` sets and cancels a timer for each wait. In the ingress that would cost more than the check of the
signature, although nearly every body is there within a millisecond.

    task = deadlines.begin()
    try:
        message = await receive()
    except asyncio.CancelledError:
        if deadlines.is_overdue(task):
            return TOO_SLOW
        raise
    finally:
        deadlines.end(task)
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any

_Task = asyncio.Task[Any]


class Deadlines:
    """Cancels tasks whose wait takes longer than `timeout_s`. It belongs to one event loop."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._began: dict[_Task, float] = {}
        """When each wait began. They are in the order of their ends, because all have the same length."""
        self._overdue: set[_Task] = set()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> _Task:
        """Begin a wait of the current task. A task has one wait at a time."""
        task = asyncio.current_task()
        assert task is not None, "a wait is part of a task"
        self._began[task] = monotonic()
        if self._timer is None:
            self._timer = task.get_loop().call_later(self._timeout_s, self._cancel_overdue, task.get_loop())
        return task

    def end(self, task: _Task) -> None:
        """End a wait, however it went."""
        self._began.pop(task, None)
        self._overdue.discard(task)

    def is_overdue(self, task: _Task) -> bool:
        """Whether the cancellation that a task just received comes from here, and from nowhere else."""
        return task in self._overdue and task.uncancel() == 0

    def _cancel_overdue(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cancel the tasks that are overdue, and set the timer for the next one."""
        self._timer = None
        latest = monotonic() - self._timeout_s
        for task, began in list(self._began.items()):
            if began > latest:
                self._timer = loop.call_later(began - latest, self._cancel_overdue, loop)
                return
            del self._began[task]
            self._overdue.add(task)
            task.cancel()
