"""Test doubles of our processes, for faults that cannot be caused from outside: one function is replaced.

    python -m tests.faults.doubles DOUBLE KIND

The double changes a loaded module, then runs the process as the CLI does. The product contains no code for this.
"""

from __future__ import annotations

import datetime as real
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from typing import Any, NoReturn

from cli.processes import MODULES, run_named

CRASHES_EVERY = 16
"""The double's bug affects the recipients whose id is divisible by this number."""
STEP_S = 300.0
"""It must be below 10 minutes, the limit for a timestamp of the provider that is ahead of our clock."""
OURS = ("api", "domain", "producers", "runtime", "schemas", "sinks", "streams", "tables", "topics")


def crashes(recipient_id: Any) -> bool:
    """Whether the records of this recipient make the code raise."""
    return recipient_id is not None and recipient_id.int % CRASHES_EVERY == 0


def _raise_for(recipient_id: Any) -> None:
    if crashes(recipient_id):
        raise ZeroDivisionError("the double's bug")


def _raise_for_any(events: Iterable[Any]) -> None:
    for event in events:
        _raise_for(event.recipient_id)


def crash(kind: str) -> None:
    """The code of this stage raises for the records of some recipients."""
    if kind == "reconciler":
        _close_short_way()
        _wrap("streams.reconciler.reading", "decide", lambda item, *_: _raise_for(_recipient_in(item)))
    elif kind == "sink":
        _wrap("sinks.apply", "fold", lambda events, *_: _raise_for_any(events))
    else:
        _wrap("topics.decoding", "decode", None, lambda job: _raise_for(job.recipient_id))


def _close_short_way() -> None:
    """Usual statuses come to `decide`, too: their short way has one function for all, which knows no recipient."""
    inner = import_module("streams.reconciler.process").reconcile
    _replace(
        "streams.reconciler.process",
        "reconcile",
        lambda *given, **named: inner(*given, **named | {"is_short_way_open": False}),
    )


def _recipient_in(item: Any) -> Any:
    from schemas import callback  # noqa: PLC0415 - after the modules of the process

    parts = (item.callback_data or "").split(".")
    return callback._uuid(parts[3]) if len(parts) == 6 else None


def _wrap(
    module: str,
    name: str,
    before: Callable[..., object] | None,
    after: Callable[[Any], object] | None = None,
) -> None:
    loaded = import_module(module)
    inner = getattr(loaded, name)

    def wrapped(*given: Any, **named: Any) -> Any:
        if before is not None:
            before(*given)
        result = inner(*given, **named)
        if after is not None:
            after(result)
        return result

    setattr(loaded, name, wrapped)


def _replace(module: str, name: str, value: object) -> None:
    """Replace a name of a module. Raises AttributeError if the module has no such name."""
    loaded = import_module(module)
    getattr(loaded, name)
    setattr(loaded, name, value)


def twin(kind: str) -> None:
    """A sink in another consumer group. It owns every partition, as the ordinary sinks do together."""
    assert kind == "sink"
    _replace("sinks.sink", "STAGE", "sink-twin")


class Stepped(real.datetime):
    """The clock of the machine plus a step."""

    step = real.timedelta()

    @classmethod
    def now(cls, tz: real.tzinfo | None = None) -> Any:
        """The values have the original class, so that other code works as before."""
        return real.datetime.now(tz) + cls.step


def stepping(kind: str) -> None:
    """SIGUSR1 steps the clock of the process forward, and the next SIGUSR1 steps it back."""
    import_module(MODULES[kind])
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in OURS and getattr(module, "datetime", None) is real.datetime:
            module.datetime = Stepped  # type: ignore[attr-defined]
    now = time.time
    time.time = lambda: now() + Stepped.step.total_seconds()

    def step(*_: object) -> None:
        Stepped.step = real.timedelta() if Stepped.step else real.timedelta(seconds=STEP_S)

    signal.signal(signal.SIGUSR1, step)


def stuck(kind: str) -> None:
    """A sink whose batch never ends, although Kafka and Postgres answer."""
    assert kind == "sink"
    import asyncio  # noqa: PLC0415

    async def never(*_: object) -> NoReturn:
        await asyncio.Event().wait()
        raise AssertionError

    _replace("sinks.writer", "write_folded", never)
    _replace("sinks.writer", "write_usual", never)


DOUBLES: dict[str, Callable[[str], None]] = {"crash": crash, "twin": twin, "stepping": stepping, "stuck": stuck}


def main(argv: Sequence[str]) -> int:
    """Install the double, then run the process."""
    double, kind = argv
    DOUBLES[double](kind)
    return run_named(kind)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
