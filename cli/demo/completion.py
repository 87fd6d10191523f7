"""When the run is over: the simulator has said all, every record is consumed, and no row waits for anything near.

Two looks must agree, because what one stage has finished may not have reached the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cli.demo.clients import SimulatorClient
from runtime.settings import Settings
from schemas.topics import Topic
from topics.lag import KafkaAway, KafkaQueries
from verdict.rows import AtWork, JudgeConnection, read_at_work

LONGEST_BACKOFF_S = 6 * 3600.0
"""A failed attempt is due again within this time (divided by the time scale), or a day after: the horizon of the run
lies between. What waits for a day is reported, not waited for."""
CONSUMED = (
    ("sender", Topic.SEND_JOBS),
    ("reconciler", Topic.WEBHOOKS_RAW),
    ("sink", Topic.RECIPIENT_EVENTS),
)
ADMIN_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One look at everything that may still be moving."""

    is_quiet: bool
    """The simulator has answered every request, and every status it had to say was acknowledged."""
    posts: int
    at_work: AtWork
    lag: int | None
    """Records not consumed yet; None where a group has committed nothing so far."""

    @property
    def is_calm(self) -> bool:
        """Whether nothing will happen within the horizon."""
        work = self.at_work
        resting = not (work.unfinished or work.due_soon or work.unsettled_or_unpublished or work.released)
        return self.is_quiet and resting and self.lag == 0

    def describe(self) -> str:
        """What is still going on, for people."""
        work = self.at_work
        counts = (
            (work.unfinished, "rows unfinished"),
            (work.due_soon, "due soon"),
            (work.unsettled_or_unpublished, "sends unsettled"),
            (self.lag or 0, "records to consume"),
        )
        going_on = [f"{n} {what}" for n, what in counts if n]
        return ", ".join(going_on if self.is_quiet else ["WhatsApp is still talking", *going_on]) or "at rest"


class CompletionWatcher:
    """Looks again and again, until two looks in a row are calm and the same."""

    def __init__(
        self, settings: Settings, simulator: SimulatorClient, connection: JudgeConnection, campaign: str
    ) -> None:
        self._settings = settings
        self._simulator = simulator
        self._connection = connection
        self._campaign = campaign
        self._horizon_s = LONGEST_BACKOFF_S / settings.time_scale
        self._last: Snapshot | None = None

    def look(self) -> tuple[Snapshot, bool]:
        """What is going on, and whether it is over."""
        state: dict[str, Any] = self._simulator.state()
        at_work = read_at_work(self._connection, self._campaign, self._horizon_s)
        look = Snapshot(bool(state["quiet"]), int(state["received"]), at_work, None)
        if look.is_quiet and not at_work.unfinished:
            look = Snapshot(look.is_quiet, look.posts, at_work, self._lag())
        is_over = look.is_calm and look == self._last
        self._last = look
        return look, is_over

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
