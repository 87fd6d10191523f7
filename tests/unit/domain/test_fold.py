"""The fold of a batch: the refused events and their reasons."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from domain.facts import NOTHING, facts_of, merge
from domain.fold import Fold, fold, merge_parked
from domain.parked import Message
from schemas.events import EventKind, Pricing, RecipientEvent
from schemas.model import RecipientId, Wamid
from schemas.reasons import DeadLetterReason
from tests.support.histories import START

KNOWN, UNKNOWN, OTHER = RecipientId(UUID(int=1)), RecipientId(UUID(int=2)), RecipientId(UUID(int=3))
CREATED = {KNOWN: START, OTHER: START}


def event(**fields: Any) -> RecipientEvent:
    known: dict[str, Any] = {
        "kind": EventKind.SENT, "recipient_id": KNOWN, "attempt": 1, "wamid": Wamid("w"), "phone_number_id": "1",
        "occurred_at": START, "received_at": START,
    }  # fmt: skip
    return RecipientEvent(**(known | fields))


ANONYMOUS: dict[str, Any] = {"recipient_id": None, "attempt": None}


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({}, None),
        ({"occurred_at": START - timedelta(days=1)}, None),
        ({"occurred_at": START - timedelta(days=1, seconds=1)}, DeadLetterReason.TIMESTAMP_TOO_OLD),
        ({"occurred_at": START + timedelta(minutes=10)}, None),
        ({"occurred_at": START + timedelta(minutes=10, seconds=1)}, DeadLetterReason.TIMESTAMP_IN_FUTURE),
        ({"recipient_id": UNKNOWN, "kind": EventKind.ACCEPTED}, DeadLetterReason.UNKNOWN_RECIPIENT),
        ({"recipient_id": UNKNOWN}, None),
        ({**ANONYMOUS, "occurred_at": START - timedelta(days=8)}, None),
        ({**ANONYMOUS, "occurred_at": START - timedelta(days=8, seconds=1)}, DeadLetterReason.TIMESTAMP_TOO_OLD),
    ],
)
def test_invalid_events_are_refused(fields: dict[str, Any], refusal: DeadLetterReason | None) -> None:
    folded = fold([event(), event(**fields)], CREATED, set())
    assert folded.refused == ({} if refusal is None else {1: refusal})


def test_the_facts_of_a_recipient_are_those_of_all_its_events() -> None:
    sent, read = event(), event(kind=EventKind.READ, attempt=2, occurred_at=START + timedelta(seconds=1))
    elsewhere = event(recipient_id=OTHER, kind=EventKind.UNKNOWN, wamid=None)
    folded = fold([sent, read, elsewhere], CREATED, set())
    assert folded.facts == {KNOWN: merge(facts_of(sent, 1), facts_of(read, 2)), OTHER: facts_of(elsewhere, 1)}
    assert list(folded.messages) == ["w"]


def test_an_event_after_a_refused_a_foreign_or_an_erased_one_counts() -> None:
    apart = [
        event(occurred_at=START - timedelta(days=2)),
        event(**ANONYMOUS, phone_number_id="9"),
        event(recipient_id=UNKNOWN),
        event(kind=EventKind.READ),
    ]
    folded = fold(apart, CREATED, {"9"})
    assert folded.facts == {KNOWN: facts_of(apart[3], 1)}
    assert (list(folded.refused), folded.erased, folded.foreign) == ([0], 1, {"9": 1})


def test_the_statuses_of_a_message_without_a_recipient_are_parked_together() -> None:
    sent, read = (event(**ANONYMOUS, kind=kind) for kind in (EventKind.SENT, EventKind.READ))
    elsewhere = event(**ANONYMOUS, wamid=Wamid("v"))
    folded = fold([sent, read, elsewhere], CREATED, set())
    assert folded.facts == {}
    assert folded.messages["w"].parked == merge(facts_of(sent, 1), facts_of(read, 1))
    assert folded.messages["v"].parked == facts_of(elsewhere, 1)
    assert (folded.messages["w"].recipient_id, folded.messages["w"].attempt) == (None, None)


@pytest.mark.parametrize("order", [1, -1])
def test_a_message_belongs_to_the_recipient_that_an_event_names(order: int) -> None:
    pair = [event(attempt=3, kind=EventKind.ACCEPTED), event(**ANONYMOUS, phone_number_id=None)]
    learned = fold(pair[::order], CREATED, set()).messages["w"]
    assert (learned.recipient_id, learned.attempt, learned.phone_number_id) == (KNOWN, 3, "1")
    assert learned.parked == facts_of(pair[1], 1)


def test_the_first_event_with_a_recipient_decides_about_the_message() -> None:
    pair = [event(attempt=2), event(recipient_id=OTHER, attempt=1, phone_number_id="2")]
    learned = fold(pair, CREATED, set()).messages["w"]
    assert (learned.recipient_id, learned.attempt, learned.phone_number_id) == (KNOWN, 2, "1")
    assert learned.parked == NOTHING


def test_a_refused_event_changes_nothing() -> None:
    folded = fold([event(recipient_id=UNKNOWN, kind=EventKind.ACCEPTED)], CREATED, set())
    assert (folded.facts, folded.messages) == ({}, {})


def test_statuses_of_foreign_numbers_are_only_counted() -> None:
    foreign = event(**ANONYMOUS, phone_number_id="9")
    folded = fold([foreign, event(**ANONYMOUS), foreign], CREATED, {"9"})
    assert folded.foreign == {"9": 2}
    assert list(folded.messages) == ["w"]


def test_a_status_of_our_own_message_counts_on_every_phone_number() -> None:
    ours = event(phone_number_id="9", kind=EventKind.READ)
    folded = fold([ours], CREATED, {"9"})
    assert (folded.facts, folded.foreign) == ({KNOWN: facts_of(ours, 1)}, {})


def test_a_status_of_our_own_message_without_a_row_is_counted_and_leaves_no_trace() -> None:
    kinds = (EventKind.SENT, EventKind.DELIVERED, EventKind.READ, EventKind.REPLIED)
    folded = fold([event(recipient_id=UNKNOWN, kind=kind) for kind in kinds], CREATED, set())
    assert (folded.erased, folded.refused, folded.facts, folded.messages) == (4, {}, {}, {})


def test_a_time_is_in_the_future_by_the_latest_of_receipt_record_and_present() -> None:
    ahead = event(occurred_at=START + timedelta(minutes=11))
    assert fold([ahead], CREATED, set(), START).refused == {0: DeadLetterReason.TIMESTAMP_IN_FUTURE}
    assert fold([ahead], CREATED, set(), START + timedelta(minutes=1)).refused == {}


@pytest.mark.parametrize(
    ("year", "refused"), [(1, {}), (9999, {0: DeadLetterReason.TIMESTAMP_TOO_OLD})], ids=["first", "last"]
)
def test_a_receipt_in_the_first_or_last_year_can_be_compared(year: int, refused: dict[int, DeadLetterReason]) -> None:
    received_at = datetime(year, 1 if year == 1 else 12, 1 if year == 1 else 31, tzinfo=UTC)
    parked = event(recipient_id=None, attempt=None, received_at=received_at)
    assert fold([parked, event(received_at=received_at)], CREATED, set(), START).refused == refused


@pytest.mark.parametrize("order", [1, -1])
def test_the_earliest_price_holds_in_either_order(order: int) -> None:
    cheap, dear = Pricing(type="regular", category="utility"), Pricing(type="regular", category="marketing")
    priced = [event(pricing=cheap), event(pricing=dear, occurred_at=START + timedelta(seconds=1))]
    priced_at = fold(priced[::order], CREATED, set()).messages["w"].priced
    assert priced_at is not None
    assert priced_at.pricing == cheap


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Pricing(type="regular", category="marketing"), Pricing(type="regular", category="utility")),
        (Pricing(type="free", category="utility"), Pricing(type="regular", category="marketing")),
    ],
)
def test_of_two_prices_at_one_time_the_first_by_type_and_category_holds(
    one: Pricing, other: Pricing, order: int
) -> None:
    pair = [event(pricing=one), event(pricing=other)]
    priced_at = fold(pair[::order], CREATED, set()).messages["w"].priced
    assert priced_at is not None
    assert priced_at.pricing == one


def test_a_fold_knows_the_recipients_that_have_a_row() -> None:
    assert fold([], CREATED, set()).created_at == CREATED


# ------------------------------------------------------------------------------------------------------- parked facts


READ = facts_of(event(kind=EventKind.READ), 1)
OLD = facts_of(event(kind=EventKind.READ, occurred_at=START - timedelta(days=1, seconds=1)), 1)
LIMIT = facts_of(event(kind=EventKind.READ, occurred_at=START - timedelta(days=1)), 1)


def test_parked_facts_are_merged_into_those_of_their_recipient() -> None:
    unknown = event(kind=EventKind.UNKNOWN, attempt=2)
    folded = fold([unknown], CREATED, set())
    assert merge_parked(folded, [Message("w", KNOWN, 1, READ), Message("v", OTHER, 1, READ)], CREATED) == []
    assert folded.facts == {KNOWN: merge(facts_of(unknown, 2), READ), OTHER: READ}


def test_a_message_without_parked_facts_or_without_a_recipient_is_passed_over() -> None:
    folded = Fold()
    messages = [Message("a", KNOWN, 1, None), Message("b", None, None, READ), Message("c", KNOWN, 1, READ)]
    assert merge_parked(folded, messages, CREATED) == []
    assert folded.facts == {KNOWN: READ}


def test_parked_facts_without_a_row_or_from_before_the_campaign_are_lost_and_the_others_are_merged() -> None:
    folded = Fold()
    erased, old = Message("a", UNKNOWN, 1, READ), Message("b", KNOWN, 1, OLD)
    assert merge_parked(folded, [erased, old, Message("c", KNOWN, 1, LIMIT)], CREATED) == [erased, old]
    assert folded.facts == {KNOWN: LIMIT}


def test_parked_facts_without_a_time_are_merged() -> None:
    folded = Fold()
    assert merge_parked(folded, [Message("a", KNOWN, 1, NOTHING)], CREATED) == []
    assert folded.facts == {KNOWN: NOTHING}
