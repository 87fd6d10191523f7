"""The view of a campaign: what its figures mean, and what can be done."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.pages.rendering import html
from api.pages.views import STATUS_WORDS, CampaignView, funnel, hours, segments, view, waits_until
from domain.breakers import Scope
from domain.canary import Canary
from domain.lifecycle import CampaignStatus
from domain.stats import campaign_stats
from domain.template_edits import TemplateFit
from domain.windows import WEEK
from schemas.model import CampaignId
from schemas.stats import CampaignStats
from tables.breakers import KnownBreaker
from tests.support.shown_campaigns import CAMPAIGN, NOW

COUNTS = st.integers(0, 10**8)


def _stats(status: str = "active", **counters: int) -> CampaignStats:
    named = {name.replace("__", "/"): n for name, n in counters.items()}
    return campaign_stats(CampaignId(CAMPAIGN.id), "Sale", status, named, version=1, as_of=NOW)


def _view(status: CampaignStatus = CampaignStatus.ACTIVE, reason: str | None = None, **counters: int) -> CampaignView:
    return view(replace(CAMPAIGN, status=status, pause_reason=reason), _stats(status.value, **counters))


@given(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
def test_the_parts_of_the_bar_sum_up_to_the_recipients(
    pending: int, queued: int, failed: int, skipped: int, unknown: int, arrived: int, delivered: int, read: int
) -> None:
    """Delivered and read are counts of facts, so they may exceed the recipients with such a status."""
    total = pending + queued + failed + skipped + unknown + arrived
    stats = _stats(
        funnel__total=total, status__pending=pending, status__queued=queued, status__failed=failed,
        status__skipped=skipped, status__unknown=unknown, funnel__delivered=delivered, funnel__read=read,
    )  # fmt: skip
    parts = segments(stats)
    assert sum(each.count for each in parts) == total
    assert all(each.count >= 0 for each in parts)
    assert sum(each.width for each in parts) == pytest.approx(100 if total else 0)
    for before, after in pairwise(parts):
        assert after.start == pytest.approx(before.start + before.width)


def test_the_funnel_is_a_share_of_the_sent() -> None:
    steps = funnel(_stats(funnel__sent=200, funnel__delivered=150, funnel__read=100, funnel__replied=1))
    assert [(each.word, each.count, each.share) for each in steps] == [
        ("Sent", 200, None), ("Delivered", 150, 75.0), ("Read", 100, 50.0), ("Replied", 1, 0.5),
    ]  # fmt: skip


def test_rates_of_few_messages_mean_little() -> None:
    assert not _view(funnel__sent=99).has_rates
    assert _view(funnel__sent=100).has_rates


def test_every_state_has_a_word_and_an_icon() -> None:
    assert set(STATUS_WORDS) == set(CampaignStatus)
    assert len({(each.word, each.icon) for each in STATUS_WORDS.values()}) == len(CampaignStatus)


@pytest.mark.parametrize(
    ("status", "recipients", "actions"),
    [
        (CampaignStatus.DRAFT, 0, {"cancel"}),
        (CampaignStatus.DRAFT, 1, {"activate", "cancel"}),
        (CampaignStatus.ACTIVE, 1, {"pause", "cancel"}),
        (CampaignStatus.PAUSED, 1, {"resume", "cancel"}),
        (CampaignStatus.COMPLETED, 1, set()),
        (CampaignStatus.CANCELLED, 1, set()),
    ],
)
def test_the_actions_are_those_of_the_state(status: CampaignStatus, recipients: int, actions: set[str]) -> None:
    assert _view(status, "operator", funnel__total=recipients).actions == actions


def test_a_pause_and_each_problem_need_attention() -> None:
    assert not _view(funnel__total=5, funnel__sent=5).needs_attention
    assert _view(CampaignStatus.PAUSED, "operator").needs_attention
    assert _view(status__unknown=1).needs_attention
    assert _view(status__failed=1, failure__131026=1).needs_attention
    breaker = KnownBreaker(Scope.NUMBER, "15550001", NOW, 131048, None, True, 1, 1, None, False, None)
    shown = view(CAMPAIGN, _stats(), breakers=[breaker])
    assert shown.needs_attention
    assert shown.breakers[0].reason == "no reason was given"


def test_a_breaker_is_shown_where_it_stops_messages() -> None:
    breaker = KnownBreaker(Scope.ACCOUNT, "", NOW, 131042, None, True, 1, 1, None, False, None)
    shown = {
        status: view(replace(CAMPAIGN, status=status), _stats(status.value), breakers=[breaker])
        for status in CampaignStatus
    }
    on_list = {status for status, each in shown.items() if "Sending is stopped" in html("row.html", view=each)}
    assert on_list == {CampaignStatus.ACTIVE, CampaignStatus.PAUSED}
    on_page = {status for status, each in shown.items() if "the whole account" in html("attention.html", view=each)}
    assert on_page == {*on_list, CampaignStatus.DRAFT}
    assert "before you activate" in html("attention.html", view=shown[CampaignStatus.DRAFT])


def test_everything_fails_only_after_enough_messages() -> None:
    assert not _view(funnel__total=40, status__failed=19, status__pending=21).everything_fails
    assert _view(funnel__total=40, status__failed=20, status__pending=20).everything_fails
    assert not _view(funnel__total=40, status__failed=20, funnel__sent=1, status__pending=19).everything_fails


def test_a_campaign_that_does_not_run_has_no_speed() -> None:
    paused = replace(CAMPAIGN, status=CampaignStatus.PAUSED, pause_reason="operator")
    assert view(paused, _stats("paused"), per_s=9.0).per_s is None
    assert view(CAMPAIGN, _stats(), per_s=9.0).per_s == 9.0


ALWAYS = replace(CAMPAIGN, window_from="00:00", window_to="24:00")


def test_a_campaign_waits_for_its_start_and_its_hours() -> None:
    noon = NOW  # 12:00 UTC, a Thursday
    morning = replace(ALWAYS, window_from="08:00", window_to="11:00")
    assert waits_until(ALWAYS, noon) is None
    assert waits_until(morning, noon) == noon + timedelta(hours=20)
    assert waits_until(replace(morning, time_zone="America/Sao_Paulo"), noon) is None, "it is nine o'clock there"
    assert waits_until(replace(ALWAYS, start_at=noon + timedelta(hours=1)), noon) == noon + timedelta(hours=1)
    assert waits_until(replace(ALWAYS, start_at=noon - timedelta(hours=1)), noon) is None
    later = replace(morning, start_at=noon + timedelta(days=1))
    assert waits_until(later, noon) == noon + timedelta(days=1, hours=20)
    assert waits_until(replace(morning, time_zone="Mars/One"), noon) is None
    assert waits_until(replace(morning, window_zone="recipient"), noon) is None


def test_hours_are_words() -> None:
    assert hours(ALWAYS) == ""
    weekdays = replace(ALWAYS, window_from="09:00", window_to="20:00", window_days=WEEK[:5])
    assert hours(weekdays).startswith("09:00 to 20:00, ")
    assert hours(replace(ALWAYS, quiet_from="12:00", quiet_to="13:00")) == "not 12:00 to 13:00"
    assert "clock of each country" in hours(replace(weekdays, window_zone="recipient"))


@pytest.mark.parametrize(
    ("canary", "words"),
    [
        (None, ""),
        (Canary(step=2), ""),
        (Canary(step=1, allowed=50, released=20), "sends to its first 50 people"),
        (
            Canary(step=2, allowed=2000, released=2000),
            "waits for the outcomes of its first 2,000 people before it sends to more",
        ),
    ],
)
def test_a_canary_is_shown_while_it_limits_an_active_campaign(canary: Canary | None, words: str) -> None:
    assert view(CAMPAIGN, _stats(), canary=canary).canary == words
    assert view(CAMPAIGN, _stats("paused"), canary=canary).canary == ""


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (_view(funnel__total=5, status__sent=5), "waiting for the last statuses"),
        (_view(funnel__total=5, status__sent=3, status__failed=2, funnel__retrying=2), "2 will be sent again"),
        (_view(funnel__total=5, status__pending=5), "no estimate yet"),
        (replace(_view(funnel__total=5, status__pending=5), waits_until=NOW), "sends from"),
        (replace(_view(funnel__total=5, funnel__sent=1, status__pending=4), waits_until=NOW), "sends again from"),
        (replace(_view(funnel__total=5, status__pending=5), canary="waits", eta=NOW), "waits"),
    ],
)
def test_the_list_says_what_an_active_campaign_waits_for(shown: CampaignView, words: str) -> None:
    assert f'<div class="row-ending">{words}' in html("row.html", view=shown)


def test_every_result_of_a_comparison_with_an_edited_template_has_words() -> None:
    words = [
        view(replace(CAMPAIGN, template_edited_at=NOW, template_fit=fit), _stats()).edit for fit in (None, *TemplateFit)
    ]
    assert words[1] == "the parameters fit"
    assert len(set(words)) == len(words)
