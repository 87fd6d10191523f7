"""`recipient.events`: the outcomes and statuses of attempts.

An event states something that happened; it never commands. The set of kinds is closed, and each
carries exactly what the merge in `domain.facts` reads. A status that Meta sent without our callback data has
a wamid only; the sink finds the attempt it belongs to.

Events are delivered at least once and in any order. Readers must not add them up: they keep facts that only grow.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from schemas.model import ATTEMPT_MAX, CampaignId, RecipientId, UtcTime, Wamid, WireModel

SCHEMA_VERSION = 1
CODE_MAX = 2_147_483_647
"""The largest error code that Postgres stores."""


class EventKind(StrEnum):
    """What happened. The first eight are ours, the others come from Meta's webhooks."""

    ACCEPTED = "accepted"
    """The Cloud API answered 200."""
    REJECTED = "rejected"
    """The Cloud API answered with an error that proves that nothing was sent."""
    DEFERRED = "deferred"
    """Surely not sent; may be sent from `not_before` on."""
    EXPIRED = "expired"
    """Surely not sent: `send_before` had passed, or the claim could not be renewed."""
    UNKNOWN = "unknown"
    """The outcome of the send is unknown. It is never repeated automatically."""
    SKIPPED = "skipped"
    """Surely not sent, for a reason that does not pass by waiting."""
    RETRY = "retry"
    """An operator requests to repeat this attempt."""
    ASSUMED_SENT = "assumed_sent"
    """An operator declares an unknown attempt sent."""
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    """`read`, and `played`, which counts as read."""
    FAILED = "failed"
    REPLIED = "replied"


WEBHOOK_KINDS = frozenset({EventKind.SENT, EventKind.DELIVERED, EventKind.READ, EventKind.FAILED, EventKind.REPLIED})


class RetryClass(StrEnum):
    """The consequence of a failure."""

    NEVER = "never"
    BACKOFF = "backoff"
    """Due again after `backoff_s`, while retry_count < max_retries."""
    HELD_BACK = "held_back"
    """131049: due again a day later, three rounds at most; not counted in retry_count."""


class Failure(WireModel):
    """Why an attempt failed, and what may follow. `code` 0 is a real Meta code; None: our own reason."""

    code: int | None = Field(default=None, ge=0, le=CODE_MAX)
    """Meta's error code, or None if the reason is ours."""
    reason: str = Field(max_length=2000)
    """Meta's text, or our reason code."""
    retry_class: RetryClass
    """Whether the recipient becomes due again."""
    backoff_s: int = Field(ge=0, le=30 * 86_400)
    """Seconds from the failure until the recipient is due again."""


class Pricing(WireModel):
    """The type and category of Meta's pricing object; open enumerations."""

    type: str = ""
    """Such as regular or free_customer_service; free, if WhatsApp names no type and the message is not billable."""
    category: str
    """Such as marketing, utility or service."""


class Origin(WireModel):
    """The record, and the item in it, from which this event was read. Operators follow it."""

    topic: str
    """The topic of the record."""
    partition: int
    """Its partition."""
    offset: int
    """Its offset."""
    index: int = 0
    """The position of the item in the record."""


PersonName = Annotated[str, Field(pattern=r"^([0-9]{7,17}|user:[A-Za-z0-9.]{4,140})$")]
"""A key of a person, as `domain/people.py` makes them."""


class RecipientEvent(WireModel):
    """One event. Either recipient and attempt are known, or a wamid identifies them.

    An event may arrive more than once, and after newer ones: delivery is at least once. A webhook status without our
    callback data has a wamid and no recipient, campaign or attempt; its key is the wamid. Such a status may also belong
    to a message that this pipeline did not send.

    Raises ValidationError if fields of its kind are missing.
    """

    v: int = SCHEMA_VERSION
    """The version of this schema. It changes only if old readers would misread a record."""
    producer: str = ""
    """The program and version that wrote the record."""
    kind: EventKind
    """What happened."""
    campaign_id: CampaignId | None = None
    """The campaign, if it is known."""
    recipient_id: RecipientId | None = None
    """The row of the recipient, if it is known. A wamid-only event has none."""
    attempt: int | None = Field(default=None, ge=1, le=ATTEMPT_MAX)
    """The number of the attempt. It is known together with the recipient."""
    wamid: Wamid | None = Field(default=None, min_length=1, max_length=512)
    """WhatsApp's id of the message, if there is a message. It contains the phone number."""
    phone_number_id: str | None = Field(default=None, max_length=64)
    """The Cloud API's id of the number that sent."""
    occurred_at: UtcTime
    """Meta's timestamp for webhooks (whole seconds); our clock for our own kinds."""
    received_at: UtcTime
    """When the webhook or the answer reached us, by our clock."""
    failure: Failure | None = None
    """For failed and rejected."""
    skip_reason: str | None = Field(default=None, max_length=200)
    """For skipped: a lower_snake reason code such as opted_out, campaign_cancelled."""
    not_before: UtcTime | None = None
    """For deferred and expired: the time from which the row is due again."""
    held_for_quality: bool = False
    """Whether the Cloud API accepted the message and holds it back until it has judged the template."""
    pricing: Pricing | None = None
    """The price category, if the webhook has one."""
    also_known_as: list[PersonName] | None = Field(default=None, max_length=4, repr=False)
    """For accepted and sent: keys of the person that the answer or the status named. Those of an answer are without
    that of the number that was dialled. A key is a phone number in digits, or `user:` and a user id. They are personal
    data."""
    origin: Origin | None = None
    """The record from which this event was read."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.recipient_id is None) != (self.attempt is None):
            raise ValueError("recipient_id and attempt are known together or not at all")
        if self.recipient_id is None and (self.wamid is None or self.kind not in WEBHOOK_KINDS):
            raise ValueError("an event without recipient_id must be a webhook status with a wamid")
        if self.kind in (EventKind.FAILED, EventKind.REJECTED) and self.failure is None:
            raise ValueError(f"{self.kind} needs a failure")
        if self.kind in (EventKind.DEFERRED, EventKind.EXPIRED) and self.not_before is None:
            raise ValueError(f"{self.kind} needs not_before")
        if self.kind is EventKind.SKIPPED and not self.skip_reason:
            raise ValueError("skipped needs a skip_reason")
        return self

    @property
    def key(self) -> bytes:
        """The Kafka key: the recipient if it is known, else the wamid."""
        return str(self.recipient_id if self.recipient_id is not None else self.wamid).encode()
