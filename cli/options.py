"""Options that several commands share, each declared once: its name, its type and its help text."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import typer

QUERY_PANEL = "Query and control"
REPAIR_PANEL = "Repair"
START_PANEL = "Start here"
PROCESS_PANEL = "Processes"

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout")]
CampaignOption = Annotated[UUID | None, typer.Option("--campaign", help="Only this campaign")]
CampaignIds = Annotated[list[UUID] | None, typer.Argument(help="Campaign ids")]
RecipientIds = Annotated[list[UUID] | None, typer.Argument(help="Recipient ids")]
Limit = Annotated[int, typer.Option(min=1, max=1_000_000, help="Process at most this many")]
LineLimit = Annotated[int, typer.Option(min=1, max=100_000, help="Print at most this many lines")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would happen, change nothing")]
Yes = Annotated[bool, typer.Option("--yes", help="Confirm: do it, do not only show the warning")]
AllowRetries = Annotated[
    bool, typer.Option("--allow-retries", help="Apply even if some recipients would be messaged again")
]
