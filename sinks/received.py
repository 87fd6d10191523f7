"""When the webhooks of a batch arrived, for the histogram of delays.

The delays end with the commit, and the next batch waits until they are counted. So what takes time for each event is
done before the batch is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from runtime.metrics import ManyHistogram


@dataclass(frozen=True, slots=True)
class ReceivedTimes:
    """Seconds since 1970."""

    times_s: Sequence[float] = ()
    first_s: float = 0.0
    last_s: float = 0.0
    sum_s: float = 0.0

    def observe(self, histogram: ManyHistogram, now_s: float) -> None:
        """Observe the delay of each until `now_s`. The clocks are not the same: a delay below 0 counts as 0."""
        count = len(self.times_s)
        if not count:
            return
        least_s, most_s = now_s - self.last_s, now_s - self.first_s
        if least_s < 0 or not histogram.observe_alike(least_s, most_s, count, count * now_s - self.sum_s):
            histogram.observe_many([max(0.0, now_s - each) for each in self.times_s])


NEVER_RECEIVED = ReceivedTimes()


def received_times(received_at: Sequence[datetime]) -> ReceivedTimes:
    """These aware times."""
    times_s = list(map(datetime.timestamp, received_at))
    return ReceivedTimes(times_s, min(times_s), max(times_s), sum(times_s)) if times_s else NEVER_RECEIVED
