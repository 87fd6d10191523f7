"""The largest memory of each kind of process over several moments."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from bench.idle.processes import ProcessUse


@dataclass(slots=True)
class Peaks:
    """The largest PSS of each kind, and of all processes together, in MiB."""

    by_kind: dict[str, float] = field(default_factory=dict)
    together_mb: float = 0.0

    def take(self, uses: Iterable[ProcessUse]) -> None:
        """Notice the processes of one moment."""
        now: defaultdict[str, float] = defaultdict(float)
        for use in uses:
            now[use.kind] += use.pss_mb
        for kind, mb in now.items():
            self.by_kind[kind] = max(self.by_kind.get(kind, 0.0), mb)
        self.together_mb = max(self.together_mb, sum(now.values()))
