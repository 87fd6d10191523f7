"""`campaigns test-send`: what is sent, what is not, and the outcome that is printed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import SecretStr

from cli.confirmation import Consent
from cli.test_send import TestOrder, run_test
from operations.options import InvalidOptions
from runtime.settings import Settings
from tables import campaigns
from tables.campaigns import NewCampaign
from tables.new_recipients import NewRecipient
from tests.support.simulated_account import simulated_account, template_config
from tests.support.templates import body
from tests.support.world import NUMBER_ID, World

SURE = Consent(is_given=True)
ME = "+14694652799"


def settings(world: World, **changed: Any) -> Settings:
    required = {"kafka_bootstrap_servers": "127.0.0.1:1", "database_url": SecretStr(world.url)}
    return Settings(**{**required, **changed})


async def draft(world: World) -> str:
    new = NewCampaign("Sale", "spring_offer", "en_US", None, NUMBER_ID, "UTC")
    created = await campaigns.create(world.connection, new)
    await campaigns.add_recipients(world.connection, created.id, [NewRecipient("14694650001", ["Ana"])])
    return str(created.id)


async def test_a_test_waits_for_its_outcome(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    campaign = await draft(world)
    order = TestOrder(campaign, (ME,), wait_s=0, key="k")
    assert await run_test(settings(world), world.connection, order, Consent(), as_json=True) == 64
    assert "send the message of Sale" in capsys.readouterr().err
    assert await run_test(settings(world), world.connection, order, SURE, as_json=True) == 1
    printed = capsys.readouterr()
    first = json.loads(printed.out)
    assert [each["status"] for each in first["messages"]] == ["pending"]
    assert f"campaigns show {first['id']}" in printed.err
    await world.run(
        "UPDATE campaign_recipients SET attempt = 1, accepted_attempts = 2, sent_at = now() WHERE campaign_id = %s",
        first["id"],
    )  # fmt: skip
    assert await run_test(settings(world), world.connection, order, SURE, as_json=False) == 0, "the same key"
    assert capsys.readouterr().out == f"{ME}  sent\n"
    other = TestOrder(campaign, (ME,), parameters='["Bo"]', wait_s=0, key="k")
    with pytest.raises(InvalidOptions, match="--key: "):
        await run_test(settings(world), world.connection, other, SURE, as_json=False)


@pytest.mark.parametrize(
    ("to", "text"),
    [
        (("x",), "--to x: "),
        ((ME, "1 469 465 2799"), "--to"),
        (tuple(f"1469465{n:04}" for n in range(11)), "at most 10"),
    ],
)
async def test_wrong_numbers_are_named(world: World, to: tuple[str, ...], text: str) -> None:
    campaign = await draft(world)
    with pytest.raises(InvalidOptions, match=text):
        await run_test(settings(world), world.connection, TestOrder(campaign, to), SURE, as_json=False)
    assert await world.value("SELECT count(*) FROM test_sends") == 0


async def test_what_meta_would_refuse_is_not_sent(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    campaign = await draft(world)
    async with simulated_account(template_config(body("Hi"))) as account:
        found = settings(world, **account.settings)
        order = TestOrder(campaign, (ME,), wait_s=0)
        assert await run_test(found, world.connection, order, SURE, as_json=False) == 1
        assert "add --ignore-template" in capsys.readouterr().err
        assert await world.value("SELECT count(*) FROM test_sends") == 0
        insisting = TestOrder(campaign, (ME,), wait_s=0, ignore_template=True)
        assert await run_test(found, world.connection, insisting, SURE, as_json=False) == 1
        assert await world.value("SELECT count(*) FROM test_sends") == 1


async def test_a_cancelled_campaign_sends_no_test(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    campaign = await draft(world)
    await world.run("UPDATE marketing_campaigns SET status = 'cancelled' WHERE id = %s", campaign)
    order = TestOrder(campaign, (ME,), wait_s=0)
    assert await run_test(settings(world), world.connection, order, SURE, as_json=False) == 1
    assert "not sent: the campaign is cancelled" in capsys.readouterr().err
