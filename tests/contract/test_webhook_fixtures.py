"""Every payload file of Meta's shapes, and the expected result of the parser."""

from datetime import UTC, datetime

import pytest

from domain.correlation import IgnoredStatus, Ownership, RefusedStatus, decide
from domain.inbound import IgnoredItem, PersonEvents, Receipt, RefusedItem, decide_message, decide_preference
from domain.keywords import Keywords
from domain.notices import decide_notice
from schemas.bundles import Body, encode_bundle
from schemas.codec import Malformed
from schemas.events import EventKind, Origin, RecipientEvent, RetryClass
from schemas.places import Record
from schemas.webhook_notices import NoticeItem
from schemas.webhook_people import MessageItem, PreferenceItem
from schemas.webhook_statuses import StatusItem
from schemas.webhooks import BadItem, OtherItem, WebhookItem, parse_body
from streams.reconciler.reading import reconcile
from tests.support.paths import FIXTURES

FOLDER = FIXTURES / "webhooks"
RECEIVED_AT = datetime(2026, 1, 1, 0, 0, 5, tzinfo=UTC)
OURS = Ownership(b"secret", "default", frozenset({"106540352242922"}))
ORIGIN = Origin(topic="webhooks.raw", partition=0, offset=0)
RECEIPT = Receipt(RECEIVED_AT, ORIGIN, RECEIVED_AT)

EXPECTED: dict[str, list[str]] = {
    "account_update": ["stops:account"],
    "bare_change": ["sent"],
    "bare_statuses": ["sent", "delivered"],
    "call_status": ["other_field"],
    "empty_entry": [],
    "good_beside_bad": [
        "bad:malformed_entry",
        "bad:malformed_entry",
        "bad:malformed_change",
        "bad:malformed_value",
        "bad:malformed_statuses",
        "sent",
        "bad:malformed_timestamp",
        "bad:malformed_status",
        "bad:malformed_timestamp",
        "bad:missing_status",
        "bad:missing_wamid",
        "read",
    ],
    "inbound_message": ["opted_out:keyword"],
    "lenient_byte_order_mark": ["sent"],
    "lenient_half_emoji": ["delivered", "read"],
    "lenient_half_emoji_in_error": ["failed:131000"],
    "lenient_invalid_utf8": ["sent"],
    "lenient_number_without_a_value": ["sent", "bad:malformed_timestamp"],
    "message_and_status": ["sent", "message"],
    "nested_deep_in_unknown_field": ["sent"],
    "no_entry": ["refused:no_entry"],
    "no_statuses_at_all": ["empty"],
    "not_an_object": ["refused:not_an_object"],
    "other_object": ["other_object"],
    "several_entries_changes_statuses": ["sent", "delivered", "read", "failed:131026"],
    "status_delivered": ["delivered"],
    "status_failed": ["failed:131026"],
    "status_failed_code_0": ["failed:0"],
    "status_failed_code_as_string": ["failed:131049"],
    "status_failed_error_is_an_object": ["failed:131026"],
    "status_failed_old_error_shape": ["failed:131026"],
    "status_failed_unknown_transient_code": ["failed:999999"],
    "status_failed_without_errors": ["failed:None"],
    "status_group": ["delivered"],
    "status_integer_timestamp": ["sent"],
    "status_legacy_type": ["sent"],
    "status_nul_in_error_text": ["failed:131000"],
    "status_of_a_payment": ["other_type", "other_type"],
    "status_parent_id_spelling_1": ["sent"],
    "status_parent_id_spelling_2": ["sent"],
    "status_parent_id_spelling_3": ["sent"],
    "status_played": ["read"],
    "status_pricing_unknown_category": ["sent"],
    "status_pricing_without_type": ["sent"],
    "status_read": ["read"],
    "status_sent": ["sent"],
    "status_sent_without_conversation": ["sent"],
    "status_unknown_fields": ["sent"],
    "status_unknown_word": ["ignored:unknown_status"],
    "status_without_recipient_id": ["sent"],
    "system_changed_number": ["identified:platform"],
    "system_error_code_0": ["system_error"],
    "template_status_update": ["stops:template"],
    "timestamp_of_1970": ["refused:timestamp_too_old", "read"],
    "timestamp_of_next_year": ["refused:timestamp_in_future", "read"],
    "message_button_of_a_template": ["replied+opted_out:keyword"],
    "message_button_without_context": ["opted_out:keyword"],
    "message_button_reply_of_a_user_id": ["replied+opted_in:keyword"],
    "message_reply": ["replied", "replied"],
    "messages_odd": [
        "message",
        "refused:malformed_timestamp",
        "refused:missing_person",
        "message",
        "message",
        "message",
        "refused:timestamp_in_future",
        "opted_out:keyword",
    ],
    "user_preferences_odd": [
        "opted_in:platform",
        "preference",
        "preference",
        "bad:malformed_preferences",
        "refused:missing_person",
        "refused:malformed_timestamp",
    ],
    "user_actions": ["click", "user_action", "user_action"],
    "status_failed_stopped_by_the_person": ["failed:131050"],
    "user_id_update": ["identified:platform"],
    "user_preferences": ["opted_out:platform"],
}


