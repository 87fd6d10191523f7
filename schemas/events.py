"""`recipient.events`: the outcomes and statuses of attempts.

An event states something that happened; it never commands. The set of kinds is closed, and each
carries exactly what the merge in `domain.facts` reads. A status that Meta sent without our callback data has
a wamid only; the sink finds the attempt it belongs to.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from schemas.model import ATTEMPT_MAX, CampaignId, RecipientId, UtcTime, Wamid, WireModel

SCHEMA_VERSION = 1


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

    code: int | None = None
    reason: str = Field(max_length=2000)
    retry_class: RetryClass
    backoff_s: int = Field(ge=0, le=30 * 86_400)


class Pricing(WireModel):
    """The type and category of Meta's pricing object; open enumerations."""

    type: str = ""
    category: str


class Origin(WireModel):
    """The record, and the item in it, from which this event was read. Operators follow it."""

    topic: str
    partition: int
    offset: int
    index: int = 0


class RecipientEvent(WireModel):
    """One event. Either recipient and attempt are known, or a wamid identifies them.

    Raises ValidationError if fields of its kind are missing.
    """

    v: int = SCHEMA_VERSION
    producer: str = ""
    kind: EventKind
    campaign_id: CampaignId | None = None
    recipient_id: RecipientId | None = None
    attempt: int | None = Field(default=None, ge=1, le=ATTEMPT_MAX)
    wamid: Wamid | None = Field(default=None, min_length=1, max_length=512)
    phone_number_id: str | None = Field(default=None, max_length=64)
    occurred_at: UtcTime
    """Meta's timestamp for webhooks (whole seconds); our clock for our own kinds."""
    received_at: UtcTime
    failure: Failure | None = None
    """For failed and rejected."""
    skip_reason: str | None = Field(default=None, max_length=200)
    """For skipped: a lower_snake reason code such as opted_out, campaign_cancelled."""
    not_before: UtcTime | None = None
    """For deferred and expired: the time from which the row is due again."""
    held_for_quality: bool = False
    pricing: Pricing | None = None
    origin: Origin | None = None

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
