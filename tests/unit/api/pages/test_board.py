"""The board keeps the newest figures of each campaign, whichever source reports them, and bounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from uuid import UUID

import pytest

from api.pages import board as boards
from api.pages.board import Board, Sample, speed
from api.pages.views import CampaignView
from domain.lifecycle import CampaignStatus
from domain.stats import campaign_stats
from schemas.model import CampaignId
from schemas.stats import CampaignProgress, CampaignStats
from tests.support.shown_campaigns import CAMPAIGN, NOW, campaign_id


def _snapshot(second: int, handled: int, status: str = "active", campaign: UUID = CAMPAIGN.id) -> CampaignStats:
    counters = {"funnel/total": 1000, "status/pending": 1000 - handled}
    at = NOW + timedelta(seconds=second)
    return campaign_stats(CampaignId(campaign), "Sale", status, counters, version=second, as_of=at)


def _progress(second: int, handled: int, campaign: UUID = CAMPAIGN.id) -> CampaignProgress:
    return CampaignProgress(**dict(_snapshot(second, handled, campaign=campaign)), eta=None)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_newest_figures_win_in_any_order(order: Sequence[int]) -> None:
    board = Board()
    board.report(CAMPAIGN, _progress(0, 10))
    for each in order:
        if each == 1:
            board.report(CAMPAIGN, _progress(each, 10 + each))
        else:
            board.report_snapshots([_snapshot(each, 10 + each)])
    known = board.get(CAMPAIGN.id)
    assert known is not None
    assert known.stats.handled == 12


async def test_a_stream_learns_of_its_campaign_once_however_often_it_changes() -> None:
    board = Board()
    board.report(CAMPAIGN, _progress(0, 1))
    other = replace(CAMPAIGN, id=campaign_id(2))
    with board.subscribe(CAMPAIGN.id) as one, board.subscribe(None) as every:
        for second in range(1, 50):
            board.report_snapshots([_snapshot(second, second)])
        board.report(other, _progress(0, 1, other.id))
        assert one.take() == {CAMPAIGN.id}
        assert every.take() == {CAMPAIGN.id, other.id}
        assert one.take() == set()
        board.report(CAMPAIGN, _progress(60, 49))
        assert one.take() == {CAMPAIGN.id}, "its speed has changed"
        board.report(CAMPAIGN, _progress(60, 49))
        assert one.take() == set()
    assert not board.watched.is_set()


async def test_another_status_or_an_unknown_campaign_asks_postgres() -> None:
    board = Board()
    board.report(CAMPAIGN, _progress(0, 1))
    board.report_snapshots([_snapshot(1, 1, campaign=campaign_id(9))])
    assert not board.refresh.is_set(), "no list is open"
    with board.subscribe(None):
        board.refresh.clear()
        board.report_snapshots([_snapshot(1, 1, "paused")])
        assert board.refresh.is_set()
        known = board.get(CAMPAIGN.id)
        assert known is not None
        assert known.view().status.word == "Paused"
        board.refresh.clear()
        board.report_snapshots([_snapshot(1, 1, campaign=campaign_id(9))])
        assert board.refresh.is_set()
        assert board.watched_campaigns() == {campaign_id(9)}
        board.forget([campaign_id(9)])
        assert board.watched_campaigns() == set()


def test_a_status_of_a_later_version_changes_nothing() -> None:
    board = Board()
    board.report(CAMPAIGN, _progress(0, 1))
    board.report_snapshots([_snapshot(1, 9, "archived"), _snapshot(2, 5)])
    known = board.get(CAMPAIGN.id)
    assert known is not None
    assert known.stats.handled == 5


async def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boards, "KNOWN_MAX", 3)
    monkeypatch.setattr(boards, "WANTED_MAX", 2)
    monkeypatch.setattr(boards, "STREAMS_MAX", 1)
    board = Board()
    for n in range(1, 6):
        board.report(replace(CAMPAIGN, id=campaign_id(n)), _progress(0, 1, campaign_id(n)))
    assert [n for n in range(1, 6) if board.get(campaign_id(n))] == [3, 4, 5]
    with board.subscribe(None):
        board.report_snapshots(_snapshot(1, 1, campaign=campaign_id(n)) for n in range(10, 20))
        assert len(board.watched_campaigns()) == 2
        assert board.is_full
    assert not board.is_full


def test_a_rendered_part_is_made_once_for_each_change() -> None:
    board, made = Board(), list[int]()
    board.report(CAMPAIGN, _progress(0, 1))
    known = board.get(CAMPAIGN.id)
    assert known is not None

    def render(template: str, view: CampaignView) -> str:
        made.append(view.stats.handled)
        return template

    for _ in range(3):
        assert known.fragment("x", render) == "x"
    board.report_snapshots([_snapshot(1, 2)])
    known.fragment("x", render)
    assert made == [1, 2]


@pytest.mark.parametrize(
    ("seconds", "handled", "expected"),
    [((), (), None), ((0,), (5,), None), ((0, 0.5), (5, 9), None), ((0, 2), (5, 9), 2.0), ((0, 1, 10), (0, 5, 50), 5.0),
     ((0, 5), (9, 5), 0.0)],
)  # fmt: skip
def test_the_speed_is_that_of_the_samples(
    seconds: Sequence[float], handled: Sequence[int], expected: float | None
) -> None:
    samples: list[Sample] = [(NOW + timedelta(seconds=s), n) for s, n in zip(seconds, handled, strict=True)]
    assert speed(samples) == expected


def test_the_speed_forgets_old_samples() -> None:
    board = Board()
    board.report(CAMPAIGN, _progress(0, 0))
    board.report_snapshots(_snapshot(second, 100) for second in range(1, 60))
    known = board.get(CAMPAIGN.id)
    assert known is not None
    assert known.view().per_s == 0.0
    assert len(known.samples) < 20


def test_the_first_moment_without_postgres_counts() -> None:
    board = Board()
    assert board.postgres_is_away(NOW)
    assert not board.postgres_is_away(NOW + timedelta(seconds=9))
    assert board.state.postgres_away_since == NOW


async def test_a_new_order_reaches_the_streams() -> None:
    board = Board()
    with board.subscribe(None) as stream:
        board.arrange([(CampaignStatus.ACTIVE, CAMPAIGN.id)])
        await stream.wait(0)
        assert board.listed() == [], "its figures are not known yet"
