"""The bodies of answers about campaigns and the API itself, as pydantic models.

The OpenAPI document is generated from these and from the other modules of answers.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from api.given import Given
from domain.exclusions import ExcludedRecipients
from domain.lifecycle import CampaignStatus
from domain.template_edits import TemplateFit
from domain.windows import Weekday, WindowZone
from schemas.jobs import SendEndpoint
from schemas.reasons import WaitReason


class CampaignOut(Given):
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


class RetriedOut(Given):
    """How many failed recipients are sent to again, and how many are not, by the reason."""

    retried: int
    """They get another attempt."""
    already_due: int
    """They are due again anyway."""
    too_young: int
    """Meta reported the failure less than ten minutes ago, and a delivery may still come."""
    exhausted: int
    """All 62 attempts are used."""


class CampaignsOut(Given):
    """A page of campaigns, the newest first."""

    campaigns: list[CampaignOut]
    """The campaigns of the page."""
    next: UUID | None = None
    """`before` of the next page, or null on the last page."""


class WaitGroupOut(Given):
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


class ExplanationOut(Given):
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


class ProcessedOut(Given):
    """The result of a manual release over all active campaigns."""

    released: int
    """Attempts that this call released."""
    skipped: int
    """Recipients that this call skipped."""
    due_later: int
    """Recipients to be sent later: planned for later, waiting for a retry, or beyond today's budget."""
    already_released: int
    """Recipients released earlier and not answered yet."""


class HealthOut(Given):
    """The process runs."""

    status: Literal["ok"] = "ok"
    """Always ok."""


class ReadyOut(Given):
    """Whether the dependencies answer."""

    status: Literal["ready", "not_ready"]
    """ready if all dependencies answer."""
    checks: dict[str, bool]
    """Each dependency, and whether it answers."""
