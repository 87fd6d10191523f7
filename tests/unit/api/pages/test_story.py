"""The history of a message reads in the order of time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from api.pages.story import PERSON_STATUS, last_change, masked, reason_of, story
from domain.status import Status
from schemas.reasons import SkipReason
from tables.recipient_pages import Recipient
from tests.support.shown_campaigns import CAMPAIGN, NOW

MINUTE = timedelta(minutes=1)
WAITING = Recipient(
    UUID(int=5), CAMPAIGN.id, "14694652751", "pending", None, NOW + MINUTE, None, None, None, None, None, 0, 3, None,
    NOW, NOW, 0, None, NOW + MINUTE, "14694652751", None,
)  # fmt: skip
READ = replace(
    WAITING, status="read", attempt=2, next_attempt_at=None, sent_at=NOW + 5 * MINUTE, delivered_at=NOW + 6 * MINUTE,
    read_at=NOW + 7 * MINUTE, failed_at=NOW + 2 * MINUTE, failure_code=131000, failure_reason="went wrong",
)  # fmt: skip


def test_what_happened_comes_in_order_and_the_plan_last() -> None:
    assert [(step.text, step.is_planned) for step in story(WAITING)] == [
        ("Added to the campaign", False), ("Planned", True),
    ]  # fmt: skip
    ledger = [
        {"attempt": 1, "claimed_at": NOW + MINUTE, "outcome": "rejected", "outcome_at": NOW + 2 * MINUTE},
        {"attempt": 2, "claimed_at": NOW + 4 * MINUTE, "outcome": "accepted", "outcome_at": NOW + 5 * MINUTE},
    ]
    out = [{"source": "person", "subscribed": False, "occurred_at": NOW + 9 * MINUTE}]
    steps = story(READ, [], ledger, out)
    assert [step.text for step in steps] == [
        "Added to the campaign", "Taken by a sender", "WhatsApp refused the message", "Failed", "Taken by a sender",
        "WhatsApp accepted the message", "Sent", "Delivered to the phone", "Read", "Opted out",
    ]  # fmt: skip
    assert [step.at for step in steps] == sorted(step.at for step in steps)
    released = story(WAITING, [{"attempt": 1, "released_at": NOW + MINUTE}])
    assert released[1].text == "Released"


def test_an_open_claim_and_an_outcome_of_the_future_have_words() -> None:
    claimed = {"attempt": 1, "claimed_at": NOW, "outcome": None, "outcome_at": None}
    assert story(WAITING, [], [claimed])[1].text == "Taken by a sender"
    later = {**claimed, "outcome": "of_the_future", "outcome_at": NOW}
    assert story(WAITING, [], [later])[2].text == "of_the_future"


def test_every_status_has_a_word_and_a_time() -> None:
    assert set(PERSON_STATUS) == set(Status)
    for status in Status:
        assert last_change(replace(READ, status=status.value)) is not None
    assert last_change(READ) == READ.read_at


def test_reasons_are_words() -> None:
    assert reason_of(replace(READ, status="failed")) == "131000: went wrong"
    skipped = replace(WAITING, status="skipped", failure_reason=SkipReason.OPTED_OUT.value)
    assert reason_of(skipped) == SkipReason.OPTED_OUT.meaning
    assert reason_of(WAITING) == ""


@pytest.mark.parametrize(
    ("number", "shown"), [("14694652751", "+1469 ••••• 51"), ("491711234567", "+4917 ••••• 67"), ("1234", "•••")]
)
def test_a_list_does_not_show_whole_numbers(number: str, shown: str) -> None:
    assert masked(number) == shown
