"""`campaigns adopt`: what is shown before, what is done, and the file of the rows that do not fit."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from cli.adopt import RefusedRows, adopt_rows, pairs
from cli.confirmation import Consent
from operations.options import InvalidOptions
from runtime.settings import Settings
from tables import campaigns
from tables.campaigns import NewCampaign
from tests.support.world import NUMBER_ID, World

TABLE = "original.campaign_recipients"


async def prepared(world: World) -> str:
    """A draft, and a table with one row that waits, one that was sent to, and one that does not fit."""
    await world.connection.execute(
        "CREATE SCHEMA original;"
        f"CREATE TABLE {TABLE} (id bigint PRIMARY KEY, phone_number text, status text);"
        f"INSERT INTO {TABLE} VALUES (1, '14694650001', 'pending'), (2, '14694650002', 'sent'), (3, 'x', 'sent')"
    )
    new = NewCampaign("Sale", "offer", "en_US", None, NUMBER_ID, "UTC")
    return str((await campaigns.create(world.connection, new)).id)


async def test_rows_are_judged_before_and_adopted_after_the_consent(
    world: World, topics: None, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    campaign, file = await prepared(world), tmp_path / "left.csv"

    async def run(consent: Consent, *, as_json: bool = False) -> int:
        return await adopt_rows(
            settings, world.connection, campaign, TABLE, [], None, RefusedRows(file), consent, as_json=as_json
        )

    assert await run(Consent(is_dry=True)) == 1
    shown = capsys.readouterr().err
    assert "3 row(s)" in shown
    assert "left out: not_a_phone_number" in shown
    assert await world.value("SELECT count(*) FROM campaign_recipients") == 0
    assert await run(Consent(is_given=True), as_json=True) == 1
    printed = json.loads(capsys.readouterr().out)
    assert (printed["adopted"], printed["refused"]) == ({"pending": 1, "sent": 1}, {"not_a_phone_number": 1})
    with file.open(newline="") as stream:
        [written] = csv.DictReader(stream)
    assert written == printed["first_refused"][0]
    assert await world.value("SELECT count(*) FROM campaign_recipients") == 2
    assert len(await world.read_events()) == 1
    await campaigns.read(world.connection, world.campaign)
    await world.run("UPDATE marketing_campaigns SET status = 'cancelled' WHERE id = %s", campaign)
    assert await run(Consent(is_given=True)) == 1
    assert "not adopted: the campaign is cancelled" in capsys.readouterr().err


async def test_a_table_that_does_not_exist_is_named(world: World, settings: Settings) -> None:
    campaign = await prepared(world)
    with pytest.raises(InvalidOptions, match="--table: There is no table missing"):
        await adopt_rows(
            settings, world.connection, campaign, "missing", [], None, RefusedRows(None), Consent(), as_json=False
        )


def test_columns_are_named_in_pairs() -> None:
    assert pairs(["a = b", "c=d=e"], "--column") == {"a": "b", "c": "d=e"}
    for wrong in ("a", "=b", "a="):
        with pytest.raises(InvalidOptions, match="--column"):
            pairs([wrong], "--column")
