"""What one record of a replayed topic says, by the rules of the stage that reads it live. Publishes nothing."""

from __future__ import annotations

from collections import Counter

from domain.correlation import Ownership
from operations.replay import Read, Reader, read_event
from runtime.settings import Settings
from schemas.places import Record
from schemas.topics import Topic
from streams.reconciler.reading import reconcile

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
    """The events of a record of `webhooks.raw`; the reasons of its dead letters are counted."""
    found = reconcile(record, ours)
    return Read(found.events, Counter(item.reason for item in found.dead))
