"""`campaigns plan`: when the recipients of a campaign will be sent to, who will be skipped, and what it costs."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import CampaignName, Json

if TYPE_CHECKING:
    from api.plan_answers import CostOut, PlanOut
    from runtime.settings import Settings
    from tables.database import Connection

DAYS_SHOWN = 14
COUNTRIES_SHOWN = 8
LIMIT_WORDS = {
    "start": "its start",
    "window": "its window",
    "daily_limit": "its daily limit",
    "portfolio_budget": "the budget of the portfolio",
    "canary": "the waits of its canary",
}


def plan(
    campaign: CampaignName,
    category: Annotated[
        str | None,
        typer.Option(help="marketing, utility or authentication. The default is the category that the template has."),
    ] = None,
    json: Json = False,
) -> None:
    """Show when the recipients will be sent to, who will be skipped, and the cost by the rate card. Nothing changes."""
    from cli.connected import run_connected

    raise typer.Exit(
        run_connected("plan", lambda settings, found: print_plan(settings, found, campaign, category, as_json=json))
    )


async def print_plan(
    settings: Settings, connection: Connection, name: str, category: str | None, *, as_json: bool
) -> int:
    """Print the plan of the named campaign, as the API answers it. Raises NotOneCampaign and InvalidOptions."""
    from contextlib import nullcontext

    from api.plans import plan_of
    from cli.console import printable
    from domain.rate_card import RateCategory
    from operations.campaign_names import find_campaign
    from operations.options import InvalidOptions
    from runtime.process import EXIT_OK
    from runtime.template_reader import TemplateReader

    if category is not None and category not in set(RateCategory):
        raise InvalidOptions(f"--category: the categories are {', '.join(RateCategory)}")
    found = await find_campaign(connection, name)
    given = None if category is None else RateCategory(category)
    answer = await plan_of(lambda: nullcontext(connection), settings, TemplateReader(settings), found.id, given)
    if as_json:
        print(answer.model_dump_json())
        return EXIT_OK
    for line in plan_lines(found.name, answer):
        print(printable(line))
    return EXIT_OK


def plan_lines(name: str, plan: PlanOut) -> Iterator[str]:
    """The plan for people."""
    from zoneinfo import ZoneInfo

    yield f"{name}  ({plan.status})  {plan.to_send:,} of {plan.total:,} recipients wait for their message"
    if plan.ends_at is not None and plan.expected:
        held = f", held up by {', '.join(LIMIT_WORDS[each] for each in plan.limits)}" if plan.limits else ""
        local = plan.ends_at.astimezone(ZoneInfo(plan.time_zone))
        yield f"  ends about   {local:%a %Y-%m-%d %H:%M} {plan.time_zone}, at {plan.per_s:,.0f} messages a second{held}"
    elif plan.left:
        yield f"  does not end within a year: {plan.left:,} recipients are left then"
    if plan.sharing:
        yield f"  later, if    the {plan.sharing} other active campaign(s) of the number send too"
    for each in plan.days[:DAYS_SHOWN]:
        yield f"  {each.day:%a %Y-%m-%d}  {each.recipients:>12,}"
    if len(plan.days) > DAYS_SHOWN:
        yield f"  and {len(plan.days) - DAYS_SHOWN} more days: --json has all of them"
    sample = plan.sample
    if sample.skipped:
        reasons = {
            "opted out": sample.opted_out, "repeat a person": sample.same_person,
            "have invalid parameters": sample.invalid, "are left out because of other campaigns": sample.excluded,
        }  # fmt: skip
        listed = ", ".join(f"{n:,} {words}" for words, n in reasons.items() if n)
        about = "" if sample.examined >= plan.to_send else "about "
        yield f"  skipped      {sample.skipped:,} of the first {sample.examined:,}{': ' if listed else ''}{listed}"
        yield f"  planned for  {about}{plan.expected:,} recipients, without those who would be skipped"
    elif sample.examined:
        yield f"  skipped      none of the first {sample.examined:,}"
    if sample.capped:
        yield f"  capped       {sample.capped:,} of the first {sample.examined:,} have no room in the frequency cap now"
    if plan.cost is None:
        yield f"  cost         not known: {plan.cost_problem}"
    else:
        yield from _cost_lines(plan.cost)


def _cost_lines(cost: CostOut) -> Iterator[str]:
    assumed = "" if cost.is_category_known else " (assumed: the template cannot be read)"
    uncounted = sum(cost.without_rate.values())
    counted = f" for {sum(each.recipients for each in cost.markets):,} recipients" if uncounted else ""
    yield f"  cost         {cost.total} {cost.currency} at most{counted}, as {cost.category}{assumed}"
    yield f"  rates of     {cost.as_of}: {cost.source}"
    for each in cost.markets[:COUNTRIES_SHOWN]:
        yield f"    {each.recipients:>12,}  × {each.rate} = {each.cost}  {each.market}"
    if len(cost.markets) > COUNTRIES_SHOWN:
        yield f"    and {len(cost.markets) - COUNTRIES_SHOWN} more markets: --json has all of them"
    if cost.without_rate:
        shown = list(cost.without_rate.items())
        listed = ", ".join(f"{country} {n:,}" for country, n in shown[:COUNTRIES_SHOWN])
        more = f" and {len(shown) - COUNTRIES_SHOWN} more countries" if len(shown) > COUNTRIES_SHOWN else ""
        yield f"  not counted  {uncounted:,} recipients, because the card has no rate for {listed}{more}"
