"""Detects the end of a run: the simulator has sent everything, all records are consumed, and no row is due soon.

Two snapshots in a row must agree, because work may be on its way from one stage to the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from runtime.settings import Settings
from schemas.topics import Topic
from simulator.client import SimulatorClient
from topics.lag import KafkaAway, KafkaQueries
from verdict.rows import AtWork, JudgeConnection, read_at_work

LONGEST_BACKOFF_S = 6 * 3600.0
"""A failed attempt is due again within this time (divided by the time scale) or after a day. The run ends in between:
recipients that wait for a day are reported and not waited for."""
CONSUMED = (
    ("sender", Topic.SEND_JOBS),
    ("reconciler", Topic.WEBHOOKS_RAW),
    ("sink", Topic.RECIPIENT_EVENTS),
)
ADMIN_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of everything that may still change."""

    is_quiet: bool
    """The simulator has answered every request, and all its statuses were acknowledged."""
    posts: int
    at_work: AtWork
    lag: int | None
    """Records that are not consumed yet; None while that is unknown."""

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing will happen within the horizon."""
        work = self.at_work
        resting = not (work.unfinished or work.due_soon or work.unsettled_or_unpublished or work.released)
        return self.is_quiet and resting and self.lag == 0

    def describe(self) -> str:
        """The work that is left, as text."""
        work = self.at_work
        counts = (
            (work.unfinished, "rows unfinished"),
            (work.due_soon, "due soon"),
            (work.unsettled_or_unpublished, "sends unsettled"),
            (self.lag or 0, "records to consume"),
        )
        going_on = [f"{n} {what}" for n, what in counts if n]
        return (
            ", ".join(going_on if self.is_quiet else ["the simulator still has statuses to deliver", *going_on])
            or "at rest"
        )


class CompletionWatcher:
    """Takes snapshots until two in a row are at rest and equal."""

    def __init__(
        self, settings: Settings, simulator: SimulatorClient, connection: JudgeConnection, campaign: str
    ) -> None:
        self._settings = settings
        self._simulator = simulator
        self._connection = connection
        self._campaign = campaign
        self._horizon_s = LONGEST_BACKOFF_S / settings.time_scale
        self._last: Snapshot | None = None

    def read(self) -> tuple[Snapshot, bool]:
        """Take a snapshot, and return it with whether the run is over."""
        state: dict[str, Any] = self._simulator.state()
        at_work = read_at_work(self._connection, self._campaign, self._horizon_s)
        snapshot = Snapshot(bool(state["quiet"]), int(state["received"]), at_work, None)
        if snapshot.is_quiet and not at_work.unfinished:
            snapshot = Snapshot(snapshot.is_quiet, snapshot.posts, at_work, self._lag())
        is_over = snapshot.is_at_rest and snapshot == self._last
        self._last = snapshot
        return snapshot, is_over

    def _lag(self) -> int | None:
        """Records that a group has not committed yet; None while Kafka does not answer."""
        try:
            with KafkaQueries(self._settings, ADMIN_TIMEOUT_S) as kafka:
                return sum(self._lag_of(kafka, group, self._settings.topic(topic)) for group, topic in CONSUMED)
        except KafkaAway:
            return None

    @staticmethod
    def _lag_of(kafka: KafkaQueries, group: str, topic: str) -> int:
        watermarks = kafka.watermarks(topic)
        committed = kafka.committed(group, topic, watermarks)
        # A partition that was never written to has no committed offset, and its low and high watermark are equal.
        return sum(high - committed.get(partition, low) for partition, (low, high) in watermarks.items())
