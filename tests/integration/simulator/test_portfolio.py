"""The limit of the portfolio at Meta's end: our budget keeps within it, and without a budget the campaign is paused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from domain.lifecycle import CampaignStatus
from domain.portfolio import PortfolioBudget
from schemas.model import CampaignId
from sinks.apply import KnownPhoneNumbers, apply_batch
from tables import breakers, campaigns, stats
from tables.releases import Rates
from tests.support.sender_bench import Bench, open_bench
from tests.support.simulated_account import SimulatedAccount, simulated_account

LIMIT, RECIPIENTS = 5, 12


@asynccontextmanager
async def a_bench(database_url: str) -> AsyncIterator[tuple[Bench, SimulatedAccount, CampaignId]]:
    async with (
        simulated_account(portfolio_limit=LIMIT) as account,
        open_bench(database_url, **account.settings) as bench,
    ):
        yield bench, account, await bench.world.start_campaign(RECIPIENTS)


async def send_what_is_released(bench: Bench, rates: Rates) -> None:
    """Release what the limits allow, send it, and apply what came of it to the rows."""
    step = await bench.world.release(rates)
    await bench.take(step.jobs)
    await bench.finish()
    events = bench.kafka.events()
    applied = await apply_batch(bench.world.connection, events, KnownPhoneNumbers())
    assert applied.refused == {}


def codes(account: SimulatedAccount) -> list[int | None]:
    return [entry.code for entry in account.simulator.ledger.entries]


async def assert_counted(bench: Bench, campaign: CampaignId, sent: int, waiting: int) -> None:
    """Every recipient is counted once, and the counters are those of the rows."""
    statuses = await bench.world.statuses(campaign)
    assert statuses.get("sent", 0) == sent
    assert sum(statuses.values()) == RECIPIENTS == sent + waiting
    assert not await stats.recount(bench.world.connection, campaign)


async def test_a_budget_as_large_as_the_limit_has_no_post_refused(database_url: str) -> None:
    async with a_bench(database_url) as (bench, account, campaign):
        rates = Rates(mps=1000, cap_s=10, portfolio=PortfolioBudget(LIMIT))
        for _ in range(3):
            await send_what_is_released(bench, rates)
        assert codes(account) == [None] * LIMIT
        await assert_counted(bench, campaign, LIMIT, RECIPIENTS - LIMIT)
        assert await breakers.pause_held(bench.world.connection, 60.0) == []


async def test_without_a_budget_the_limit_of_meta_pauses_the_campaign_and_spends_nobody(database_url: str) -> None:
    async with a_bench(database_url) as (bench, account, campaign):
        await send_what_is_released(bench, Rates(mps=1000, cap_s=10))
        assert codes(account).count(None) == LIMIT
        assert set(codes(account)) == {None, 131048}
        await assert_counted(bench, campaign, LIMIT, RECIPIENTS - LIMIT)
        assert not {"failed", "unknown"} & (await bench.world.statuses(campaign)).keys()
        paused = dict(await breakers.pause_held(bench.world.connection, 60.0))
        assert "number" in paused[campaign]
        assert (await campaigns.read(bench.world.connection, campaign)).status is CampaignStatus.PAUSED
