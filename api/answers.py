"""The bodies of answers as pydantic models. The OpenAPI document is generated from them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from domain.exclusions import ExcludedRecipients
from domain.lifecycle import CampaignStatus
from domain.rate_card import RateCategory
from domain.recipient_files.decoding import FileEncoding
from domain.sending_plan import PlanLimit
from domain.status import Status
from domain.template_edits import TemplateFit
from domain.windows import Weekday, WindowZone
from schemas.jobs import SendEndpoint
from schemas.reasons import LineRefusal, ParameterRefusal, RecipientRefusal, WaitReason
from schemas.sources import Source


class _Given(BaseModel):
    model_config = ConfigDict(from_attributes=True, use_attribute_docstrings=True)


class CampaignOut(_Given):
    """A campaign in its current state."""

    id: UUID
    """The id. Ids of later campaigns are greater."""
    name: str
    """The name for people."""
    template_name: str
    """The name of the template."""
    language_code: str
    """The language of the template."""
    daily_send_limit: int | None
    """Most messages a day."""
    phone_number_id: str
    """The Cloud API's id of the number that sends."""
    time_zone: str
    """The time zone of the campaign's days."""
    country: str | None
    """The country of numbers without a country code."""
    window_days: tuple[Weekday, ...]
    """The days of the week on which messages are sent."""
    window_from: str
    """The local time from which messages are sent, as HH:MM."""
    window_to: str
    """The local time until which messages are sent; 24:00 is the end of the day."""
    window_zone: WindowZone
    """Whose clock the window follows."""
    quiet_from: str | None
    """The beginning of hours inside the window without messages."""
    quiet_to: str | None
    """The end of these hours."""
    start_at: datetime | None
    """Nothing is sent before this time."""
    stale_after_hours: int | None
    """The campaign is paused if nothing could be sent for so many hours although recipients waited."""
    canary: bool
    """Whether it sends to its first people, waits for their outcomes, and widens in steps."""
    canary_percent: float
    """The share of the audience that is sent to first, in percent."""
    canary_min: int
    """The fewest people who are sent to first. An audience of less than ten times as many has no canary."""
    canary_max: int
    """The most people who are sent to first."""
    canary_wait_minutes: int
    """How long the first step waits for outcomes. Later steps wait a fifth of it."""
    failure_limit_percent: float
    """The campaign is paused when surely more of its messages failed; 100: never."""
    opt_out_limit_percent: float
    """The campaign is paused when surely more people opted out after a message; 100: never."""
    block_limit_percent: float
    """The campaign is paused when surely more people are blocked for marketing (131049, 131050); 100: never."""
    unknown_limit_percent: float
    """The campaign is paused when surely more outcomes are unknown; 100: never."""
    frequency_capped: bool
    """Whether its messages keep to the frequency cap."""
    cap_wait_days: int
    """How many days after its planned time a recipient waits for the frequency cap; 0: it is skipped at once."""
    exclude_campaigns: tuple[UUID, ...]
    """The campaigns whose recipients get no message of this one."""
    exclude_recipients: ExcludedRecipients
    """Which of their recipients, judged when a message is released."""
    endpoint: SendEndpoint | None
    """Where its messages are posted: messages, or marketing_messages. Null: as the settings say."""
    status: CampaignStatus
    """The state of the campaign."""
    pause_reason: str | None
    """Why it is paused."""
    activated_at: datetime | None
    """When it was first activated."""
    completed_at: datetime | None
    """When the last recipient was handled. A recipient who becomes due again makes the campaign active again."""
    created_at: datetime
    """When it was created."""
    updated_at: datetime
    """When this row last changed."""
    planning: bool
    """The recipients get their planned times in the background. A pause and a cancellation work meanwhile."""
    template_edited_at: datetime | None = None
    """When Meta last reported that the template was edited, since the last activation or resume of the campaign."""
    template_fit: TemplateFit | None = None
    """Whether the parameters of the waiting recipients fit the edited template. If they do not, or if the template
    cannot be read, the campaign is paused. Null: it was not edited, or the comparison is not over."""


