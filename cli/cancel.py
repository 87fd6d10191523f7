"""`campaigns cancel`: ends campaigns forever. A stop of a named campaign acts at once."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from cli.options import CampaignNames, DryRun, Json, Yes

if TYPE_CHECKING:
    from tables.database import Connection


def cancel(campaigns: CampaignNames, yes: Yes = False, dry_run: DryRun = False, json: Json = False) -> None:  # noqa: ARG001 - `--yes` is accepted everywhere
    """End campaigns forever, at once. Recipients that wait are skipped; sent messages keep their statuses."""
    from cli.connected import run_connected
    from operations.pausing import SESSION

    raise typer.Exit(
        run_connected(
            "cancel",
            lambda _, connection: cancel_campaigns(connection, campaigns, is_dry=dry_run, as_json=json),
            session=SESSION,
        )
    )


async def cancel_campaigns(connection: Connection, names: Sequence[str], *, is_dry: bool, as_json: bool) -> int:
    """Cancel each named campaign. Raises NotOneCampaign before anything is done."""
    from cli.confirmation import Consent
    from cli.lifecycle import act_on, label
    from domain.lifecycle import Action
    from operations.campaign_names import find_all

    found = await find_all(connection, names)
    change = "cancel " + ",\n  ".join(f"{label(each)}, which is {each.status}" for each in found)
    consent = Consent(is_given=True, is_dry=is_dry)
    return await act_on(connection, Action.CANCEL, found, consent, change, as_json=as_json)
