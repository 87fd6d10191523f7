"""Explanations: a table of situations, the kinds of the boundaries, and the law that the groups are the campaign."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.lifecycle import CampaignStatus
from domain.status import Status
from domain.waiting import OWN_TIMES, SKIPS, Situation, WaitKind, explain, kind_of, reached
from schemas.reasons import WaitReason
from tests.support.boundaries import ROWS, Row

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
OPEN = {"": NOON}
READY = {"status/pending": 30, "wait/planned": 30}


@pytest.mark.parametrize(
    ("changed", "counters", "expected"),
    [
        ({"status": CampaignStatus.DRAFT}, {"status/pending": 5}, [("draft", 5, None, None)]),
        ({"status": CampaignStatus.PAUSED, "pause_reason": "stale"}, READY, [("paused", 30, None, "stale")]),
        ({"status": CampaignStatus.CANCELLED}, READY, [("cancelled", 30, None, None)]),
        ({"start_at": NOON + HOUR}, READY, [("waiting_for_start", 30, NOON + HOUR, None)]),
        ({"start_at": NOON - HOUR}, READY, [("in_turn", 30, NOON, None)]),
        ({}, {"status/pending": 40, "wait/planned": 30}, [("planning", 10, NOON, None), ("in_turn", 30, NOON, None)]),
        ({"breakers": ("account",), "probe_at": NOON}, READY, [("breaker", 30, NOON, "account")]),
        ({"opens_at": {"": NOON + HOUR}}, READY, [("outside_window", 30, NOON + HOUR, None)]),
        ({"opens_at": {"": None}}, READY, [("never_open", 30, None, None)]),
        ({"left_today": 10, "next_day_at": NOON + 12 * HOUR}, READY,
         [("in_turn", 10, NOON, None), ("daily_limit", 20, NOON + 12 * HOUR, None)]),
        ({"left_today": 20, "left_in_portfolio": 5, "portfolio_at": NOON + HOUR, "portfolio": "5 of 10"}, READY,
         [("in_turn", 5, NOON, None), ("portfolio_budget", 15, NOON + HOUR, "5 of 10"),
          ("daily_limit", 10, None, None)]),
        ({"paired": 4, "pair_at": NOON + HOUR, "left_in_portfolio": 20}, READY,
         [("in_turn", 16, NOON, None), ("pair_limit", 4, NOON + HOUR, None), ("portfolio_budget", 10, None, None)]),
        ({"paired": 40}, READY, [("pair_limit", 30, None, None)]),
        ({"left_today": 3, "left_in_portfolio": 5}, READY,
         [("in_turn", 3, NOON, None), ("daily_limit", 27, None, None)]),
        ({"left_today": 0}, READY, [("daily_limit", 30, None, None)]),
        ({"canary_room": 10, "canary_at": NOON + HOUR, "canary": "step 1"}, READY,
         [("canary", 20, NOON + HOUR, "step 1"), ("in_turn", 10, NOON, None)]),
        ({"canary_room": 0, "left_today": 4}, {"status/pending": 30, "wait/planned": 30, "status/failed": 5,
                                               "wait/requested": 5},
         [("canary", 30, None, None), ("in_turn", 4, NOON, None), ("daily_limit", 1, None, None)]),
        ({"canary_room": 5, "opens_at": {"": NOON + HOUR}}, READY, [("outside_window", 30, NOON + HOUR, None)]),
        ({"follows": True, "opens_at": {"": NOON, "DE": NOON, "JP": NOON + HOUR, "RU": None}},
         {**READY, "window/DE": 5, "window/JP": 7, "window/RU": 1, "window/": 17},
         [("never_open", 1, None, "RU"), ("outside_window", 7, NOON + HOUR, "JP"), ("in_turn", 22, NOON, None)]),
        ({"retry_at": {WaitKind.HELD_BACK: NOON + HOUR}},
         {"status/failed": 9, "wait/backoff": 2, "wait/held_back": 3, "wait/requested": 1},
         [("failed", 3, None, None), ("backoff", 2, None, None), ("held_back", 3, NOON + HOUR, None),
          ("in_turn", 1, NOON, None)]),
        ({}, {"status/queued": 9, "wait/deferred": 2, "wait/expired": 3},
         [("in_flight", 4, None, None), ("in_turn", 5, NOON, None)]),
        ({"retry_at": {WaitKind.FREQUENCY_CAP: NOON + HOUR}, "frequency_cap": "at most 1 in 7 days"},
         {"status/queued": 5, "wait/frequency_cap": 3, "status/skipped": 2, "skip/frequency_capped": 2},
         [("in_flight", 2, None, None), ("frequency_capped", 2, None, None),
          ("frequency_cap", 3, NOON + HOUR, "at most 1 in 7 days")]),
        ({"excluded": "Spring, Sale"}, {"status/skipped": 2, "skip/excluded": 2},
         [("excluded", 2, None, "Spring, Sale")]),
        ({}, {"status/unknown": 3, "wait/requested_unknown": 1},
         [("unknown", 2, None, None), ("in_turn", 1, NOON, None)]),
        ({}, {"status/skipped": 3, "skip/opted_out": 2, "skip/same_person": 1},
         [("opted_out", 2, None, None), ("same_person", 1, None, None)]),
        ({}, {"status/sent": 3, "status/read": 2}, []),
    ],
)  # fmt: skip
def test_the_groups_of_a_situation(changed: dict[str, Any], counters: dict[str, int], expected: object) -> None:
    usual: dict[str, Any] = {"status": CampaignStatus.ACTIVE, "now": NOON, "opens_at": OPEN}
    found = explain(counters, Situation(**{**usual, **changed}))
    assert [(each.reason, each.recipients, each.next_at, each.detail) for each in found] == expected


@pytest.mark.parametrize("row", [row for row in ROWS.values() if row.due_at is not None], ids=str)
def test_the_kind_of_a_due_row_fits_its_status(row: Row) -> None:
    kinds = {
        Status.PENDING: {WaitKind.PLANNED},
        Status.QUEUED: {WaitKind.DEFERRED, WaitKind.EXPIRED},
        Status.UNKNOWN: {WaitKind.REQUESTED_UNKNOWN},
        Status.FAILED: {WaitKind.REQUESTED, WaitKind.HELD_BACK, WaitKind.BACKOFF},
    }
    assert kind_of(row.facts) in kinds[row.status]


_STATUS_OF = {
    WaitKind.PLANNED: "pending", WaitKind.DEFERRED: "queued", WaitKind.EXPIRED: "queued",
    WaitKind.REQUESTED: "failed", WaitKind.REQUESTED_UNKNOWN: "unknown", WaitKind.BACKOFF: "failed",
    WaitKind.HELD_BACK: "failed", WaitKind.FREQUENCY_CAP: "queued",
}  # fmt: skip
_READY = [kind for kind in WaitKind if kind not in OWN_TIMES]
PEOPLE = st.lists(st.one_of(
    st.sampled_from(Status).map(lambda each: (each.value, None, None)),
    st.sampled_from(WaitKind).map(lambda kind: (_STATUS_OF[kind], kind, None)),
    st.tuples(st.sampled_from(_READY), st.sampled_from(["", "DE", "JP", "RU"])).map(
        lambda pair: (_STATUS_OF[pair[0]], *pair)),
), max_size=40)  # fmt: skip
OPENINGS = st.sampled_from([NOON - HOUR, NOON, NOON + HOUR, None])


@given(
    PEOPLE,
    st.sampled_from(list(SKIPS)),
    st.builds(
        Situation,
        status=st.sampled_from(CampaignStatus),
        now=st.just(NOON),
        start_at=st.sampled_from([None, NOON - HOUR, NOON + HOUR]),
        breakers=st.sampled_from([(), ("number 1",)]),
        opens_at=st.one_of(st.none(), st.fixed_dictionaries({"": OPENINGS, "DE": OPENINGS, "JP": OPENINGS})),
        follows=st.booleans(),
        left_today=st.one_of(st.none(), st.integers(0, 50)),
        paired=st.integers(0, 50),
        left_in_portfolio=st.one_of(st.none(), st.integers(0, 50)),
        canary_room=st.one_of(st.none(), st.integers(0, 50)),
    ),
)
def test_each_recipient_is_in_exactly_one_group(
    people: list[tuple[str, WaitKind | None, str | None]], skip: str, situation: Situation
) -> None:
    """The recipients of every state that rows can be in, counted as the triggers count them."""
    counters: Counter[str] = Counter()
    for status, kind, country in people:
        counters[f"status/{status}"] += 1
        if status == "skipped":
            counters[f"skip/{skip}"] += 1
        if kind is not None:
            counters[f"wait/{kind}"] += 1
        if country is not None:
            counters[f"window/{country}"] += 1
    groups = explain(counters, situation)
    assert sum(group.recipients for group in groups) + reached(counters) == len(people)
    assert all(group.recipients > 0 for group in groups)
    reasons = [group.reason for group in groups if group.reason is not WaitReason.CANCELLED]
    assert len(reasons) == len(set(reasons))
