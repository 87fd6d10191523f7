"""Options that several commands share, each declared once: its name, its type and its help text."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import typer

CAMPAIGN_PANEL = "Campaigns"
QUERY_PANEL = "Query"
REPAIR_PANEL = "Repair"
START_PANEL = "Start here"
PROCESS_PANEL = "Processes"

NONE = "none"
"""The word of an option that clears its setting."""


def country_code(given: str | None) -> str | None:
    """The code of a country in capitals, because people write `de` as well. `none` stays as it is."""
    return given if given is None or given == NONE else given.upper()


Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout")]
CampaignOption = Annotated[
    str | None, typer.Option("--campaign", help="Only this campaign: its id, the end of its id, or its name")
]
CampaignName = Annotated[str, typer.Argument(metavar="CAMPAIGN", help="Its id, the end of its id, or its name")]
CampaignNames = Annotated[
    list[str], typer.Argument(metavar="CAMPAIGN...", help="Each by its id, the end of its id, or its name")
]
RecipientIds = Annotated[list[UUID] | None, typer.Argument(help="Recipient ids")]
Limit = Annotated[int, typer.Option(min=1, max=1_000_000, help="Process at most this many")]
LineLimit = Annotated[int, typer.Option(min=1, max=100_000, help="Print at most this many lines")]
NumbersCountry = Annotated[
    str | None,
    typer.Option("--country", callback=country_code, help="Country of numbers without + or 00; else the campaign's"),
]
PhoneColumn = Annotated[
    str | None, typer.Option("--phone-column", help="Column of the phone numbers: its header, or its place from 1")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the change, and never act")]
Yes = Annotated[bool, typer.Option("--yes", help="Act without a question")]
AllowRetries = Annotated[
    bool, typer.Option("--allow-retries", help="Apply even if some recipients would be messaged again")
]
WindowDays = Annotated[str | None, typer.Option("--days", help="Days on which it sends, as mon,tue,wed,thu,fri")]
WindowTimes = Annotated[
    str | None,
    typer.Option("--window", help="Local times between which it sends, as 09:00-20:00; 00:00-24:00 is the whole day"),
]
QuietTimes = Annotated[
    str | None, typer.Option("--quiet", help="Local times inside the window without messages; or none")
]
StartAt = Annotated[
    str | None, typer.Option("--start-at", help="Send nothing before, as 2027-03-01T09:00+01:00; or none")
]
StaleAfter = Annotated[
    str | None,
    typer.Option("--stale-after", help="Pause it if nothing could be sent for so many hours, as 24; or none"),
]
CanaryShare = Annotated[
    str | None,
    typer.Option("--canary", help="Share of the audience that is sent to first, in percent, as 1; or none"),
]
CanaryMin = Annotated[int | None, typer.Option("--canary-min", help="Fewest people who are sent to first, as 50")]
CanaryMax = Annotated[int | None, typer.Option("--canary-max", help="Most people who are sent to first, as 500")]
CanaryWait = Annotated[
    int | None, typer.Option("--canary-wait", help="Minutes that the first step waits for outcomes, as 10")
]
FailureLimit = Annotated[
    float | None, typer.Option("--failure-limit", help="Pause it if more fail, in percent; 100: never")
]
OptOutLimit = Annotated[
    float | None, typer.Option("--opt-out-limit", help="Pause it if more opt out, in percent; 100: never")
]
BlockLimit = Annotated[
    float | None, typer.Option("--block-limit", help="Pause it if more are blocked, in percent; 100: never")
]
UnknownLimit = Annotated[
    float | None, typer.Option("--unknown-limit", help="Pause it if more are unknown, in percent; 100: never")
]
FrequencyCapped = Annotated[
    bool | None,
    typer.Option("--frequency-cap/--no-frequency-cap", help="Keep to the frequency cap, or be exempt from it"),
]
CapWaitDays = Annotated[
    int | None, typer.Option("--cap-wait", help="Days that people wait for the frequency cap; 0 skips them at once")
]
ExcludedCampaigns = Annotated[
    list[str] | None,
    typer.Option("--exclude", help="Leave out recipients of this campaign, by id or name; may be repeated; or none"),
]
ChosenEndpoint = Annotated[
    str | None,
    typer.Option(
        "--endpoint", help="Where messages are posted: messages, marketing_messages, or none for that of the settings"
    ),
]
ExcludedOnes = Annotated[
    str | None,
    typer.Option("--exclude-recipients", help="Which of their recipients: all, or those sent, delivered or read"),
]
