"""A selection of dead letters, as an operator types it, becomes real names and times."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from operations.dead_letters import DeadLetterOptions, Filter, filter_of
from operations.options import InvalidOptions
from runtime.settings import read_settings
from schemas.places import Place

SETTINGS = read_settings({
    "CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": "k:1",
    "CAMPAIGNS_DATABASE_URL": "postgresql://x",
    "CAMPAIGNS_TOPIC_PREFIX": "p.",
})  # fmt: skip
NAIVE = datetime(2026, 3, 1, 12)  # noqa: DTZ001 - as it is typed


@pytest.mark.parametrize(
    ("options", "selection"),
    [
        (DeadLetterOptions(), Filter()),
        (DeadLetterOptions(topic="send.jobs"), Filter(topic="p.send.jobs")),
        (DeadLetterOptions(topic="p.send.jobs.dead"), Filter(topic="p.send.jobs.dead")),
        (DeadLetterOptions(place="send.jobs.dead/1@7"), Filter(place=Place("p.send.jobs.dead", 1, 7))),
        (DeadLetterOptions(since=NAIVE), Filter(since=NAIVE.replace(tzinfo=UTC))),
        (DeadLetterOptions(is_all=True), Filter(with_done=True)),
    ],
)
def test_names_are_completed_and_times_are_utc(options: DeadLetterOptions, selection: Filter) -> None:
    assert filter_of(SETTINGS, options) == selection


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (DeadLetterOptions(topic="no.such"), "not a topic of campaigns"),
        (DeadLetterOptions(place="send.jobs/0@1"), "not a dead letter"),
        (DeadLetterOptions(place="no.such.dead/0@1"), "not a topic of campaigns"),
        (DeadLetterOptions(place="nonsense"), "nonsense"),
    ],
)
def test_an_invalid_place_or_topic_is_refused(options: DeadLetterOptions, message: str) -> None:
    with pytest.raises(InvalidOptions, match=message):
        filter_of(SETTINGS, options)
