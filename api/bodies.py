"""The bodies of requests and answers as pydantic models. The OpenAPI document is generated from them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from domain.days import UnknownTimeZone, zone
from domain.error_codes import ErrorClass
from domain.lifecycle import CampaignStatus
from domain.phone_numbers import COUNTRIES
from domain.status import Status
from schemas.events import CODE_MAX
from schemas.reasons import ParameterRefusal, RecipientRefusal
from schemas.subscriptions import Source
from tables.campaigns import PAUSED_BY_OPERATOR

RECIPIENTS_MAX = 10_000
"""Most recipients in one request."""


def _storable(text: str) -> str:
    """Refuse text that PostgreSQL cannot store: NUL, and half of a surrogate pair."""
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("contains a character that cannot be stored")
    return text


def _known_zone(name: str) -> str:
    try:
        zone(name)
    except UnknownTimeZone:
        raise ValueError("is not an IANA time zone such as America/Sao_Paulo") from None
    return name


def _known_country(code: str) -> str:
    if code not in COUNTRIES:
        raise ValueError("is not an ISO 3166 code of a country with phone numbers, such as DE or US")
    return code


Text = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S"), AfterValidator(_storable)]


Country = Annotated[
    str,
    Field(pattern=r"^[A-Z]{2}$", description="ISO 3166 code: numbers without + and 00 are national numbers of it"),
    AfterValidator(_known_country),
]
"""The country of numbers that are written without a country code."""


class _Taken(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CampaignIn(_Taken):
    """A new campaign."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "name": "Test Campaign",
                "template_name": "your_template",
                "language_code": "en_US",
                "daily_send_limit": 250,
            }
        }
    )

    name: Text
    template_name: Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[A-Za-z0-9_]+$")]
    language_code: Annotated[str, Field(pattern=r"^[a-z]{2,3}(_[A-Z]{2,4})?$", description="as en or en_US")]
    daily_send_limit: Annotated[int, Field(gt=0, le=2_147_483_647, strict=True)] | None = None
    phone_number_id: Annotated[str, Field(pattern=r"^[0-9]{1,64}$")] | None = None
    time_zone: Annotated[str, Field(max_length=100), AfterValidator(_known_zone)] = "UTC"
    country: Country | None = None


class CampaignOut(BaseModel):
    """A campaign in its current state."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    template_name: str
    language_code: str
    daily_send_limit: int | None
    phone_number_id: str
    time_zone: str
    country: str | None
    status: CampaignStatus
    pause_reason: str | None
    activated_at: datetime | None
    completed_at: datetime | None
    created_at: datetime
    updated_at: datetime
    planning: bool
    """The recipients get their planned times in the background. A pause and a cancellation work meanwhile."""


class CampaignsOut(BaseModel):
    """A page of campaigns, the newest first; `next` is the next page's `before`."""

    campaigns: list[CampaignOut]
    next: UUID | None = None


class PauseIn(_Taken):
    """Why it is paused."""

    reason: Text = PAUSED_BY_OPERATOR


class RetryIn(_Taken):
    """The failures to repeat, by Meta's error code and by class. Both add up, and one of them is required."""

    model_config = ConfigDict(json_schema_extra={"example": {"codes": [131042], "classes": ["request"]}})

    codes: Annotated[list[Annotated[int, Field(ge=0, le=CODE_MAX, strict=True)]], Field(max_length=100)] = []
    classes: Annotated[list[ErrorClass], Field(max_length=10)] = []
    dry_run: Annotated[bool, Field(strict=True)] = False
    """Count the recipients and change nothing."""

    @model_validator(mode="after")
    def _names_failures(self) -> Self:
        if not self.codes and not self.classes:
            raise ValueError("name the failures: give codes, classes or both")
        return self


class RetriedOut(BaseModel):
    """How many failed recipients are sent to again, and how many are not, by the reason."""

    model_config = ConfigDict(from_attributes=True)

    retried: int
    already_due: int
    """They are due again anyway."""
    too_young: int
    """Meta reported the failure less than ten minutes ago, and a delivery may still come."""
    exhausted: int
    """All 62 attempts are used."""


class RecipientsIn(_Taken):
    """Recipients: phone numbers, or objects with `phone_number` and `template_parameters`.

    `country` is the country of the numbers that have neither + nor 00. Without it the campaign's country counts. If
    that is not set either, such a number must be valid as it is.
    """

    model_config = ConfigDict(json_schema_extra={"example": {"phone_numbers": ["14694652751", "19453083188"]}})

    phone_numbers: Annotated[list[Any], Field(min_length=1, max_length=RECIPIENTS_MAX)]
    country: Country | None = None


class InvalidRecipient(BaseModel):
    """A recipient that was not added; `index` is its position in the request.

    `value` is what was given. A character that cannot be seen is shown by its code, as \\u202a.
    """

    index: int
    field: str
    """The path of the wrong value in the recipient, such as `phone_number` or `template_parameters.2`."""
    value: Any
    reason: RecipientRefusal | ParameterRefusal
    message: str
    """What is wrong, in a sentence."""


class RecipientsAdded(BaseModel):
    """The result of adding recipients. `countries`: the added ones by the country of their number."""

    added: int
    countries: dict[str, int]
    duplicates: list[InvalidRecipient]
    invalid: list[InvalidRecipient]


class RecipientOut(BaseModel):
    """One row, with the columns of the original table."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    campaign_id: UUID
    phone_number: str
    status: Status
    whatsapp_message_id: str | None
    scheduled_send_date: datetime | None
    sent_at: datetime | None
    delivered_at: datetime | None
    read_at: datetime | None
    failed_at: datetime | None
    failure_reason: str | None
    retry_count: int
    max_retries: int
    template_parameters: Any
    created_at: datetime
    updated_at: datetime
    attempt: int
    failure_code: int | None
    next_attempt_at: datetime | None
    person: str


class RecipientsOut(BaseModel):
    """A page of recipients; `next` is the next page's `after`."""

    recipients: list[RecipientOut]
    next: UUID | None = None


class ProcessedOut(BaseModel):
    """The result of a manual release over all active campaigns."""

    released: int
    skipped: int
    due_later: int
    """Recipients to be sent later: planned for later, waiting for a retry, or beyond today's budget."""
    already_released: int
    """Recipients released earlier and not answered yet."""


class SubscriptionIn(_Taken):
    """Whether the operator allows messages to this person."""

    subscribed: Annotated[bool, Field(strict=True)]


class SubscriptionOut(BaseModel):
    """Whether messages to this person are allowed, and the sources that forbid them.

    `doubt` is there if the text is no number that a campaign would take. The subscription then holds for `person`.
    """

    subscribed: bool
    out_by: list[Source]
    doubt: RecipientRefusal | None = None
    person: str | None = None
