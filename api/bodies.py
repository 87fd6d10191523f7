"""The bodies of requests as pydantic models. The OpenAPI document is generated from them."""

from __future__ import annotations

from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from api.field_types import (
    CanaryMinutes,
    CanaryPeople,
    CanaryPercent,
    CapWait,
    Country,
    DailyLimit,
    EndTime,
    LanguageCode,
    LimitPercent,
    LocalTime,
    MetaCode,
    OtherCampaigns,
    PhoneNumberId,
    StaleHours,
    StartTime,
    Switch,
    TemplateName,
    Text,
    Weekdays,
    ZoneName,
    sendable,
    whole,
)
from domain.error_codes import ErrorClass
from domain.exclusions import ExcludedRecipients
from domain.frequency import DAYS_MAX
from domain.frequency import MESSAGES_MAX as CAP_MESSAGES_MAX
from domain.json_values import JsonNumber
from domain.windows import WEEK, WindowZone
from schemas.jobs import SendEndpoint
from tables.campaigns import CANARY_WAIT_MINUTES, CAP_WAIT_DAYS, FIRST, LIMITS, PAUSED_BY_OPERATOR, STALE_AFTER_HOURS
from tables.test_sends import MESSAGES_MAX

RECIPIENTS_MAX = 10_000
"""Most recipients in one request."""

TemplateParameters = (
    Annotated[list[str | float], Field(title="PositionalParameters")]
    | Annotated[dict[str, Any], Field(title="KeyedParameters")]
    | None
)


