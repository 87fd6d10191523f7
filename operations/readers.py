"""What one record of a replayed topic says, by the rules of the stage that reads it live. Publishes nothing."""

from __future__ import annotations

from domain.correlation import Ownership
from operations.replay import Read, Reader, read_event
from runtime.settings import Settings
from schemas.codec import decode
from schemas.events import RecipientEvent
from schemas.places import Record
from schemas.topics import Topic
from streams.reconciler.reading import Outputs, reconcile

REPLAYABLE = (Topic.WEBHOOKS_RAW, Topic.RECIPIENT_EVENTS)


def reader_of(settings: Settings, topic: Topic) -> Reader:
    """How records of this topic become events. Raises WrongSettings, ValueError for a topic that cannot be replayed."""
    if topic is Topic.RECIPIENT_EVENTS:
        return read_event
    if topic is not Topic.WEBHOOKS_RAW:
        raise ValueError(f"{topic} cannot be replayed")
    settings.require("callback_secret")  # without it nothing of ours would be known as ours
    ours = Ownership(
        settings.callback_secret.get_secret_value().encode(), settings.deployment,
        settings.whatsapp_phone_number_id, settings.time_scale,
    )  # fmt: skip
    return lambda record: read_webhooks(record, ours)


def read_webhooks(record: Record, ours: Ownership) -> Read:
    """The events of a record of `webhooks.raw`; what would be dead-lettered is counted by its reason."""
    outputs = Outputs()
    same = Record(record.topic, record.partition, record.offset, record.key, record.value)
    reconcile(same, ours, Topic.RECIPIENT_EVENTS, outputs)
    events = [decode(RecipientEvent, value) for topic, _, value, _ in outputs.published
              if topic == Topic.RECIPIENT_EVENTS]  # fmt: skip
    return Read(events, outputs.dead)
