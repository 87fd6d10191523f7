"""`campaigns cost`: what the delivered messages of a campaign cost so far, by category."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from cli.options import CampaignName, Json

if TYPE_CHECKING:
    from api.cost_answers import CampaignCostOut
    from runtime.settings import Settings
    from tables.database import Connection

COUNTRIES_SHOWN = 8


def cost(campaign: CampaignName, json: Json = False) -> None:
    """Show what the delivered messages cost so far, by WhatsApp's category and charge, and by the rate card."""
    from cli.connected import run_connected

    raise typer.Exit(run_connected("cost", lambda settings, found: print_cost(settings, found, campaign, as_json=json)))


async def print_cost(settings: Settings, connection: Connection, name: str, *, as_json: bool) -> int:
    """Print the cost of the named campaign, as the API answers it. Raises NotOneCampaign."""
    from contextlib import nullcontext

    from api.costs import cost_of
    from cli.console import printable
    from operations.campaign_names import find_campaign
    from runtime.process import EXIT_OK

    found = await find_campaign(connection, name)
    answer = await cost_of(lambda: nullcontext(connection), settings, found.id)
    if as_json:
        print(answer.model_dump_json())
        return EXIT_OK
    for line in cost_lines(found.name, answer):
        print(printable(line))
    return EXIT_OK


def cost_lines(name: str, cost: CampaignCostOut) -> Iterator[str]:
    """The cost for people."""
    if cost.total is None:
        yield f"{name}  the cost is not known: {cost.cost_problem}"
    else:
        yield f"{name}  {cost.total} {cost.currency} so far, by the rates of {cost.rates_as_of}: {cost.source}"
    for each in cost.categories:
        yield f"  {each.messages:>12,}  {each.category}, {each.charge.replace('_', ' ')}  {each.cost}"
        if each.without_rate and cost.total is not None:
            shown = list(each.without_rate.items())
            listed = ", ".join(f"{country} {n:,}" for country, n in shown[:COUNTRIES_SHOWN])
            more = f" and {len(shown) - COUNTRIES_SHOWN} more countries" if len(shown) > COUNTRIES_SHOWN else ""
            yield f"                not counted: the card has no rate for {listed}{more}"
    if cost.without_price:
        yield f"  {cost.without_price:>12,}  delivered messages have no price from WhatsApp yet"
    if not cost.delivered:
        yield "  no message is delivered yet: Meta charges for a message when it is delivered"