class _Taken(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_numbers(cls, given: Any) -> Any:
        """FastAPI also accepts instances of classes of ours, by their attributes. A `JsonNumber` must not be one."""
        return float(given) if isinstance(given, JsonNumber) else given


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
    """The name for people. Names need not be unique."""
    template_name: TemplateName
    """The name of the approved template."""
    language_code: LanguageCode
    """The language of the template, as en or en_US."""
    daily_send_limit: DailyLimit | None = None
    """Most messages a day, or null for no limit of the campaign's own."""
    phone_number_id: PhoneNumberId | None = None
    """The Cloud API's id of the number that sends. Without it the configured number sends."""
    time_zone: ZoneName = "UTC"
    """The IANA time zone of the campaign's days."""
    country: Country | None = None
    """ISO 3166 code: recipients' numbers without + and 00 are national numbers of this country."""
    window_days: Weekdays = WEEK
    """The days of the week on which messages are sent."""
    window_from: LocalTime | None = None
    """The local time from which messages are sent. Without it 09:00, or 00:00 where a simulator replaces WhatsApp."""
    window_to: EndTime | None = None
    """The local time until which messages are sent. Without it 20:00, or 24:00 where a simulator replaces WhatsApp."""
    window_zone: WindowZone = WindowZone.CAMPAIGN
    """Whose clock the window follows: that of `time_zone`, or those of all zones of the recipient's country."""
    quiet_from: LocalTime | None = None
    """The beginning of hours inside the window without messages. They may pass midnight."""
    quiet_to: EndTime | None = None
    """The end of these hours."""
    start_at: StartTime | None = None
    """Nothing is sent before this time, also after the activation."""
    stale_after_hours: StaleHours | None = STALE_AFTER_HOURS
    """The campaign is paused if nothing could be sent for so many hours although recipients waited; null: never."""
    canary: Switch = True
    """Whether it sends to its first people, waits for their outcomes, and widens in steps."""
    canary_percent: CanaryPercent = FIRST.percent
    """The share of the audience that is sent to first, in percent."""
    canary_min: CanaryPeople = FIRST.least
    """The fewest people who are sent to first. An audience of less than ten times as many has no canary."""
    canary_max: CanaryPeople = FIRST.most
    """The most people who are sent to first."""
    canary_wait_minutes: CanaryMinutes = CANARY_WAIT_MINUTES
    """How long the first step waits for outcomes. Later steps wait a fifth of it."""
    failure_limit_percent: LimitPercent = LIMITS.failed
    """The campaign is paused when surely more of its messages failed; 100: never."""
    opt_out_limit_percent: LimitPercent = LIMITS.opted_out
    """The campaign is paused when surely more people opted out after a message; 100: never."""
    block_limit_percent: LimitPercent = LIMITS.blocked
    """The campaign is paused when surely more people are blocked for marketing (131049, 131050); 100: never."""
    unknown_limit_percent: LimitPercent = LIMITS.unknown
    """The campaign is paused when surely more outcomes are unknown; 100: never."""
    frequency_capped: Switch = True
    """Whether its messages keep to the frequency cap."""
    cap_wait_days: CapWait = CAP_WAIT_DAYS
    """How many days after its planned time a recipient waits for the frequency cap; 0: it is skipped at once."""
    exclude_campaigns: OtherCampaigns = ()
    """Campaigns by id or name, whose recipients get no message of this one."""
    exclude_recipients: ExcludedRecipients = ExcludedRecipients.SENT
    """Which of their recipients, judged when a message is released."""
    endpoint: SendEndpoint | None = None
    """Where its messages are posted; null: the settings decide. marketing_messages takes marketing templates only."""


def _unset() -> Any:
    """The value of a field that the request does not have. The document of the API shows no default for it."""
    return None


class CampaignPatch(_Taken):
    """The settings to change. A setting that is not in the body keeps its value.

    A draft takes all of them. Later those that change a message cannot change, nor `time_zone` and `window_zone`; in a
    cancelled campaign only `name` can.
    """

    model_config = ConfigDict(json_schema_extra={"example": {"daily_send_limit": 500}})

    name: Text = Field(default_factory=_unset)
    """The name for people."""
    template_name: TemplateName = Field(default_factory=_unset)
    """The name of the approved template."""
    language_code: LanguageCode = Field(default_factory=_unset)
    """The language of the template, as en or en_US."""
    daily_send_limit: DailyLimit | None = Field(default_factory=_unset)
    """Most messages a day, or null for no limit. It holds at once, also for today."""
    phone_number_id: PhoneNumberId | None = Field(default_factory=_unset)
    """The Cloud API's id of the number that sends, or null for the configured number."""
    time_zone: ZoneName = Field(default_factory=_unset)
    """The IANA time zone of the campaign's days."""
    country: Country | None = Field(default_factory=_unset)
    """ISO 3166 code for recipients that are added later, or null for none."""
    window_days: Weekdays = Field(default_factory=_unset)
    """The days of the week on which messages are sent."""
    window_from: LocalTime = Field(default_factory=_unset)
    """The local time from which messages are sent."""
    window_to: EndTime = Field(default_factory=_unset)
    """The local time until which messages are sent."""
    window_zone: WindowZone = Field(default_factory=_unset)
    """Whose clock the window follows. Drafts only."""
    quiet_from: LocalTime | None = Field(default_factory=_unset)
    """The beginning of hours without messages, or null for none."""
    quiet_to: EndTime | None = Field(default_factory=_unset)
    """The end of these hours, or null."""
    start_at: StartTime | None = Field(default_factory=_unset)
    """Nothing is sent before, or null for no start time."""
    stale_after_hours: StaleHours | None = Field(default_factory=_unset)
    """After so many hours without sending the campaign waits for a person, or null for never."""
    canary: Switch = Field(default_factory=_unset)
    """Whether it sends to its first people, waits for their outcomes, and widens in steps."""
    canary_percent: CanaryPercent = Field(default_factory=_unset)
    """The share of the audience that is sent to first, in percent."""
    canary_min: CanaryPeople = Field(default_factory=_unset)
    """The fewest people who are sent to first. An audience of less than ten times as many has no canary."""
    canary_max: CanaryPeople = Field(default_factory=_unset)
    """The most people who are sent to first."""
    canary_wait_minutes: CanaryMinutes = Field(default_factory=_unset)
    """How long the first step waits for outcomes. Later steps wait a fifth of it."""
    failure_limit_percent: LimitPercent = Field(default_factory=_unset)
    """The campaign is paused when surely more of its messages failed; 100: never."""
    opt_out_limit_percent: LimitPercent = Field(default_factory=_unset)
    """The campaign is paused when surely more people opted out after a message; 100: never."""
    block_limit_percent: LimitPercent = Field(default_factory=_unset)
    """The campaign is paused when surely more people are blocked for marketing (131049, 131050); 100: never."""
    unknown_limit_percent: LimitPercent = Field(default_factory=_unset)
    """The campaign is paused when surely more outcomes are unknown; 100: never."""
    frequency_capped: Switch = Field(default_factory=_unset)
    """Whether its messages keep to the frequency cap."""
    cap_wait_days: CapWait = Field(default_factory=_unset)
    """How many days after its planned time a recipient waits for the frequency cap; 0: it is skipped at once."""
    exclude_campaigns: OtherCampaigns = Field(default_factory=_unset)
    """Campaigns by id or name, whose recipients get no message of this one."""
    exclude_recipients: ExcludedRecipients = Field(default_factory=_unset)
    """Which of their recipients, judged when a message is released."""
    endpoint: SendEndpoint | None = Field(default_factory=_unset)
    """Where its messages are posted, or null for the endpoint of the settings."""


class CloneIn(_Taken):
    """What the new draft gets beside the settings."""

    name: Text | None = None
    """The name of the new draft. Without it the draft has the name of the campaign."""
    recipients: Annotated[bool, Field(strict=True)] = False
    """Copy the recipients too, with their parameters, at most 100,000."""


class PreviewIn(_Taken):
    """Parameters with which a template is filled."""

    model_config = ConfigDict(json_schema_extra={"example": {"language_code": "en_US", "template_parameters": ["Ana"]}})

    language_code: LanguageCode
    """The language of the template, as en or en_US."""
    template_parameters: Annotated[TemplateParameters, BeforeValidator(sendable)] = None
    """The parameters, in a form of `RecipientIn`."""


class TestSendIn(_Taken):
    """The numbers that get the message of a campaign as a test, and its parameters."""

    __test__ = False  # pytest takes classes of this name for tests

    model_config = ConfigDict(json_schema_extra={"example": {"phone_numbers": ["+1 469 465 2751"]}})

    phone_numbers: Annotated[list[str | int], Field(min_length=1, max_length=MESSAGES_MAX)]
    """The numbers, in any usual spelling. At most 10, of different people."""
    recipient_id: UUID | None = None
    """The recipient of the campaign whose parameters are used. Without it and `template_parameters`: the first one."""
    template_parameters: Annotated[TemplateParameters, BeforeValidator(sendable)] = None
    """Parameters of the test's own, in a form of `RecipientIn`."""
    ignore_template: Annotated[bool, Field(strict=True)] = False
    """Send although the template check refuses the message."""


class PauseIn(_Taken):
    """Why it is paused."""

    reason: Text = PAUSED_BY_OPERATOR
    """The reason, which the campaign shows while it is paused."""


class RecipientIn(_Taken):
    """A recipient with a phone number, a user id or both, and template parameters."""

    phone_number: str | int | None = None
    """The number in any usual spelling, or a whole JSON number. The message is sent to it."""
    user_id: str | None = None
    """The business-scoped user id of WhatsApp. Without a number the message is sent to it."""
    template_parameters: TemplateParameters = None
    """Texts in order; or an object with the keys "1", "2", ... or with names; or {"components": [...]}."""


_ITEMS = {"anyOf": [{"type": "string"}, {"type": "number"}, {"$ref": "#/components/schemas/RecipientIn"}]}
_PHONE_NUMBERS = {"type": "array", "items": _ITEMS, "minItems": 1, "maxItems": RECIPIENTS_MAX}


class ResumeIn(_Taken):
    """What else a resume does."""

    model_config = ConfigDict(json_schema_extra={"example": {"retry_failed": True}})

    retry_failed: Annotated[bool, Field(strict=True)] = False
    """Also send again what surely was not delivered, for a reason that is not the person's."""


class RetryIn(_Taken):
    """The failures to repeat, by Meta's error code and by class. Both add up, and one of them is required."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"codes": [131042], "classes": ["request"]},
            "not": {"properties": {"codes": {"maxItems": 0}, "classes": {"maxItems": 0}}},  # both empty or missing
        }
    )

    codes: Annotated[list[MetaCode], Field(max_length=100)] = []
    """Error codes of Meta."""
    classes: Annotated[list[ErrorClass], Field(max_length=10)] = []
    """Classes of error codes, as the reference of error codes names them."""
    dry_run: Annotated[bool, Field(strict=True)] = False
    """Count the recipients and change nothing."""

    @model_validator(mode="after")
    def _names_failures(self) -> Self:
        if not self.codes and not self.classes:
            raise ValueError("name the failures: give codes, classes or both")
        return self


class RecipientsIn(_Taken):
    """Recipients to add. Each is judged alone: a wrong one is reported, and the others are added."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "phone_numbers": [
                    "14694652751",
                    {"phone_number": "+1 945 308 3188", "template_parameters": ["Ana", "19.90"]},
                    {"user_id": "US.13491208655302741918"},
                ]
            }
        }
    )

    phone_numbers: Annotated[list[Any], Field(min_length=1, max_length=RECIPIENTS_MAX), WithJsonSchema(_PHONE_NUMBERS)]
    """Phone numbers, or objects with template parameters. At most 10,000."""
    country: Country | None = None
    """ISO 3166 code: numbers without + and 00 are national numbers of it. Without it the campaign's country counts.

    If that is not set either, such a number must be valid as it is.
    """


class FrequencyCapIn(_Taken):
    """The frequency cap of all campaigns."""

    model_config = ConfigDict(json_schema_extra={"example": {"messages": 3, "days": 7}})

    messages: Annotated[int, Field(ge=1, le=CAP_MESSAGES_MAX, strict=True), BeforeValidator(whole)]
    """The most messages to one person."""
    days: Annotated[int, Field(ge=1, le=DAYS_MAX, strict=True), BeforeValidator(whole)]
    """In so many days of 24 hours."""


class SubscriptionIn(_Taken):
    """Whether the operator allows messages to this person."""

    model_config = ConfigDict(json_schema_extra={"example": {"subscribed": False}})

    subscribed: Annotated[bool, Field(strict=True)]
    """false is an opt-out. true revokes the operator's own opt-out only."""
