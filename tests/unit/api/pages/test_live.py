"""A stream sends each part once, then only what changes, and ends with the process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from api.pages import live
from api.pages.board import Board
from api.pages.live import event, events
from domain.lifecycle import CampaignStatus
from domain.stats import campaign_stats
from schemas.model import CampaignId
from schemas.stats import CampaignProgress, CampaignStats
from tests.support.shown_campaigns import CAMPAIGN, NOW


def _stats(second: int, sent: int) -> CampaignStats:
    at = NOW + timedelta(seconds=second)
    counters = {"funnel/total": 9000, "funnel/sent": sent, "status/pending": 9000 - sent}
    return campaign_stats(CampaignId(CAMPAIGN.id), "Sale", "active", counters, version=second, as_of=at)


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Board:
    monkeypatch.setattr(live, "BEAT_S", 0.02)
    monkeypatch.setattr(live, "GATHER_S", 0.0)
    found = Board()
    found.report(CAMPAIGN, CampaignProgress(**dict(_stats(0, 1000))))
    found.arrange([(CampaignStatus.ACTIVE, CAMPAIGN.id)])
    return found


async def _until_beat(stream: AsyncIterator[str]) -> dict[str, str]:
    found = {}
    async for each in stream:
        name, _, data = each.partition("\n")
        if name.startswith("retry: "):
            continue
        found[name.removeprefix("event: ")] = data
        if name == "event: beat":
            return found
    return found


async def test_a_campaign_is_sent_whole_and_then_what_changes(board: Board) -> None:
    stream = events(board, CAMPAIGN.id)
    assert set(await _until_beat(stream)) == {"health", "figures", "attention", "pipeline", "restate", "beat"}
    assert set(await _until_beat(stream)) == {"beat"}
    board.report_snapshots([_stats(1, 2345)])
    changed = await _until_beat(stream)
    assert set(changed) == {"figures", "pipeline", "beat"}
    assert "2,345" in changed["figures"]
    assert "{" not in changed["figures"], "a page never shows JSON"


async def test_a_list_gets_rows_and_its_order(board: Board) -> None:
    stream = events(board, None)
    assert set(await _until_beat(stream)) == {"health", "regroup", f"row-{CAMPAIGN.id}", "beat"}
    board.arrange([(CampaignStatus.PAUSED, CAMPAIGN.id)])
    assert set(await _until_beat(stream)) == {"regroup", "beat"}


async def test_a_slow_stream_gets_the_newest_figures_alone(board: Board) -> None:
    stream = events(board, CAMPAIGN.id)
    await _until_beat(stream)
    board.report_snapshots(_stats(second, 2000 + second) for second in range(1, 100))
    assert "2,099" in (await _until_beat(stream))["figures"]
    assert set(await _until_beat(stream)) == {"beat"}


async def test_a_stream_ends_with_the_process_and_leaves_nothing(board: Board) -> None:
    stream = events(board, CAMPAIGN.id)
    await _until_beat(stream)
    assert board.watched.is_set()
    board.close()
    async with asyncio.timeout(5):
        assert await _until_beat(stream) == {}
    assert not board.watched.is_set()


async def test_a_stream_ends_so_that_the_session_is_checked_again(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "STREAM_S", 0.05)
    async with asyncio.timeout(5):
        parts = [each async for each in events(board, CAMPAIGN.id)]
    assert parts[0] == "retry: 500\n\n"
    assert parts.count("event: beat\ndata: \n\n") >= 1


def test_a_line_break_cannot_begin_an_event() -> None:
    assert event("figures", "a\n\nevent: x") == "event: figures\ndata: a\ndata: \ndata: event: x\n\n"
    assert event("beat", "") == "event: beat\ndata: \n\n"
    assert "\r" not in event("x", "a\rb\r\nc\x0bd")