class RetriedOut(_Given):
    """How many failed recipients are sent to again, and how many are not, by the reason."""

    retried: int
    """They get another attempt."""
    already_due: int
    """They are due again anyway."""
    too_young: int
    """Meta reported the failure less than ten minutes ago, and a delivery may still come."""
    exhausted: int
    """All 62 attempts are used."""


class CampaignsOut(_Given):
    """A page of campaigns, the newest first."""

    campaigns: list[CampaignOut]
    """The campaigns of the page."""
    next: UUID | None = None
    """`before` of the next page, or null on the last page."""


class WaitGroupOut(_Given):
    """Recipients without a message, for one reason."""

    reason: WaitReason
    """Why they have none."""
    recipients: int
    """How many they are."""
    next_at: datetime | None
    """When that can change by itself, at the earliest; null: not by itself, or it is not known."""
    detail: str | None
    """The reason of a pause, the open breakers, the figures of the canary or of the budget of the portfolio, or the
    countries whose window is closed."""


class ExplanationOut(_Given):
    """Every recipient of a campaign: with a message, or for exactly one reason without."""

    campaign_id: UUID
    """The campaign."""
    status: CampaignStatus
    """Its state."""
    as_of: datetime
    """The time of the answer."""
    total: int
    """All recipients: those with a message, and the sum of the reasons."""
    with_message: int
    """Recipients whose message is sent, delivered or read."""
    reasons: list[WaitGroupOut]
    """Why the others have no message. A reason without recipients is left out."""


class InvalidRecipient(_Given):
    """A recipient who was not added."""

    index: int
    """The position in the request, from 0."""
    field: str
    """The path of the wrong value in the recipient, such as `phone_number` or `template_parameters.2`."""
    value: str | bool | None
    """The number as it was given. A character that cannot be seen is shown by its code, as \\u202a."""
    reason: RecipientRefusal | ParameterRefusal
    """The code of the fault."""
    message: str
    """What is wrong, in a sentence."""


class RecipientsAdded(_Given):
    """The result of adding recipients."""

    added: int
    """How many were added."""
    countries: dict[str, int]
    """The added ones by the country of their number."""
    duplicates: list[InvalidRecipient]
    """Recipients who are in the campaign or earlier in the request, also in another spelling."""
    invalid: list[InvalidRecipient]
    """Recipients who cannot be added."""


class RefusedLine(_Given):
    """A line of an imported file that was not added."""

    line: int
    """The line of the file, from 1."""
    field: str
    """The path of the wrong value in the recipient, or `line`."""
    value: str | bool | None
    """The number as it was given, or the start of the line."""
    reason: RecipientRefusal | ParameterRefusal | LineRefusal
    """The code of the fault."""
    message: str
    """What is wrong, in a sentence."""


class RecipientsImported(_Given):
    """The result of an import."""

    lines: int
    """The lines with a recipient."""
    added: int
    """How many recipients were added."""
    countries: dict[str, int]
    """The added ones by the country of their number."""
    duplicates: int
    """Lines whose person is in the campaign or earlier in the file."""
    refused: int
    """Lines that cannot be added."""
    first_duplicates: list[RefusedLine]
    """The first 100 duplicates."""
    first_refused: list[RefusedLine]
    """The first 100 refused lines. `answer=refused_lines` gives all of them."""
    encoding: FileEncoding
    """The encoding that was found."""
    delimiter: str | None
    """The delimiter that was found; null for JSON lines."""
    phone_column: str | None
    """The column of the phone numbers; null for JSON lines."""
    parameter_columns: dict[str, str]
    """Each template parameter with its column."""
    unused_columns: list[str]
    """Columns that were not read."""
    decimal_comma_columns: list[str]
    """Columns of numbers with a decimal comma. Their texts are sent as they are written."""


