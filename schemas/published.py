"""The records that other programs may read, each with its topic and its JSON Schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from schemas.control import ControlEvent
from schemas.events import RecipientEvent
from schemas.jobs import SendJob
from schemas.model import WireModel
from schemas.stats import CampaignStats
from schemas.subscriptions import SubscriptionEvent
from schemas.timeline import CampaignMinute
from schemas.topics import Topic


@dataclass(frozen=True, slots=True)
class PublishedRecord:
    """A record and the topic that carries it."""

    topic: Topic
    record: type[WireModel]

    @property
    def file(self) -> str:
        """The file of the record's JSON Schema."""
        return f"{self.record.__name__}.json"


PUBLISHED: tuple[PublishedRecord, ...] = (
    PublishedRecord(Topic.SEND_JOBS, SendJob),
    PublishedRecord(Topic.RECIPIENT_EVENTS, RecipientEvent),
    PublishedRecord(Topic.SUBSCRIPTION_EVENTS, SubscriptionEvent),
    PublishedRecord(Topic.CAMPAIGN_CONTROL, ControlEvent),
    PublishedRecord(Topic.CAMPAIGN_STATS, CampaignStats),
    PublishedRecord(Topic.CAMPAIGN_TIMELINE, CampaignMinute),
)


def schema_of(record: type[WireModel]) -> dict[str, Any]:
    """The JSON Schema that a reader needs.

    A reader must accept records without the optional fields, and records with fields that it does not know.
    """
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **record.model_json_schema(mode="validation")}


def registered_schema_of(record: type[WireModel]) -> dict[str, Any]:
    """The same in draft 7: registries compare versions in it, and Apicurio and Karapace cannot in a later draft."""
    schema = record.model_json_schema(mode="validation", ref_template="#/definitions/{model}")
    if definitions := schema.pop("$defs", None):
        schema["definitions"] = definitions
    return {"$schema": "http://json-schema.org/draft-07/schema#", **schema}
