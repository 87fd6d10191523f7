"""`campaign.control`: why sending stopped or goes on. Breakers open, close and are reset; they pause campaigns."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from schemas.model import CampaignId, UtcTime, WireModel

SCHEMA_VERSION = 1


class ControlKind(StrEnum):
    """What changed."""

    OPENED = "opened"
    """A breaker opened, or an open one now needs a human: nothing but probes is sent to its scope."""
    CLOSED = "closed"
    """A breaker closed: its scope is sent to again, at a rate that recovers within a minute."""
    RESET = "reset"
    """An operator resumed a campaign: the breaker sends a probe at once."""
    CAMPAIGN_PAUSED = "campaign_paused"
    """A breaker, a report of Meta, or its figures (scope `campaign`) paused a campaign. Only an operator resumes it."""
    REPORTED = "reported"
    """Meta reported by webhook that nothing should be sent to the scope. It stops what was started before."""
    LIMIT_REPORTED = "limit_reported"
    """Meta reported how many people the portfolio may send to in 24 hours, in `limit`."""
    NUMBER_REPORTED = "number_reported"
    """Meta reported about a number, and nothing is stopped by it."""
    TEMPLATE_EDITED = "template_edited"
    """Meta reported that somebody edited a template. Campaigns whose parameters do not fit it any more are paused."""


class ControlEvent(WireModel):
    """One change of a breaker, one report of Meta, or one pause."""

    v: int = SCHEMA_VERSION
    """The version of this schema. It changes only if old readers would misread a record."""
    producer: str = ""
    """The program and version that wrote the record."""
    kind: ControlKind
    """The change."""
    scope: str = Field(max_length=32)
    """recipient, template, number, account, endpoint, campaign or portfolio; more may follow."""
    key: str = Field(max_length=600)
    """The template and its language, the id of the number or its digits after a +, or the reason code. A phone number
    of a person is masked."""
    campaign_id: CampaignId | None = None
    """The campaign that was paused."""
    code: int | None = None
    """Meta's error code, if one opened the breaker."""
    limit: int | None = Field(default=None, ge=-1, le=2_000_000_000)
    """How many people the portfolio may send to in 24 hours, if Meta reported it; -1: unlimited."""
    reason: str | None = Field(default=None, max_length=400)
    """Why, in words for an operator."""
    needs_human: bool = False
    """Whether nothing is sent before a human has acted."""
    occurred_at: UtcTime
    """When it changed, by the clock of the database, or by that of Meta."""

    @property
    def record_key(self) -> bytes:
        """The Kafka key: the campaign if there is one, else scope and key of the breaker."""
        return str(self.campaign_id if self.campaign_id is not None else f"{self.scope}/{self.key}").encode()