class RecipientOut(_Given):
    """One recipient of a campaign."""

    id: UUID
    """The id of the row."""
    campaign_id: UUID
    """The campaign."""
    phone_number: str | None
    """The number that is dialled: digits only. Null: the message is sent to the user id."""
    user_id: str | None
    """The business-scoped user id of WhatsApp, if the recipient was added with one."""
    status: Status
    """The status, computed from the facts."""
    whatsapp_message_id: str | None
    """WhatsApp's id of the message (wamid)."""
    scheduled_send_date: datetime | None
    """The planned time of the first attempt."""
    sent_at: datetime | None
    """When the message was sent."""
    delivered_at: datetime | None
    """When it was delivered."""
    read_at: datetime | None
    """When it was read."""
    failed_at: datetime | None
    """When the last failure happened."""
    failure_reason: str | None
    """Why the last attempt failed, or why the recipient was skipped."""
    retry_count: int
    """Failed attempts that count."""
    max_retries: int
    """Failures after which no further attempt is made."""
    template_parameters: list[Any] | dict[str, Any] | None
    """The parameters in their stored form. Numbers are texts."""
    created_at: datetime
    """When the recipient was added."""
    updated_at: datetime
    """When the row last changed."""
    attempt: int
    """The number of the latest released attempt, or 0."""
    failure_code: int | None
    """Meta's code of the last failure."""
    next_attempt_at: datetime | None
    """When the recipient is due, or null if nothing is due."""
    person: str
    """The canonical key of the person. All spellings of a number have the same."""


class RecipientsOut(_Given):
    """A page of recipients, in the order in which they were added."""

    recipients: list[RecipientOut]
    """The recipients of the page."""
    next: UUID | None = None
    """`after` of the next page, or null on the last page."""


class ProcessedOut(_Given):
    """The result of a manual release over all active campaigns."""

    released: int
    """Attempts that this call released."""
    skipped: int
    """Recipients that this call skipped."""
    due_later: int
    """Recipients to be sent later: planned for later, waiting for a retry, or beyond today's budget."""
    already_released: int
    """Recipients released earlier and not answered yet."""


class PlannedDayOut(_Given):
    """The recipients of one day."""

    day: date
    """The day, in the time zone of the campaign."""
    recipients: int
    """Those who will be sent to on it."""


class PlanSampleOut(_Given):
    """Whether the first recipients will be skipped."""

    examined: int
    """Recipients that were examined: the first 500 without an attempt."""
    opted_out: int
    """Those of them who have unsubscribed."""
    same_person: int
    """Those of them who repeat a person of the campaign."""
    invalid: int
    """Those of them of whose parameters no message can be made."""
    excluded: int
    """Those of them that `exclude_campaigns` leaves out."""
    capped: int
    """Those of them above the frequency cap now. They wait for it, or are skipped."""
    skipped: int
    """Those of them who would be skipped now, each counted once."""


class MarketCostOut(_Given):
    """The cost of the recipients of one market."""

    market: str
    """The name of the market on the rate card."""
    recipients: int
    """Recipients in its countries."""
    rate: str
    """The rate of one message."""
    cost: str
    """The cost of all of them."""


class CostOut(_Given):
    """The cost if every recipient gets one message outside a service window."""

    as_of: date
    """The date of the rate card."""
    currency: str
    """The currency of the card."""
    source: str
    """Where the rates come from."""
    category: RateCategory
    """The category of the template."""
    is_category_known: bool
    """false: the template could not be read, so it is taken for a marketing template, the most expensive category."""
    total: str
    """The sum over the markets, without recipients whose rate is not known."""
    markets: list[MarketCostOut]
    """Each market, the most expensive first."""
    without_rate: dict[str, int]
    """Recipients of countries without a rate, by ISO code. `unknown` counts those whose number shows no country."""


class PlanOut(_Given):
    """How a campaign will proceed, if no other campaign sends and nothing fails."""

    campaign_id: UUID
    """The campaign."""
    status: CampaignStatus
    """Its state. A draft is planned as if it were activated now."""
    as_of: datetime
    """The time of the answer."""
    total: int
    """All recipients."""
    to_send: int
    """Recipients without a first message."""
    expected: int
    """Those of them who will get it: without those who would be skipped, by the share of the sample. The days and the
    end are of these. It is exact if the sample has all of them."""
    time_zone: str
    """The time zone of the days."""
    days: list[PlannedDayOut]
    """How many will be sent to on each day, for a year at most."""
    ends_at: datetime | None
    """When the last message leaves; null: not within a year, or the window makes no sense."""
    left: int
    """Recipients who will not be sent to within a year."""
    limits: list[PlanLimit]
    """What makes it take longer than its number needs."""
    per_s: float
    """Messages per second of the number."""
    sharing: int
    """Other active campaigns of the number. They share its pace, so the end may be later."""
    sample: PlanSampleOut
    """How many of the first recipients will be skipped."""
    cost: CostOut | None
    """The estimate of the cost of all recipients; null: there is no valid rate card."""
    cost_problem: str | None
    """Why there is no cost."""


