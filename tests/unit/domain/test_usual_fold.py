"""The fold of usual events, case by case. tests/properties/test_usual_events.py compares it with the general fold."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from domain.facts import NOTHING, Facts, merge
from domain.fold import Fold
from domain.parked import Learned
from domain.usual_fold import add_usual, facts_of_usual
from schemas.codec import encode
from schemas.events import EventKind, Pricing, RecipientEvent
from schemas.model import RecipientId, Wamid
from schemas.usual_events import UsualEvent, decode_usual
from tests.support.histories import CAMPAIGN, START
from tests.support.usual_folds import fold_usual

PERSON = RecipientId(UUID(int=1))
LATEST = START + timedelta(days=1)


def usual(kind: EventKind, minutes: int = 0, **fields: Any) -> UsualEvent:
    at = START + timedelta(minutes=minutes)
    known: dict[str, Any] = {"recipient_id": PERSON, "attempt": 1, "wamid": Wamid("wamid.b")}
    event = RecipientEvent(kind=kind, campaign_id=CAMPAIGN, occurred_at=at, received_at=at, **(known | fields))
    found = decode_usual(encode(event))
    assert found is not None
    return found


def facts(*events: UsualEvent) -> Facts:
    (known,) = fold_usual(events, LATEST).facts.values()
    return facts_of_usual(known)


def at(minutes: int) -> datetime:
    return START + timedelta(minutes=minutes)


def test_each_time_is_the_earliest_and_a_later_kind_states_the_earlier_ones() -> None:
    found = facts(usual(EventKind.READ, 5), usual(EventKind.DELIVERED, 7), usual(EventKind.SENT, 6))
    assert (found.sent_at, found.delivered_at, found.read_at) == (at(5), at(5), at(5))
    found = facts(usual(EventKind.SENT, 6), usual(EventKind.DELIVERED, 4), usual(EventKind.READ, 9))
    assert (found.sent_at, found.delivered_at, found.read_at) == (at(4), at(4), at(9))


@pytest.mark.parametrize(
    ("other", "wins"),
    [
        ({"attempt": 2, "wamid": "wamid.a", "minutes": 9}, True),
        ({"attempt": 1, "wamid": "wamid.a", "minutes": 0}, True),
        ({"attempt": 1, "wamid": "wamid.c", "minutes": 1}, True),
        ({"attempt": 1, "wamid": "wamid.a", "minutes": 1}, False),
        ({"attempt": 1, "wamid": "wamid.c", "minutes": 2}, False),
    ],
)
@pytest.mark.parametrize("is_first", [False, True])
def test_the_acceptance_is_that_of_the_newest_attempt_the_earlier_first(
    other: dict[str, Any], wins: bool, is_first: bool
) -> None:
    pair = [usual(EventKind.SENT, 1), usual(EventKind.SENT, **other)]
    found = facts(*(reversed(pair) if is_first else pair)).acceptance
    assert found is not None
    assert (found.wamid == other["wamid"]) is wins


def test_only_an_acceptance_can_be_held_for_quality() -> None:
    assert not facts(usual(EventKind.SENT, held_for_quality=True)).held_for_quality
    assert facts(usual(EventKind.SENT), usual(EventKind.ACCEPTED, held_for_quality=True)).held_for_quality


def test_a_message_keeps_its_first_recipient_its_first_number_and_its_earliest_price() -> None:
    folded = fold_usual(
        [
            usual(EventKind.SENT, 2, pricing=Pricing(type="b", category="x")),
            usual(EventKind.SENT, 3, attempt=2, phone_number_id="1", pricing=Pricing(type="a", category="x")),
            usual(EventKind.SENT, 2, phone_number_id="2", pricing=Pricing(type="a", category="y")),
        ],
        LATEST,
    )
    (message,) = folded.messages.values()
    assert (message.attempt, message.phone_number_id, message.priced) == (1, "1", (at(2), "a", "y"))


def test_what_is_unusual_is_left_to_the_general_fold() -> None:
    spelled = usual(EventKind.SENT)
    spelled.recipient_id = spelled.recipient_id.replace("-", "")
    strange = usual(EventKind.SENT)
    strange.campaign_id = "x"
    elsewhere = usual(EventKind.SENT)
    elsewhere.received_at = elsewhere.received_at.astimezone(timezone(timedelta(hours=2)))
    events = [None, usual(EventKind.SENT, 24 * 60 + 1), usual(EventKind.READ), spelled, strange, elsewhere]
    folded = fold_usual(events, LATEST)
    assert (folded.unusual, folded.events, len(folded.facts)) == ([0, 1, 3, 4, 5], 1, 1)
    assert fold_usual(events, LATEST, frozenset({str(PERSON)})).unusual == [0, 1, 2, 3, 4, 5]


def test_usual_facts_are_merged_with_the_others_of_the_batch() -> None:
    result = Fold(facts={PERSON: Facts(attempt=2, unknown_attempt=2)})
    folded = fold_usual([usual(EventKind.READ)], LATEST)
    assert add_usual(result, folded)
    assert result.facts[PERSON] == merge(Facts(attempt=2, unknown_attempt=2), facts(usual(EventKind.READ)))
    assert result.messages["wamid.b"].recipient_id == PERSON


@pytest.mark.parametrize(
    ("other", "agree"),
    [
        (Learned(), True),
        (Learned(PERSON, 1), True),
        (Learned(PERSON, 2), False),
        (Learned(RecipientId(UUID(int=2)), 1), False),
        (Learned(phone_number_id="1"), True),
        (Learned(phone_number_id="2"), False),
    ],
)
def test_two_claims_of_one_wamid_are_left_to_the_general_fold(other: Learned, agree: bool) -> None:
    """The first event of the batch decides then, and only a fold of the whole batch knows it."""
    folded = fold_usual([usual(EventKind.SENT, phone_number_id="1")], LATEST)
    assert add_usual(Fold(messages={"wamid.b": other}), folded) is agree


def test_parked_statuses_of_a_known_wamid_are_kept() -> None:
    parked = Facts(attempt=1, replied_at=START)
    result = Fold(messages={"wamid.b": Learned(parked=parked)})
    assert add_usual(result, fold_usual([usual(EventKind.SENT)], LATEST))
    assert result.messages["wamid.b"] == Learned(PERSON, 1, parked=parked)
    assert result.messages["wamid.b"].parked != NOTHING
