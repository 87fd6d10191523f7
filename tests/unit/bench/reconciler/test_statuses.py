"""Which events of a contestant are right."""

from __future__ import annotations

import orjson

from bench.reconciler.statuses import FORGED_EVERY, webhooks


def test_an_event_is_right_with_its_kind_its_time_and_its_recipient() -> None:
    posted = webhooks(bodies=2, statuses=2)
    events = [
        {"wamid": wamid, "kind": each.kind, "recipient_id": each.recipient, "occurred_at": each.occurred_at}
        for wamid, each in posted.expected.items()
    ]
    assert posted.right(map(orjson.dumps, events)) == 1.0
    wrong = [
        {**events[0], "kind": "failed"},
        {**events[1], "recipient_id": "x"},
        {**events[2], "wamid": "y"},
        events[3],
    ]
    assert posted.right(map(orjson.dumps, [*wrong, events[3], {}])) == 0.25


def test_a_recipient_whose_signature_is_forged_must_not_be_named() -> None:
    expected = list(webhooks(bodies=1, statuses=FORGED_EVERY + 1).expected.values())
    assert [each.recipient is None for each in expected] == [True, *[False] * (FORGED_EVERY - 1), True]