class NumberOut(_Given):
    """A sending number."""

    phone_number_id: str
    """The Cloud API's id."""
    is_default: bool
    """Whether it sends campaigns that name no number."""
    is_in_settings: bool
    """Whether the settings name it."""
    messages_per_second: int
    """Its pace."""
    has_own_token: bool
    """Whether it has an access token of its own."""
    display_phone_number: str | None
    """The number as people see it, without its middle; null: it was not read yet."""
    quality: str | None
    """Its quality at Meta: GREEN, YELLOW, RED or UNKNOWN."""
    throughput: str | None
    """Its level of throughput at Meta: STANDARD (80 messages a second) or HIGH (1,000)."""
    state: str | None
    """Its state at Meta, such as CONNECTED, FLAGGED or RESTRICTED."""
    read_at: datetime | None
    """When this was read from the Cloud API."""
    report: str | None
    """What Meta reported last about it by webhook."""
    reported_at: datetime | None
    """When Meta reported that."""
    sent_last_day: int
    """Messages that it sent in the last 24 hours."""


class ForeignReportOut(_Given):
    """A report of Meta about a number that is none of ours. It paused nothing."""

    number: str
    """The number without its middle."""
    report: str
    """What Meta reported last about it."""
    reported_at: datetime
    """When."""


class NumbersOut(_Given):
    """The sending numbers."""

    numbers: list[NumberOut]
    """Those of the settings, of campaigns that are not over, and those that were read."""
    foreign_reports: list[ForeignReportOut]
    """Reports about other numbers: of an account that is not ours, or of a number that was removed."""


class PortfolioOut(_Given):
    """The budget of people that all campaigns share in any 24 hours."""

    limit: int | None
    """The people that may get a message in 24 hours: the setting, or less if Meta reported less. null: no budget."""
    used: int
    """People who got a message in the window, or may still get it. Each counts once."""
    left: int | None
    """How many more people may get a message now; null: no budget."""
    free_at: datetime | None
    """When the first of these people stop counting; null: nobody counts."""
    reported: int | None
    """The limit that Meta reported by webhook; -1: unlimited, null: nothing was reported yet."""
    reported_at: datetime | None
    """When Meta reported it."""


class FrequencyCapOut(_Given):
    """The frequency cap of all campaigns; nulls: there is none."""

    messages: int | None = None
    """The most messages to one person."""
    days: int | None = None
    """In so many days of 24 hours."""


class SubscriptionOut(_Given):
    """Whether messages to this person are allowed, and the sources that forbid them."""

    subscribed: bool
    """Whether messages are allowed: no source has opted out."""
    out_by: list[Source]
    """The sources that have opted out."""
    doubt: RecipientRefusal | None = None
    """Why the text is no number that a campaign would take. The subscription holds all the same, for `person`."""
    person: str | None = None
    """The person, if there is a doubt."""


class SubscriptionStatement(_Given):
    """The latest opt-out or opt-in of one source about one person."""

    person: str
    """The canonical key of the person. A person who is known by several keys may have statements under each."""
    source: Source
    """Who declared it: an operator, a keyword of the person, or the platform."""
    subscribed: bool
    """false is an opt-out."""
    occurred_at: datetime
    """When it was declared."""


class SubscriptionsOut(_Given):
    """A page of statements, in the order of person and source."""

    subscriptions: list[SubscriptionStatement]
    """The statements of the page."""
    next: str | None = None
    """`after` of the next page, or null on the last page."""


class HealthOut(_Given):
    """The process runs."""

    status: Literal["ok"] = "ok"
    """Always ok."""


class ReadyOut(_Given):
    """Whether the dependencies answer."""

    status: Literal["ready", "not_ready"]
    """ready if all dependencies answer."""
    checks: dict[str, bool]
    """Each dependency, and whether it answers."""
