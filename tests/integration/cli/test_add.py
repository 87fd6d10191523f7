"""A campaign by the command line alone: created, filled, activated, listed, shown and watched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli.activate import activate_campaign
from cli.add import add_recipients
from cli.cancel import cancel_campaigns
from cli.confirmation import Consent
from cli.create import campaign_of, create_campaign
from cli.list_campaigns import print_campaigns
from cli.recipient_input import GivenRecipient, read_recipients
from cli.show import show_campaign
from cli.stats import print_stats
from cli.watch import watch_campaign
from domain.lifecycle import CampaignStatus
from operations.options import InvalidOptions
from runtime.settings import Settings, read_settings
from tests.support.world import World

SURE = Consent(is_given=True)
GIVEN = {"name": "Spring sale", "template_name": "spring_offer", "language_code": "en_US", "daily_send_limit": 250}


@pytest.fixture
def settings(database_url: str) -> Settings:
    return read_settings({
        "CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "CAMPAIGNS_DATABASE_URL": database_url,
        "CAMPAIGNS_WHATSAPP_PHONE_NUMBER_ID": "106540352242922",
    })  # fmt: skip


def recipients(*items: object) -> list[GivenRecipient]:
    return [GivenRecipient(f"argument {number}", item) for number, item in enumerate(items, start=1)]


async def test_a_campaign_from_creation_to_its_end(
    world: World, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await create_campaign(settings, world.connection, GIVEN, Consent(), as_json=True) == 64
    assert await create_campaign(settings, world.connection, GIVEN, Consent(is_dry=True), as_json=True) == 0
    assert await world.value("SELECT count(*) FROM marketing_campaigns") == 1, "that of the world"
    capsys.readouterr()
    assert await create_campaign(settings, world.connection, GIVEN, SURE, as_json=True) == 0
    created = json.loads(capsys.readouterr().out)
    assert (created["name"], created["status"]) == ("Spring sale", "draft")

    file = tmp_path / "numbers.txt"
    file.write_text("+1 469 465 2751\nnot a number\n19453083188\n")
    given = read_recipients([str(file)])
    assert await add_recipients(world.connection, "Spring sale", given, None, Consent(), as_json=False) == 64
    printed = capsys.readouterr().err
    assert "numbers.txt, line 2: not a number: not_a_phone_number" in printed
    assert "This would add 2 recipient(s) (1 refused) to Spring sale" in printed
    assert await world.value("SELECT count(*) FROM campaign_recipients") == 0
    assert await add_recipients(world.connection, "Spring sale", given, None, SURE, as_json=True) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["added"], len(document["invalid"]), document["duplicates"]) == (2, 1, [])
    again = recipients("14694652751")
    assert await add_recipients(world.connection, "Spring sale", again, None, SURE, as_json=True) == 0
    [known] = json.loads(capsys.readouterr().out)["duplicates"]
    assert (known["place"], known["reason"]) == ("argument 1", "already_in_campaign")

    assert (
        await activate_campaign(
            settings, world.connection, created["id"][-8:], Consent(), ignore_template=False, as_json=False
        )
        == 64
    )
    assert "spring_offer (en_US) to 2 recipient(s), 250 a day" in capsys.readouterr().err
    assert (
        await activate_campaign(settings, world.connection, "Spring sale", SURE, ignore_template=False, as_json=True)
        == 0
    )
    assert json.loads(capsys.readouterr().out) == {"activated": [created["id"]], "refused": []}
    assert (
        await activate_campaign(settings, world.connection, "Spring sale", SURE, ignore_template=False, as_json=False)
        == 1
    ), "it is active"

    assert await print_campaigns(world.connection, None, 50, as_json=False) == 0
    line = f"{created['id'][-8:]}  active     Spring sale  0 of 2 handled (0.0 %), 0 failed"
    assert line in capsys.readouterr().out.splitlines()
    assert await print_campaigns(world.connection, CampaignStatus.ACTIVE, 50, as_json=True) == 0
    listed = {each["id"]: each for each in json.loads(capsys.readouterr().out)["campaigns"]}
    assert (listed[created["id"]]["total"], listed[created["id"]]["handled"]) == (2, 0)
    assert await show_campaign(world.connection, "Spring sale", as_json=False) == 0
    assert f"campaigns pause {created['id'][-8:]}" in capsys.readouterr().out
    assert await print_stats(world.connection, "Spring sale", as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["total_target"] == 2

    assert await cancel_campaigns(world.connection, ["Spring sale"], is_dry=True, as_json=False) == 0
    assert await world.value("SELECT status FROM marketing_campaigns WHERE name = 'Spring sale'") == "active"
    assert await cancel_campaigns(world.connection, ["Spring sale"], is_dry=False, as_json=False) == 0
    assert await watch_campaign(world.connection, "Spring sale", 0.2, as_json=False) == 0, "it has ended"
    assert "cancelled" in capsys.readouterr().out
    assert (
        await add_recipients(world.connection, "Spring sale", recipients("14694652752"), None, SURE, as_json=False) == 1
    )


async def test_recipients_are_added_in_chunks(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("api.bodies.RECIPIENTS_MAX", 2)
    given = recipients("14694652751", "14694652752", "x", "14694652753", "14694652751", {"phone_number": "14694652754"})
    assert await add_recipients(world.connection, str(world.campaign), given, None, SURE, as_json=True) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["added"] == 4
    assert [each["place"] for each in document["invalid"]] == ["argument 3"]
    assert [each["place"] for each in document["duplicates"]] == ["argument 5"]


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"language_code": "English"}, "--language: Write the code of the template's language, such as en or en_US."),
        ({"daily_send_limit": 0}, "--daily-limit: Write a whole number from 1 to 2,147,483,647. Without the option"),
        ({"time_zone": "Mars/Base"}, "--time-zone: Write a time zone of the IANA list"),
        ({"name": " "}, "NAME: Write a name with 1 to 200 characters"),
        ({"name": "x" * 201}, "NAME: Write a name with 1 to 200 characters"),
        ({"template_name": "spring offer"}, "--template: Write the name of the template: letters, digits"),
        ({"country": "Germany"}, "--country: Write a country as two letters"),
        ({"window_days": ["monday"]}, "--days: Write days of the week with commas"),
        ({"window_from": "9", "window_to": ""}, "--window: Write two local times as HH:MM-HH:MM"),
        ({"quiet_from": "13:00", "quiet_to": "noon"}, "--quiet: Write two local times"),
        ({"window_zone": "mine"}, "--window-zone: Write campaign or recipient"),
        ({"start_at": "tomorrow"}, "--start-at: Write a time with its offset from UTC"),
        ({"stale_after_hours": "soon"}, "--stale-after: Write a whole number of hours"),
        ({"phone_number_id": "+1 469"}, r"--number: Write the phone number id \(digits\), or none"),
    ],
)
def test_a_wrong_value_names_its_option(changed: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidOptions, match=text):
        campaign_of({**GIVEN, **changed}, "106540352242922")


def test_a_campaign_needs_a_sending_number() -> None:
    with pytest.raises(InvalidOptions, match="CAMPAIGNS_WHATSAPP_PHONE_NUMBER_ID"):
        campaign_of(GIVEN, "")
