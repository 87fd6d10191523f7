"""A batch that is prepared while the one before is written: what it leaves, and what is read again."""

from __future__ import annotations

import pytest

from runtime import metrics
from runtime.settings import Settings
from schemas.codec import encode
from schemas.dead_letters import DeadItem
from schemas.events import EventKind, RecipientEvent
from schemas.places import Record, TopicIdentity
from schemas.reasons import DeadLetterReason
from sinks import batch, prepared
from sinks.batch import last_offsets, moves_of
from sinks.writer import BatchWriter
from tables import offsets
from tests.support.world import World

TOPIC = TopicIdentity("cluster", "recipient.events", "id")


class Letters:
    """Dead letters that are kept here instead of in Kafka."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    async def publish(self, dead: list[DeadItem], _records: list[Record]) -> None:
        self.reasons += [item.reason for item in dead]

    def forget(self, records: list[Record]) -> None:
        """Nothing to forget."""


class Beginning:
    """A writer at the beginning of the topic, and what it did."""

    def __init__(self, world: World, settings: Settings) -> None:
        self.world = world
        self.letters = Letters()
        self.writer = BatchWriter(settings, TOPIC, self.letters)  # type: ignore[arg-type]

    async def prepare(self, *events: RecipientEvent | bytes) -> list[Record]:
        values = [event if isinstance(event, bytes) else encode(event) for event in events]
        records = [Record(TOPIC.topic, 0, offset, b"key", value) for offset, value in enumerate(values)]
        await offsets.read_offsets(self.world.connection, TOPIC, {0: (0, len(records))})
        await self.writer.foresee(records)
        return records

    async def write(self, records: list[Record]) -> None:
        await self.writer.write(records, moves_of(last_offsets(records), {0: 0}))
        await self.writer.close()

    async def statuses(self) -> list[str]:
        rows = await self.world.run("SELECT status FROM campaign_recipients ORDER BY id")
        return [status for (status,) in rows]

    async def messages(self) -> int:
        return len(await self.world.run("SELECT wamid FROM messages"))


@pytest.fixture
def beginning(world: World, settings: Settings) -> Beginning:
    return Beginning(world, settings)


async def test_usual_events_others_and_malformed_records_are_prepared(beginning: Beginning) -> None:
    world = beginning.world
    read, failed, gone = await world.add_recipients(3)
    await world.run("DELETE FROM campaign_recipients WHERE id = %s", gone)
    records = await beginning.prepare(
        world.event(read, EventKind.READ, 3),
        b"x",
        world.retryable_failure(failed, 2),
        world.event(gone, EventKind.ACCEPTED, 1),
    )
    assert len(beginning.writer._foreseen) == 1
    assert await beginning.statuses() == ["pending", "pending"], "nothing is written yet"
    await beginning.write(records)
    assert await beginning.statuses() == ["read", "failed"]
    assert sorted(beginning.letters.reasons) == [DeadLetterReason.MALFORMED, DeadLetterReason.UNKNOWN_RECIPIENT]
    assert beginning.writer._foreseen == []


async def test_a_status_without_a_recipient_is_written_beside_usual_events(beginning: Beginning) -> None:
    world = beginning.world
    read, accepted = await world.add_recipients(2)
    parked = world.event(accepted, EventKind.READ, 3, recipient_id=None, campaign_id=None, attempt=None)
    records = await beginning.prepare(
        world.event(read, EventKind.READ, 3), parked, world.event(accepted, EventKind.ACCEPTED, 1)
    )
    before = metrics.SINK_ROWS._value.get()
    await beginning.write(records)
    assert await beginning.statuses() == ["read", "read"]
    assert metrics.SINK_ROWS._value.get() - before == 2


async def test_a_batch_is_as_large_as_its_decoded_events_fit_into_memory(
    beginning: Beginning, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "DECODED_MAX", batch.DECODED_EVENT + 1_000)
    world, writer = beginning.world, beginning.writer
    first, second, third = await world.add_recipients(3)
    records = await beginning.prepare(
        world.retryable_failure(first, 2), world.event(second, EventKind.READ, 3), world.retryable_failure(third, 2)
    )
    [prepared_part] = writer._foreseen
    assert [record.offset for record in prepared_part.records] == [0, 1]
    await writer.write(prepared_part.records, moves_of(last_offsets(prepared_part.records), {0: 0}))
    assert await beginning.statuses() == ["failed", "read", "pending"]
    rest = records[2:]
    assert await writer.foresee(rest) is rest
    await writer.write(rest, moves_of(last_offsets(rest), {0: 2}))
    await writer.close()
    assert await beginning.statuses() == ["failed", "read", "failed"]


async def test_rows_are_read_again_for_a_batch_that_waited(
    beginning: Beginning, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As while Postgres was unavailable: an operator has erased somebody meanwhile."""
    world = beginning.world
    gone, kept = await world.add_recipients(2)
    records = await beginning.prepare(world.event(gone, EventKind.READ, 3), world.event(kept, EventKind.READ, 3))
    await world.run("DELETE FROM campaign_recipients WHERE id = %s", gone)
    monkeypatch.setattr(prepared, "READ_AGE_MAX_S", -1.0)
    await beginning.write(records)
    assert (await beginning.statuses(), await beginning.messages()) == (["read"], 1)


async def test_a_batch_that_could_not_be_prepared_is_written(beginning: Beginning) -> None:
    world = beginning.world
    (person,) = await world.add_recipients(1)
    connection = await beginning.writer._reading.get()
    await world.run("SELECT pg_terminate_backend(%s)", connection.info.backend_pid)
    records = await beginning.prepare(world.event(person, EventKind.READ, 3))
    assert beginning.writer._foreseen == []
    await beginning.write(records)
    assert await beginning.statuses() == ["read"]
