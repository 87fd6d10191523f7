"""`send.jobs`: one complete attempt for one recipient, so that the sender queries nothing before its claim."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from schemas.model import ATTEMPT_MAX, CampaignId, RecipientId, UtcTime, WireModel

SCHEMA_VERSION = 1


class SendJob(WireModel):
    """Send this template to this number as this attempt, and not after `send_before`.

    `template_parameters` is either a list of positional body texts, or a mapping of named body texts,
    or ``{"components": [...]}`` exactly as the Cloud API takes them. The phone number is digits only (E.164 without +).
    """

    v: int = SCHEMA_VERSION
    producer: str = ""
    campaign_id: CampaignId
    recipient_id: RecipientId
    attempt: int = Field(ge=1, le=ATTEMPT_MAX)
    phone_number_id: str = Field(min_length=1, max_length=64)
    phone_number: str = Field(pattern=r"^[1-9][0-9]{6,14}$", repr=False)
    template_name: str = Field(min_length=1, max_length=512)
    language_code: str = Field(min_length=2, max_length=16)
    template_parameters: list[Any] | dict[str, Any] | None = Field(default=None, repr=False)
    send_before: UtcTime

    @property
    def key(self) -> bytes:
        """The Kafka key: the recipient."""
        return str(self.recipient_id).encode()
