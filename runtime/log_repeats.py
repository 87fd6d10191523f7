"""Collapses the repeated lines of client libraries: one line a minute for each server, with a count.

While a broker is away, the client libraries log each attempt to reach it: dozens of lines a second, which bury the one
line that tells why a process waits. A line of a kind that was not seen for its server before always passes, so a
refused password is not hidden behind refused connections.
"""

from __future__ import annotations

import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

LIBRARIES = ("aiokafka", "faust", "librdkafka", "mode", "psycopg")
"""Loggers whose lines repeat. psycopg's pool logs below it."""
EVERY_S = 60.0
SERVERS_MAX = 256
"""Servers that are remembered; the one that was silent for longest is forgotten."""
KINDS_MAX = 32
"""Kinds of lines that are remembered for a server."""

_SERVER = re.compile(
    r"(?P<host>[A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9a-fA-F:]+\])[\"']?(?::|, (?:port )?)(?P<port>\d{2,5})(?!\d|[.:]\d)"
)
_CHANGING = re.compile(r"0x[0-9a-fA-F]+|\d+")
_WORD_MAX = 200


@dataclass
class _Server:
    """What was logged about one server by one library."""

    passed_at: float
    suppressed: int = 0
    kinds: set[str] = field(default_factory=set)


class RepeatFilter(logging.Filter):
    """Passes one line a minute for each library and server, and adds how many it has held back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._servers: OrderedDict[tuple[str, str], _Server] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is logged."""
        library = record.name.partition(".")[0]
        if library not in LIBRARIES or record.levelno >= logging.CRITICAL:
            return True
        text = record.getMessage()
        key = library, server_of(text)
        known = self._servers.get(key)
        now = self._clock()
        if known is None:
            self._servers[key] = _Server(now, kinds={kind_of(text)})
            if len(self._servers) > SERVERS_MAX:
                self._servers.popitem(last=False)
            return True
        self._servers.move_to_end(key)
        kind = kind_of(text)
        is_new = kind not in known.kinds and len(known.kinds) < KINDS_MAX
        if is_new:
            known.kinds.add(kind)
        if not is_new and now - known.passed_at < EVERY_S:
            known.suppressed += 1
            return False
        if known.suppressed:
            record.msg = f"{text} (held back in {now - known.passed_at:.0f} s: {known.suppressed} repeated lines)"
            record.args = None
        known.passed_at, known.suppressed = now, 0
        return True


def server_of(text: str) -> str:
    """The first `host:port` in a line, also as Python and libpq write it; empty if there is none."""
    found = _SERVER.search(text)
    return f"{found['host']}:{found['port']}" if found else ""


def kind_of(text: str) -> str:
    """The line without what changes from one to the next: numbers and addresses."""
    return _CHANGING.sub("#", text[:_WORD_MAX])
