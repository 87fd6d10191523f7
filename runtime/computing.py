"""Lets a thread of this process compute for seconds beside the event loop, without either one waiting much."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from runtime.collector import collecting_rarely

SWITCH_S = 0.0005
"""How often a thread that computes lends the interpreter. At the usual 5 ms, Postgres waits after each answer."""
COLLECTED_AFTER = (200_000, 20, 100)
"""Objects between two searches for garbage. The lines of the chunks of two imports have fewer, and make no cycle."""


class _Computing:
    """The settings of the process. The first block changes them, and the last one restores them."""

    def __init__(self) -> None:
        self._blocks = 0
        self._ending = ExitStack()

    @contextmanager
    def block(self) -> Iterator[None]:
        """Keep the settings for threads that compute, until the end of the block."""
        if not self._blocks:
            self._ending.callback(sys.setswitchinterval, sys.getswitchinterval())
            sys.setswitchinterval(SWITCH_S)
            self._ending.enter_context(collecting_rarely(COLLECTED_AFTER))
        self._blocks += 1
        try:
            yield
        finally:
            self._blocks -= 1
            if not self._blocks:
                self._ending.close()


computing = _Computing().block
"""A context manager for a block that computes in threads. Blocks may overlap."""
