"""The shared part of `activate`, `resume` and `cancel`: it shows the change, acts on each campaign, and reports."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import orjson

from cli.confirmation import Consent, decline
from cli.console import note, printable
from domain.lifecycle import Action
from operations import pausing
from runtime.process import EXIT_OK
from tables.campaign_names import NamedCampaign, short_id
from tables.database import Connection

EXIT_NOT_ALL = 1
DONE = {Action.ACTIVATE: "activated", Action.RESUME: "resumed", Action.CANCEL: "cancelled", Action.PAUSE: "paused"}


async def act_on(
    connection: Connection,
    action: Action,
    found: Sequence[NamedCampaign],
    consent: Consent,
    change: str,
    *,
    as_json: bool,
    before: Callable[[NamedCampaign], Awaitable[str | None]] | None = None,
) -> int:
    """Act on each campaign, if the operator consents to the change. One that is refused does not stop the others.

    `before` is run before the act on each; a reason that it returns refuses that campaign.
    """
    if (ending := decline(consent, change)) is not None:
        return ending
    done: list[NamedCampaign] = []
    refused: list[tuple[NamedCampaign, str]] = []
    for each in found:
        why = await before(each) if before is not None else None
        why = why or await pausing.try_action(connection, each.id, action)
        if why is None:
            done.append(each)
            note(printable(f"{DONE[action]} {label(each)}"))
        else:
            refused.append((each, why))
            note(printable(f"not {DONE[action]}, {label(each)}: {why}"))
    if as_json:
        print(orjson.dumps({
            DONE[action]: [each.id for each in done],
            "refused": [{"campaign_id": each.id, "why": why} for each, why in refused],
        }).decode())  # fmt: skip
    return EXIT_NOT_ALL if refused else EXIT_OK


def label(campaign: NamedCampaign) -> str:
    """The campaign in a sentence: its name, and the end of its id, which commands accept."""
    return f"{campaign.name} ({short_id(campaign.id)})"
