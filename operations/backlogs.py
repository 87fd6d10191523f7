"""How far each stage is behind, by partition: what `campaigns lag` shows. Kafka alone is enough for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from operations.status import STAGES, mean_statuses
from runtime.settings import Settings
from schemas.places import Watermarks
from schemas.topics import Topic
from topics.lag import KafkaQueries


@dataclass(frozen=True, slots=True)
class PartitionBacklog:
    """What waits for a stage in one partition."""

    stage: str
    topic: str
    partition: int
    next_offset: int
    """The first record that the stage has not passed."""
    end: int
    records: int
    statuses: int | None
    """Statuses in these records; for bundles an estimate. None: jobs have no statuses."""
    oldest_at: datetime | None
    """When the oldest of them was written."""


def read_backlogs(settings: Settings, sink_positions: Mapping[int, int] | None) -> list[PartitionBacklog]:
    """Query Kafka. `sink_positions`: the sink's offsets in Postgres, which are exact; None: those in Kafka are used.

    Raises Transient if Kafka does not answer. The call blocks.
    """
    found: list[PartitionBacklog] = []
    with KafkaQueries(settings) as broker:
        for stage, topic in STAGES.items():
            name = settings.topic(topic)
            marks = broker.watermarks(name)
            stored = sink_positions if stage == "sink" else None
            passed = broker.committed(stage, name, marks) if stored is None else stored
            starts = {p: min(max(low, passed.get(p, low)), high) for p, (low, high) in marks.items()}
            waiting = {(name, p): start for p, start in starts.items() if start < marks[p][1]}
            times = broker.times_at(waiting)
            per_record = _statuses_per_record(broker, topic, name, starts, marks)
            for partition, start in sorted(starts.items()):
                end = marks[partition][1]
                statuses = None if per_record is None else round((end - start) * per_record)
                oldest_at = times.get((name, partition))
                found.append(
                    PartitionBacklog(stage, topic.value, partition, start, end, end - start, statuses, oldest_at)
                )
    return found


def _statuses_per_record(
    broker: KafkaQueries, topic: Topic, name: str, starts: Mapping[int, int], marks: Watermarks
) -> float | None:
    """The mean in the first waiting bundles; an event is one status, and a job is none."""
    if topic is not Topic.WEBHOOKS_RAW:
        return 1.0 if topic is Topic.RECIPIENT_EVENTS else None
    waiting = {(name, p): (start, marks[p][1]) for p, start in starts.items() if start < marks[p][1]}
    found = mean_statuses(broker, waiting)
    return 1.0 if found is None else found
