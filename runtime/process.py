"""How a process starts, stops and fails: one loop (uvloop's, because it is cheaper), two signals, four exit codes.

The supervisor acts on the exit code alone: 75 restarts at once, 70 restarts and shows a bug, 64 stays down. This
module is independent of the work of the process.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import NoReturn

import structlog
import uvloop

from runtime import logs, metrics, probes
from runtime.health import HEALTH
from runtime.settings import InvalidSettings, Settings
from runtime.tracing import TRACES
from schemas.codec import PRODUCER

EXIT_OK = 0
EXIT_USAGE = 64
EXIT_BUG = 70
EXIT_TRANSIENT = 75

STOP_DEADLINE_S = 43.0
"""Slightly less than the 45 s after which the supervisor kills the process, so that the log has the reason. The longest
drain (sends in flight) fits into it, and it is below the 60 s of an orchestrator."""

LEFTOVERS_S = 5.0
"""Time for tasks that libraries leave in the loop after our code has ended. Some of them swallow their cancellation."""

BEAT_S = 1.0
"""How often the event loop shows that it runs."""

RunProcess = Callable[[Settings, asyncio.Event], Awaitable[None]]


class Transient(Exception):
    """A dependency is away; a restart may find it. It is never raised for an invalid record."""


def run_process(name: str, run: RunProcess, settings: Settings) -> int:
    """Run one process to its end and return its exit code. TERM and INT set the `stop` that `run` gets."""
    logs.configure(settings, process=name)
    metrics.describe(name, PRODUCER.rpartition("/")[2])
    deadline = _Deadline()
    try:
        probes.serve(settings)
        TRACES.start(settings, name)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_until_stopped(run, settings, deadline))
        failure: BaseException | None = None
    except BaseException as error:  # noqa: BLE001 - the one place where every failure becomes an exit code
        failure = error
    finally:
        deadline.lift()
        TRACES.close()
    return _log_end(failure)


def leave(code: int) -> NoReturn:
    """End the interpreter now, because a thread of a library may still wait for a server."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _log_end(failure: BaseException | None) -> int:
    """Log how the process ended, and return the exit code."""
    log = structlog.get_logger("process")
    code = EXIT_OK if failure is None else exit_code(failure)
    if failure is None or code == EXIT_OK:
        log.info("stopped")
        return code
    first, others = _first(failure, code)
    more = {"followed_by": others} if others else {}
    reason = logs.mask_text(str(first) or type(first).__name__)
    if code == EXIT_BUG:
        log.error("ended by a bug", exit_code=code, error=type(first).__name__, reason=reason, **more, exc_info=first)
    else:
        log.error("ended", exit_code=code, reason=reason, **more)
    return code


def _first(failure: BaseException, code: int) -> tuple[BaseException, list[str]]:
    """The exception that ended the process, and the types of those that followed it.

    A task group lists its exceptions in the order in which they were raised. The first one with the exit code of the
    group is the cause; the others mostly come from its end.
    """
    leaves = list(_leaves(failure))
    first = next((each for each in leaves if exit_code(each) == code), failure)
    return first, [type(each).__name__ for each in leaves if each is not first]


def _leaves(failure: BaseException) -> Iterator[BaseException]:
    if isinstance(failure, BaseExceptionGroup):
        for inner in failure.exceptions:
            yield from _leaves(inner)
    else:
        yield failure


def exit_code(error: BaseException) -> int:
    """The table of failures and exit codes. The worst of a group counts, so that an outage never hides a bug."""
    match error:
        case BaseExceptionGroup():
            return max((exit_code(inner) for inner in error.exceptions), key=_SEVERITY.index)
        case SystemExit():
            return error.code if isinstance(error.code, int) else EXIT_BUG if error.code else EXIT_OK
        case Transient() | KeyboardInterrupt() | probes.PortTaken():
            return EXIT_TRANSIENT
        case InvalidSettings():
            return EXIT_USAGE
        case _:
            return EXIT_BUG


_SEVERITY = (EXIT_OK, EXIT_TRANSIENT, EXIT_USAGE, EXIT_BUG)


async def _until_stopped(run: RunProcess, settings: Settings, deadline: _Deadline) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if not stop.is_set():
            structlog.get_logger("process").info("stopping")
            HEALTH.stopping()
            deadline.start()
            stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    structlog.get_logger("process").info("started", pid=os.getpid())
    beating = asyncio.create_task(_beat())
    try:
        await run(settings, stop)
    except BaseException as failure:
        deadline.only_leftovers(failure)
        raise
    finally:
        beating.cancel()
    deadline.only_leftovers(None)


async def _beat() -> None:
    while True:
        HEALTH.beat()
        await asyncio.sleep(BEAT_S)


class _Deadline:
    """Ends this process at a deadline, even if its event loop is blocked."""

    def __init__(self) -> None:
        self._timer: threading.Timer | None = None

    def start(self) -> None:
        """Start the deadline of a stop. The exit code is 75."""
        self._set(STOP_DEADLINE_S, self._end)

    def only_leftovers(self, failure: BaseException | None) -> None:
        """Our code has ended with `failure`. The remaining tasks are cancelled and get a short time to end."""
        self._set(LEFTOVERS_S, lambda: leave(_log_end(failure)))

    def lift(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _set(self, after_s: float, then: Callable[[], None]) -> None:
        self.lift()
        self._timer = threading.Timer(after_s, then)
        self._timer.daemon = True
        self._timer.start()

    @staticmethod
    def _end() -> None:
        structlog.get_logger("process").error("the process did not stop in time", deadline_s=STOP_DEADLINE_S)
        os._exit(EXIT_TRANSIENT)
