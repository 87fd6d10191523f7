"""`send.jobs`: one complete attempt for one recipient, so that the sender queries nothing before its claim."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from schemas.model import ATTEMPT_MAX, CampaignId, RecipientId, UtcTime, WireModel

SCHEMA_VERSION = 1
SendEndpoint = Literal["messages", "marketing_messages"]
"""Where the Cloud API takes messages. The second one takes templates of the category marketing only."""


class SendJob(WireModel):
    """Send this template to this person as this attempt, and not after `send_before`.

    `template_parameters` is either a list of positional body texts, or a mapping of named body texts,
    or ``{"components": [...]}`` exactly as the Cloud API takes them. The phone number is digits only (E.164 without +).
    """

    v: int = SCHEMA_VERSION
    """The version of this schema. It changes only if old readers would misread a record."""
    producer: str = ""
    """The program and version that wrote the record."""
    campaign_id: CampaignId
    """The campaign."""
    recipient_id: RecipientId
    """The row of the recipient."""
    attempt: int = Field(ge=1, le=ATTEMPT_MAX)
    """The number of the attempt. The ledger lets each attempt be claimed once, so a repeated job sends nothing."""
    phone_number_id: str = Field(min_length=1, max_length=64)
    """The Cloud API's id of the number that sends."""
    phone_number: str | None = Field(default=None, pattern=r"^[1-9][0-9]{6,14}$", repr=False)
    """The number of the recipient: digits only, E.164 without the plus. None: the message goes to the user id."""
    user_id: str | None = Field(default=None, pattern=r"^[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}$", repr=False)
    """The business-scoped user id of the recipient, if it is known."""
    template_name: str = Field(min_length=1, max_length=512)
    """The name of the template."""
    language_code: str = Field(min_length=2, max_length=16)
    """The language of the template, as en or en_US."""
    endpoint: SendEndpoint | None = None
    """The endpoint of the Cloud API. None: that of the sender's settings."""
    template_parameters: list[Any] | dict[str, Any] | None = Field(default=None, repr=False)
    """Positional texts, named texts, or components. `domain/parameters.py` has parsed them."""
    send_before: UtcTime
    """After this time the attempt expires without a send."""

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        if self.phone_number is None and self.user_id is None:
            raise ValueError("a phone number or a user id is needed")
        return self

    @property
    def recipient_name(self) -> str:
        """The phone number, or the user id of a recipient without one."""
        return self.phone_number or self.user_id or ""

    @property
    def key(self) -> bytes:
        """The Kafka key: the recipient."""
        return str(self.recipient_id).encode()