def read(case: str) -> bytes:
    return (FOLDER / f"{case}.json").read_bytes()


def decisions(case: str) -> list[str]:
    try:
        return [_word(item) for item in parse_body(read(case))]
    except Malformed as error:
        return [f"refused:{error.reason}"]


def _word(item: WebhookItem) -> str:
    match item:
        case OtherItem(kind):
            return kind
        case BadItem(reason):
            return f"bad:{reason}"
        case StatusItem():
            return _decided(item)
        case MessageItem():
            return _stated(decide_message(item, RECEIPT, Keywords.of()))
        case PreferenceItem():
            return _stated(decide_preference(item, RECEIPT))
        case NoticeItem():
            found = decide_notice(item, RECEIPT)
            return found.reason if isinstance(found, IgnoredItem) else f"stops:{found.scope}"


def _stated(decided: PersonEvents | IgnoredItem | RefusedItem) -> str:
    match decided:
        case PersonEvents(event, subscription):
            words = [] if event is None else [str(event.kind)]
            return "+".join(words if subscription is None else [*words, f"{subscription.kind}:{subscription.source}"])
        case IgnoredItem(reason):
            return reason
        case RefusedItem(reason):
            return f"refused:{reason}"


def _decided(item: StatusItem) -> str:
    match decide(item, RECEIVED_AT, OURS, ORIGIN):
        case RecipientEvent(kind=EventKind.FAILED, failure=failure):
            assert failure is not None
            return f"failed:{failure.code}"
        case RecipientEvent(kind=kind):
            return str(kind)
        case IgnoredStatus(reason):
            return f"ignored:{reason}"
        case RefusedStatus(reason):
            return f"refused:{reason}"


def event_of(case: str) -> RecipientEvent:
    [item] = parse_body(read(case))
    assert isinstance(item, StatusItem)
    event = decide(item, RECEIVED_AT, OURS, ORIGIN)
    assert isinstance(event, RecipientEvent)
    return event


def test_payload_files_and_expectations_correspond() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(EXPECTED)


@pytest.mark.parametrize("case", sorted(EXPECTED))
def test_payload(case: str) -> None:
    assert decisions(case) == EXPECTED[case]


def test_a_string_and_an_integer_timestamp_mean_the_same_time() -> None:
    assert event_of("status_integer_timestamp").occurred_at == event_of("status_sent").occurred_at


def test_every_spelling_of_the_parent_id_is_accepted() -> None:
    for spelling in (1, 2, 3):
        [item] = parse_body(read(f"status_parent_id_spelling_{spelling}"))
        assert isinstance(item, StatusItem)
        assert item.parent_user_id == "US.ENT.11815799212886844830"


def test_the_details_of_an_error_reach_the_failure() -> None:
    failure = event_of("status_failed").failure
    assert failure is not None
    assert failure.reason == "Message undeliverable: Message could not be delivered."
    assert failure.retry_class is RetryClass.NEVER


def test_a_code_that_is_a_string_is_read_like_a_number() -> None:
    failure = event_of("status_failed_code_as_string").failure
    assert failure is not None
    assert (failure.code, failure.retry_class) == (131049, RetryClass.NEVER), "the number has the calling code 1"


def test_a_text_with_nul_can_be_stored() -> None:
    failure = event_of("status_nul_in_error_text").failure
    assert failure is not None
    assert failure.reason == "Oddtext"


def test_pricing_of_any_category_is_stored() -> None:
    for case, kind, category in [
        ("status_sent", "regular", "marketing"),
        ("status_pricing_without_type", "", "marketing_lite"),
        ("status_pricing_unknown_category", "regular", "general_purpose_ai"),
    ]:
        pricing = event_of(case).pricing
        assert pricing is not None
        assert (pricing.type, pricing.category) == (kind, category)


def test_half_an_emoji_becomes_a_text_that_can_be_stored() -> None:
    failure = event_of("lenient_half_emoji_in_error").failure
    assert failure is not None
    assert failure.reason == "Something \ufffd went wrong"


def test_a_body_with_bad_items_is_one_dead_letter_of_the_bytes_as_received() -> None:
    raw = read("good_beside_bad")
    bundle = encode_bundle([Body(int(RECEIVED_AT.timestamp() * 1e6), raw)])
    found = reconcile(Record("webhooks.raw", 0, 7, None, bundle), OURS, RECEIVED_AT)
    [dead] = found.dead
    positions = tuple(at for at, word in enumerate(EXPECTED["good_beside_bad"]) if word.startswith("bad:"))
    assert (dead.value, dead.items, dead.share) == (bundle, positions, 10 / 12)
    assert found.outcomes == {"event": 2, "dead_letter": 10}
    assert dead.reason == "malformed_entry"
    assert dead.error.startswith("10 of 12 items: 2 malformed_entry, 2 malformed_timestamp, ")
