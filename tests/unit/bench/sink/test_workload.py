"""The truth of the benchmark is what the product's merge makes of the same events."""

from __future__ import annotations

from datetime import UTC, datetime

from bench.sink.workload import Workload
from domain.facts import NOTHING, Facts, facts_of, merge
from domain.status import status
from schemas.model import RecipientId

WORKLOAD = Workload(60, datetime(2026, 1, 1, tzinfo=UTC), one_fails_of=20)


def test_the_truth_is_the_merge_of_all_events() -> None:
    facts: dict[RecipientId, Facts] = {}
    for event in WORKLOAD.events():
        assert event.recipient_id is not None
        known = facts.get(event.recipient_id, NOTHING)
        facts[event.recipient_id] = merge(known, facts_of(event, 1))
    truth = WORKLOAD.truth()
    assert facts.keys() == truth.keys() == set(WORKLOAD.ids())
    for recipient, found in facts.items():
        expected = truth[recipient]
        assert (status(found), found.sent_at) == (expected.status, expected.sent_at)
        assert (found.delivered_at, found.read_at) == (expected.delivered_at, expected.read_at)
        assert found.acceptance is not None
        assert found.acceptance.wamid == expected.wamid


def test_some_events_come_twice_and_no_order_is_kept() -> None:
    events = list(WORKLOAD.events())
    once = set(map(repr, events))
    assert len(once) < len(events) < len(once) * 1.2
    assert events != sorted(events, key=lambda each: each.occurred_at)
    assert list(WORKLOAD.events()) == events


def test_a_larger_window_leaves_fewer_events_of_a_recipient_near_each_other() -> None:
    """In a window of all events the first tenth has events of most recipients."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    near = list(Workload(500, start, window=50).events())
    far = list(Workload(500, start, window=1 << 62).events())
    assert set(map(repr, near)) == set(map(repr, far))
    assert len({event.recipient_id for event in near[:200]}) < 60
    assert len({event.recipient_id for event in far[:200]}) > 120


def test_recipients_that_exist_already_keep_their_ids() -> None:
    given = tuple(WORKLOAD.ids()[:3])
    workload = Workload(3, WORKLOAD.start, given=given)
    assert set(workload.truth()) == {event.recipient_id for event in workload.events()} == set(given)
