"""A topic is deleted and recreated under a running sink. The sink must stop and name the command for the operator.

If the new topic has at least as many records as the old one, its offsets look valid, so the sink must detect the new
topic in another way.
"""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from confluent_kafka import KafkaException

from schemas.codec import encode
from schemas.events import EventKind, RecipientEvent
from tests.support.histories import START
from tests.support.kafka_topics import create_topics, delete_topic, put
from tests.support.processes import environment, process
from tests.support.waiting import eventually
from tests.support.world import NUMBER_ID, open_world

pytestmark = [pytest.mark.faults, pytest.mark.slow]
PEOPLE = 40
ENDS_WITHIN_S = 60.0


def events(people: list[UUID], kind: EventKind) -> list[tuple[bytes | None, bytes]]:
    published = [
        RecipientEvent(
            kind=kind,
            recipient_id=person,
            attempt=1,
            phone_number_id=NUMBER_ID,
            occurred_at=START,
            received_at=START,
        )
        for person in people
    ]
    return [(event.key, encode(event)) for event in published]


@pytest.mark.parametrize("times", [1, 4])
async def test_a_topic_recreated_under_a_running_sink_stops_it(
    kafka: str, database_url: str, topic_prefix: str, tmp_path: Path, times: int
) -> None:
    topic = f"{topic_prefix}recipient.events"
    create_topics(kafka, topic, f"{topic_prefix}subscription.events", f"{topic_prefix}campaign.control")
    create_topics(kafka, f"{topic}.dead", partitions=1)
    async with open_world(database_url) as world:
        people: list[UUID] = list(await world.add_recipients(PEOPLE))

    def count_in_status(status: str) -> int:
        with psycopg.connect(database_url, autocommit=True) as connection:
            found = connection.execute(
                "SELECT count(*) FROM campaign_recipients WHERE status = %s", [status]
            ).fetchone()
        assert found is not None
        return int(found[0])

    def recreate() -> bool:
        try:
            create_topics(kafka, topic)
        except KafkaException:
            return False  # the name of a deleted topic stays taken for a moment
        return True

    variables = environment(kafka, topic_prefix, CAMPAIGNS_DATABASE_URL=database_url)
    with process("sinks.sink", variables, tmp_path) as sink:
        put(kafka, topic, events(people, EventKind.SENT))
        eventually(lambda: count_in_status("sent") == PEOPLE, "the first topic is applied")
        delete_topic(kafka, topic)
        eventually(recreate, "the topic is recreated")
        put(kafka, topic, events(people, EventKind.DELIVERED) * times)
        code = sink.child.wait(ENDS_WITHIN_S)
        assert code not in (0, 75), sink.log
        if "--accept-topic" in sink.log:
            return
    with process("sinks.sink", variables, tmp_path) as restarted:
        assert restarted.child.wait(ENDS_WITHIN_S) not in (0, 75), restarted.log
        assert "--accept-topic" in restarted.log
