"""`campaigns explain`: why recipients of a campaign have no message yet, each for exactly one reason."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from cli.options import CampaignName, Json

if TYPE_CHECKING:
    from runtime.settings import Settings
    from tables.database import Connection
    from tables.explanations import Explanation


def explain(campaign: CampaignName, json: Json = False) -> None:
    """Explain why recipients of a campaign have no message yet, and when that can change."""
    from cli.connected import run_connected

    raise typer.Exit(
        run_connected("explain", lambda settings, found: print_explanation(settings, found, campaign, as_json=json))
    )


async def print_explanation(settings: Settings, connection: Connection, name: str, *, as_json: bool) -> int:
    """Print the explanation of the named campaign, as the API answers it. Raises NotOneCampaign."""
    from api.answers import ExplanationOut
    from cli.console import printable
    from operations.campaign_names import find_campaign
    from runtime.process import EXIT_OK
    from tables import explanations

    found = await find_campaign(connection, name)
    explanation = await explanations.read(connection, found.id, settings.time_scale, settings.whatsapp_pair_s)
    if as_json:
        print(ExplanationOut.model_validate(explanation).model_dump_json())
        return EXIT_OK
    for line in explanation_lines(found.name, explanation):
        print(printable(line))
    return EXIT_OK


def explanation_lines(name: str, explanation: Explanation) -> Iterator[str]:
    """The recipients with a message, and a line for each reason of the others, the largest group first."""
    yield f"{name}  ({explanation.status})  {explanation.with_message:,} of {explanation.total:,} have a message"
    for each in sorted(explanation.reasons, key=lambda group: -group.recipients):
        until = "" if each.next_at is None else f"  Next: {each.next_at:%Y-%m-%d %H:%M:%S}Z."
        detail = "" if each.detail is None else f"  ({each.detail})"
        yield f"  {each.recipients:>12,}  {each.reason:<18} {each.reason.meaning}{until}{detail}"
