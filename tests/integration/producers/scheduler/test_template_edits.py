"""Edited templates against a simulated account: what fits goes on, and what does not is paused with its component."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from domain.template_edits import TemplateFit
from producers.scheduler.template_edits import READS_MAX, EditComparison
from runtime.settings import Settings
from runtime.template_reader import TemplateReader
from tables.template_edits import EditedCampaign
from tests.support.histories import START
from tests.support.simulated_account import SimulatedAccount, simulated_account
from tests.support.templates import body, header
from tests.support.world import World

GREETING = "your_template"


@pytest.fixture
async def account() -> AsyncIterator[SimulatedAccount]:
    async with simulated_account() as found:
        found.add(body("Hi {{1}}"), name=GREETING)
        yield found


def a_comparison(world: World, account: SimulatedAccount, compare_s: float = 5.0) -> EditComparison:
    settings = Settings.model_validate(
        {"database_url": world.url, "kafka_bootstrap_servers": "127.0.0.1:1", **account.settings}
    )
    return EditComparison(settings, TemplateReader(settings), compare_s)


async def an_edit(world: World, *parameters: str) -> EditedCampaign:
    """The edited campaign of the world, with a recipient for each of these parameters."""
    recipients = await world.add_recipients(len(parameters))
    for recipient, given in zip(recipients, parameters, strict=True):
        await world.run(
            "UPDATE campaign_recipients SET template_parameters = %s::jsonb WHERE id = %s", given, recipient
        )
    return EditedCampaign(world.campaign, GREETING, "en_US", None, START)


async def test_an_edit_that_fits_lets_the_campaign_go_on(world: World, account: SimulatedAccount) -> None:
    edited = await an_edit(world, '["Ana"]', '["Bo"]')
    account.add(body("Dear {{1}}, the sale begins"), name=GREETING)
    [(found, verdict)] = await a_comparison(world, account).compare([edited])
    assert (found, verdict.fit, verdict.reason) == (edited, TemplateFit.FITS, None)


async def test_an_edit_that_does_not_fit_names_the_component(world: World, account: SimulatedAccount) -> None:
    edited = await an_edit(world, '["Ana"]', '["Bo"]')
    comparison = a_comparison(world, account)
    account.add(body("Hi {{1}}, {{2}} ends soon"), name=GREETING)
    [(_, verdict)] = await comparison.compare([edited])
    assert verdict.fit is TemplateFit.MISFITS
    assert "at least 2 waiting recipient(s)" in str(verdict.reason)
    assert "template_parameters.body.2: The variable {{2}} has no parameter." in str(verdict.reason)
    account.add(header("IMAGE"), body("Hi {{1}}"), name=GREETING)
    [(_, verdict)] = await comparison.compare([edited])
    assert "template_parameters.header" in str(verdict.reason)
    account.add(body("Hi {{1}}"), name=GREETING, status="PENDING")
    [(_, verdict)] = await comparison.compare([edited])
    assert "Its status is PENDING" in str(verdict.reason)


async def test_people_who_have_their_message_are_not_compared(world: World, account: SimulatedAccount) -> None:
    edited = await an_edit(world, '["Ana"]', '["Bo", "5 EUR"]')
    account.add(body("Hi {{1}}, {{2}} ends soon"), name=GREETING)
    await world.run(
        "UPDATE campaign_recipients SET attempt = 1, accepted_attempts = 2, accepted_attempt = 1, accepted_at = now()"
        " WHERE template_parameters = '[\"Ana\"]'"
    )
    [(_, verdict)] = await a_comparison(world, account).compare([edited])
    assert verdict.fit is TemplateFit.FITS


async def test_a_long_comparison_continues_in_the_next_round(
    world: World, account: SimulatedAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producers.scheduler.template_edits.CHUNK_ROWS", 2)
    edited = await an_edit(world, *(['["Ana"]'] * 5))
    comparison = a_comparison(world, account, compare_s=0)
    for _ in range(3):  # two, two and one recipient
        assert await comparison.compare([edited]) == []
    [(_, verdict)] = await comparison.compare([edited])
    assert verdict.fit is TemplateFit.FITS


async def test_a_template_that_cannot_be_read_pauses_after_three_rounds(
    world: World, account: SimulatedAccount
) -> None:
    edited = await an_edit(world, '["Ana"]')
    comparison = a_comparison(world, account)
    await account.simulator.stop()
    for _ in range(READS_MAX - 1):
        assert await comparison.compare([edited]) == []
    [(_, verdict)] = await comparison.compare([edited])
    assert verdict.fit is TemplateFit.UNREADABLE
    assert "The Cloud API cannot be reached" in str(verdict.reason)


async def test_a_template_that_the_account_does_not_list_is_not_compared(
    world: World, account: SimulatedAccount
) -> None:
    edited = EditedCampaign(world.campaign, "unlisted", "en_US", None, START)
    [(_, verdict)] = await a_comparison(world, account).compare([edited])
    assert verdict.fit is not TemplateFit.FITS
    assert verdict.reason is not None
