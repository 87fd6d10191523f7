"""A draft by the command line alone: edited, cloned, emptied of one recipient, and deleted."""

from __future__ import annotations

import json
import re

import pytest

from cli.clone import clone_campaign
from cli.confirmation import Consent
from cli.delete import delete_draft
from cli.edit import edit_campaign
from cli.remove import remove_recipients
from cli.show import show_campaign
from domain.lifecycle import Action
from operations.campaign_names import NotOneCampaign
from operations.options import InvalidOptions
from tests.support.world import World

SURE, DRY = Consent(is_given=True), Consent(is_dry=True)
Output = pytest.CaptureFixture[str]


async def test_a_draft_is_edited_after_consent(world: World, capsys: Output) -> None:
    campaign = await world.create_campaign(1, limit=5)
    short, changes = str(campaign)[-8:], {"name": "Spring", "daily_send_limit": None}
    for consent, code in ((Consent(), 64), (DRY, 0)):
        assert await edit_campaign(world.connection, short, changes, consent, as_json=False) == code
        assert "name from Test Campaign to Spring, daily_send_limit from 5 to none" in capsys.readouterr().err
    assert await world.value("SELECT name FROM marketing_campaigns WHERE id = %s", campaign) == "Test Campaign"
    assert await edit_campaign(world.connection, short, changes, SURE, as_json=True) == 0
    edited = json.loads(capsys.readouterr().out)
    assert (edited["name"], edited["daily_send_limit"]) == ("Spring", None)
    assert await edit_campaign(world.connection, "Spring", {"name": "Spring"}, Consent(), as_json=False) == 0
    assert "nothing to change" in capsys.readouterr().err
    with pytest.raises(InvalidOptions, match="--language: Write the code"):
        await edit_campaign(world.connection, "Spring", {"language_code": "English"}, SURE, as_json=False)


async def test_only_a_draft_shows_its_deletion(world: World, capsys: Output) -> None:
    campaign = await world.create_campaign(1)
    for action, has_delete in ((None, True), (Action.ACTIVATE, False), (Action.CANCEL, False)):
        if action is not None:
            await world.act(campaign, action)
        assert await show_campaign(world.connection, str(campaign), as_json=False) == 0
        shown = capsys.readouterr().out
        assert (f"campaigns delete {str(campaign)[-8:]}" in shown) is has_delete
        assert f"campaigns clone {str(campaign)[-8:]}" in shown


async def test_a_running_campaign_refuses_before_anybody_is_asked(world: World, capsys: Output) -> None:
    campaign = str(await world.start_campaign(1))
    assert await edit_campaign(world.connection, campaign, {"template_name": "x"}, Consent(), as_json=False) == 1
    assert "not changed: template_name cannot change while the campaign is active" in capsys.readouterr().err
    assert await delete_draft(world.connection, campaign, Consent(), as_json=False) == 1
    assert "only a draft can be deleted" in capsys.readouterr().err


async def test_a_campaign_is_cloned_and_the_clone_deleted(world: World, capsys: Output) -> None:
    campaign = await world.start_campaign(3)
    name = str(campaign)
    for consent, code in ((Consent(), 64), (DRY, 0)):
        assert await clone_campaign(world.connection, name, None, consent, copies=True, as_json=False) == code
        assert "create the draft Test Campaign (copy) with the settings of" in capsys.readouterr().err
    assert await clone_campaign(world.connection, name, "Summer", SURE, copies=True, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "Summer"
    assert await clone_campaign(world.connection, name, None, SURE, copies=False, as_json=False) == 0
    assert await world.count("campaign_recipients") == 6
    assert await delete_draft(world.connection, "Summer", Consent(), as_json=False) == 64
    assert "delete the draft Summer" in (printed := capsys.readouterr().err)
    assert "its 3 recipient(s) for good" in printed
    assert await delete_draft(world.connection, "Summer", SURE, as_json=True) == 0
    assert await world.count("campaign_recipients") == 3
    with pytest.raises(NotOneCampaign):
        await delete_draft(world.connection, "Summer", SURE, as_json=False)
    with pytest.raises(InvalidOptions, match="--name"):
        await clone_campaign(world.connection, name, " ", SURE, copies=False, as_json=False)


async def test_recipients_are_removed_each_alone(world: World, capsys: Output) -> None:
    campaign = await world.start_campaign(1)
    await world.release()
    await world.import_recipients(campaign, 2)
    name, numbers = str(campaign), ["+1 555 000 0000", "15550000001", "15550000009"]
    assert await remove_recipients(world.connection, name, numbers, Consent(), as_json=False) == 64
    assert await remove_recipients(world.connection, name, numbers, SURE, as_json=True) == 1
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert (document["removed"], [each["place"] for each in document["refused"]]) == (1, ["argument 1", "argument 3"])
    assert "argument 1: not removed: it was released already" in printed.err
    assert "15550000000" not in printed.err, "a phone number is no text for a log"
    with pytest.raises(InvalidOptions, match=r"argument 2: .*Nothing was removed"):
        await remove_recipients(world.connection, name, ["15550000002", "nobody"], SURE, as_json=False)
    [(last,)] = await world.run("SELECT id FROM campaign_recipients WHERE campaign_id = %s AND attempt = 0", campaign)
    assert await remove_recipients(world.connection, name, [str(last)], SURE, as_json=False) == 0
    await world.act(campaign, Action.CANCEL)
    assert await world.statuses(campaign) == {"queued": 1}


async def test_a_campaign_excludes_others_by_name(world: World, capsys: Output) -> None:
    await edit_campaign(world.connection, str(world.campaign), {"name": "Earlier"}, SURE, as_json=False)
    campaign = str(await world.create_campaign(0))
    changes = {"exclude_campaigns": ["Earlier"], "exclude_recipients": "all"}
    assert await edit_campaign(world.connection, campaign, changes, SURE, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["exclude_campaigns"] == [str(world.campaign)]
    assert await show_campaign(world.connection, campaign, as_json=False) == 0
    assert re.search(rf"exclude campaigns +{world.campaign}\n", capsys.readouterr().out)
    with pytest.raises(NotOneCampaign, match="no campaign"):
        await edit_campaign(world.connection, campaign, {"exclude_campaigns": ["Never"]}, SURE, as_json=False)
    with pytest.raises(InvalidOptions, match="--exclude: A campaign cannot exclude its own"):
        await edit_campaign(world.connection, campaign, {"exclude_campaigns": [campaign]}, SURE, as_json=False)
    assert await edit_campaign(world.connection, campaign, {"exclude_campaigns": []}, SURE, as_json=False) == 0
    assert f"exclude_campaigns from {world.campaign} to none" in capsys.readouterr().err
