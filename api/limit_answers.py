"""The bodies of answers about sending numbers, the portfolio and the frequency cap, as pydantic models."""

from __future__ import annotations

from datetime import datetime

from api.given import Given


class NumberOut(Given):
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


class ForeignReportOut(Given):
    """A report of Meta about a number that is none of ours. It paused nothing."""

    number: str
    """The number without its middle."""
    report: str
    """What Meta reported last about it."""
    reported_at: datetime
    """When."""


class NumbersOut(Given):
    """The sending numbers."""

    numbers: list[NumberOut]
    """Those of the settings, of campaigns that are not over, and those that were read."""
    foreign_reports: list[ForeignReportOut]
    """Reports about other numbers: of an account that is not ours, or of a number that was removed."""


class PortfolioOut(Given):
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


class FrequencyCapOut(Given):
    """The frequency cap of all campaigns; nulls: there is none."""

    messages: int | None = None
    """The most messages to one person."""
    days: int | None = None
    """In so many days of 24 hours."""
