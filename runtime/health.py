"""The health of this process, for probes: whether it is alive, and whether it can do its work now.

*Alive* means that the event loop runs: a process that is not alive is to be restarted. *Ready* means that the process
has started its work, is not stopping, is not halted, and that its dependencies answer. A process that is not ready may
become ready by itself, so an outage of Kafka or Postgres must not restart it.

There is one state per process, as there is one registry of metrics. The event loop changes it, and the thread of the
probes reads it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

KEPT_S = 2.0
"""How long the answer of a dependency is kept, so that probes cause no load."""

Answers = Callable[[], bool]
"""Whether a dependency answers. It may block for seconds."""


class Health:
    """The state that probes show."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._beat_at = clock()
        self._checks: dict[str, Answers] = {}
        self._has_started = False
        self._is_stopping = False
        self._is_halted = False
        self._lock = threading.Lock()
        self._known: Mapping[str, bool] = {}
        self._known_until = 0.0
        self._is_querying = threading.Event()

    def depend_on(self, name: str, answers: Answers) -> None:
        """Be ready only while `answers` is true."""
        self._checks[name] = answers

    def started(self) -> None:
        """The process has started its work: it serves, has joined its group, or waits for its turn to lead."""
        self._has_started = True

    def halted(self) -> None:
        """The stage is halted, because of too many dead letters, until an operator restarts the process."""
        self._is_halted = True

    def stopping(self) -> None:
        """The process takes no new work."""
        self._is_stopping = True

    def beat(self) -> None:
        """The event loop runs."""
        self._beat_at = self._clock()

    def is_alive(self, limit_s: float) -> bool:
        """Whether the event loop has run within the last `limit_s` seconds."""
        return self._clock() - self._beat_at <= limit_s

    def is_ready(self) -> bool:
        """Whether every condition holds, by the answers of the dependencies that are known.

        It does not wait for a dependency: old answers are queried again in a thread, and the next call has them.
        """
        if self._clock() >= self._known_until and not self._is_querying.is_set():
            self._is_querying.set()
            threading.Thread(target=self._query_once, name="readiness", daemon=True).start()
        return all(self._own().values()) and len(self._known) == len(self._checks) and all(self._known.values())

    def _query_once(self) -> None:
        try:
            self.checks()
        finally:
            self._is_querying.clear()

    def checks(self) -> dict[str, bool]:
        """Each condition of readiness, by name. It queries the dependencies at most once in `KEPT_S`."""
        with self._lock:
            if self._clock() >= self._known_until:
                self._known = {name: answers() for name, answers in self._checks.items()}
                self._known_until = self._clock() + KEPT_S
            known = self._known
        return {**self._own(), **known}

    def _own(self) -> dict[str, bool]:
        return {
            "started": self._has_started,
            "not_stopping": not self._is_stopping,
            "not_halted": not self._is_halted,
        }


HEALTH = Health()
"""The health of this process."""
