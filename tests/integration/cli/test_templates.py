"""`campaigns templates`, and the template check of `campaigns activate`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from pydantic import SecretStr

from cli.activate import activate_campaign
from cli.confirmation import Consent
from cli.resume import resume_campaigns
from cli.templates import check_campaign, chosen_parameters, list_templates, preview_campaign, show_template
from domain.lifecycle import Action
from operations.options import InvalidOptions
from runtime.settings import Settings
from tables import campaigns
from tables.campaigns import NewCampaign
from tables.new_recipients import NewRecipient
from tests.support.simulated_account import simulated_account, template_config
from tests.support.templates import URL_BUTTON, body, buttons
from tests.support.world import NUMBER_ID, World

SURE = Consent(is_given=True)
OFFER = template_config(body("Hi {{1}}"), buttons(URL_BUTTON))
PLAIN = template_config(body("Hello {{1}}"), name="plain")


@pytest.fixture
async def reading(world: World) -> AsyncIterator[Settings]:
    """Settings that lead to a simulated account."""
    async with simulated_account(OFFER, PLAIN) as account:
        required = {"kafka_bootstrap_servers": "127.0.0.1:1", "database_url": SecretStr(world.url)}
        yield Settings(**{**required, **account.settings})


async def draft(world: World, template: str, *parameters: list[str]) -> str:
    new = NewCampaign("Sale", template, "en_US", None, NUMBER_ID, "UTC")
    created = await campaigns.create(world.connection, new)
    people = [NewRecipient(f"1469465{n:04}", list(each)) for n, each in enumerate(parameters)]
    await campaigns.add_recipients(world.connection, created.id, people)
    return str(created.id)


async def test_templates_are_listed_and_shown(reading: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    await asyncio.to_thread(list_templates, reading, "", {"status": "APPROVED"}, 10, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "plain  en_US  APPROVED  MARKETING  quality UNKNOWN  parameters: 1",
        "spring_offer  en_US  APPROVED  MARKETING  quality UNKNOWN  parameters: 1, button_1",
    ]
    await asyncio.to_thread(list_templates, reading, "", {}, 1, as_json=True)
    assert json.loads(capsys.readouterr().out)["is_complete"] is False
    assert await asyncio.to_thread(show_template, reading, "spring_offer", None, as_json=False) == 0
    shown = capsys.readouterr().out
    assert "  Hi {{1}}\n  [Shop] -> https://example.com/{{1}}\n" in shown
    assert await asyncio.to_thread(show_template, reading, "plain", "fr", as_json=False) == 1
    assert "no template plain in fr" in capsys.readouterr().err


async def test_templates_that_cannot_be_read_exit_as_transient(
    reading: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    unset = reading.model_copy(update={"whatsapp_account_id": ""})
    assert await asyncio.to_thread(list_templates, unset, "", {}, 10, as_json=False) == 75
    assert "CAMPAIGNS_WHATSAPP_ACCOUNT_ID is not set" in capsys.readouterr().err


async def test_a_message_is_previewed(world: World, reading: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    campaign = await draft(world, "plain", ["Ana"], ["Bo", "x"])
    assert await preview_campaign(reading, world.connection, campaign, "14694650000", None, as_json=False) == 0
    assert capsys.readouterr().out == "Hello Ana\n"
    assert await preview_campaign(reading, world.connection, campaign, "+1 469 465 0001", None, as_json=False) == 1
    assert "does not fit: template_parameters.body.2" in capsys.readouterr().err
    assert await preview_campaign(reading, world.connection, campaign, None, '["Cy"]', as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["lines"] == ["Hello Cy"]


@pytest.mark.parametrize(
    ("recipient", "parameters", "text"),
    [
        (None, "[NaN]", "--parameters: NaN is not"),
        (None, '[["x"]]', "--parameters: template_parameters.0"),
        ("14694659999", None, "no such recipient"),
        ("x", None, "--recipient:"),
    ],
)
async def test_a_wrong_choice_of_parameters_is_named(
    world: World, recipient: str | None, parameters: str | None, text: str
) -> None:
    campaign = await campaigns.read(world.connection, world.campaign)
    with pytest.raises(InvalidOptions, match=text):
        await chosen_parameters(world.connection, campaign, recipient, parameters)


async def test_a_campaign_that_does_not_fit_is_not_activated(
    world: World, reading: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    campaign = await draft(world, "plain", ["Ana"], ["Bo", "x"])
    assert await check_campaign(reading, world.connection, campaign, as_json=False) == 1
    shown = capsys.readouterr().out
    assert "1 of 2 recipient(s) fit" in shown
    assert "+14694650001  superfluous_parameter" in shown
    refused = await activate_campaign(reading, world.connection, campaign, SURE, ignore_template=False, as_json=False)
    assert refused == 1
    assert "add --ignore-template" in capsys.readouterr().err
    assert (await campaigns.read(world.connection, UUID(campaign))).status == "draft"
    done = await activate_campaign(reading, world.connection, campaign, SURE, ignore_template=True, as_json=False)
    assert done == 0


async def test_a_paused_campaign_that_does_not_fit_any_more_is_not_resumed(
    world: World, reading: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    campaign = await draft(world, "plain", ["Ana"], ["Bo", "x"])
    for action in (Action.ACTIVATE, Action.PAUSE):
        await campaigns.act(world.connection, UUID(campaign), action)
    assert await resume_campaigns(reading, world.connection, [campaign], SURE, as_json=False) == 1
    shown = capsys.readouterr().err
    assert "superfluous_parameter" in shown
    assert "add --ignore-template" in shown
    assert (await campaigns.read(world.connection, UUID(campaign))).status == "paused"
    done = await resume_campaigns(reading, world.connection, [campaign], SURE, as_json=False, ignore_template=True)
    assert done == 0


async def test_a_campaign_that_fits_is_activated(
    world: World, reading: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    campaign = await draft(world, "plain", ["Ana"])
    assert await check_campaign(reading, world.connection, campaign, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["misfitting"] == 0
    done = await activate_campaign(reading, world.connection, campaign, SURE, ignore_template=False, as_json=False)
    assert done == 0
