"""A person's message or preference: a reply, an opt-out or opt-in by its source, or nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.correlation import Ownership, decide
from domain.inbound import (
    IgnoredItem,
    PersonEvents,
    Receipt,
    RefusedItem,
    decide_message,
    decide_preference,
    opt_out_of_failure,
)
from domain.keywords import Keywords
from schemas.events import EventKind, Origin, RecipientEvent
from schemas.sources import Source
from schemas.subscriptions import SubscriptionEvent, SubscriptionKind
from schemas.webhook_people import MessageItem, read_message, read_preference
from schemas.webhook_statuses import read_status
from schemas.webhooks import parse_body

AT = datetime(2026, 1, 1, tzinfo=UTC)
RECEIPT = Receipt(AT, Origin(topic="webhooks.raw", partition=0, offset=1), AT)
KEYWORDS = Keywords.of()
NUMBER, USER, PARENT = "5215500001234", "US.13491208655302741918", "US.ENT.11815799212886844830"
OURS = "wamid.OURS"
NAMED: dict[str, Any] = {"from": NUMBER}
TEXT: dict[str, Any] = {"type": "text", "text": {"body": "Stop!"}}


def message(value: dict[str, Any] | None = None, **fields: Any) -> PersonEvents | IgnoredItem | RefusedItem:
    read = {"id": "wamid.IN", "timestamp": "1767225600", **fields}
    return decide_message(read_message(read, {"messages": [read], **(value or {})}), RECEIPT, KEYWORDS)


def stated(decided: PersonEvents | IgnoredItem | RefusedItem) -> SubscriptionEvent:
    assert isinstance(decided, PersonEvents)
    assert decided.subscription is not None
    return decided.subscription


def test_a_stop_word_opts_out_by_the_key_of_every_spelling() -> None:
    event = stated(message(**NAMED, **TEXT))
    assert (event.person, event.kind, event.source) == ("525500001234", SubscriptionKind.OPTED_OUT, Source.KEYWORD)
    assert (event.occurred_at, event.received_at, event.origin) == (AT, AT, RECEIPT.origin)
    assert event.key == b"525500001234"


@pytest.mark.parametrize(
    ("fields", "value", "person", "others"),
    [
        ({"from": NUMBER, "from_user_id": USER}, {}, "525500001234", [f"user:{USER}"]),
        ({"from": "+" + NUMBER}, {}, "525500001234", None),
        ({"from": USER}, {}, f"user:{USER}", None),
        ({"from": 5215500001234}, {}, "525500001234", None),
        ({"from_user_id": USER, "from_parent_user_id": PARENT}, {}, f"user:{USER}", [f"user:{PARENT}"]),
        ({"from": NUMBER}, {"contacts": [{"wa_id": "1555"}, {"wa_id": NUMBER, "user_id": USER}]}, "525500001234",
         [f"user:{USER}"]),
        ({"from_user_id": USER}, {"contacts": [{"user_id": USER, "wa_id": NUMBER}]}, "525500001234", [f"user:{USER}"]),
        ({}, {"contacts": [{"user_id": USER}]}, f"user:{USER}", None),
        ({"from": "12"}, {"contacts": "none"}, None, None),
    ],
)  # fmt: skip
def test_a_person_is_known_by_each_name_of_the_message_and_of_its_contact(
    fields: dict[str, Any], value: dict[str, Any], person: str | None, others: list[str] | None
) -> None:
    event = stated(message(value, **fields, **TEXT, context={"id": OURS}))
    assert (event.person, event.also_known_as, event.wamid) == (person, others, OURS)
    assert event.key == (person or OURS).encode()


NEW_USER, NEW_NUMBER = "US.22222222222222222222", "15550000002"


@pytest.mark.parametrize(
    ("fields", "person", "others", "former"),
    [
        ({"from": NUMBER, "from_user_id": USER}, "525500001234", [f"user:{USER}"], None),
        (
            {"from": NUMBER, "from_user_id": USER, "type": "system", "system": {
                "type": "user_changed_number", "wa_id": NEW_NUMBER, "user_id": NEW_USER, "previous_user_id": USER}},
            NEW_NUMBER, [f"user:{NEW_USER}"], ["525500001234", f"user:{USER}"],
        ),
        (
            {"from": NEW_NUMBER, "from_user_id": NEW_USER, "type": "system", "system": {
                "type": "user_changed_number", "wa_id": NEW_NUMBER, "user_id": NEW_USER, "previous_user_id": USER,
                "previous_parent_user_id": PARENT}},
            NEW_NUMBER, [f"user:{NEW_USER}"], [f"user:{USER}", f"user:{PARENT}"],
        ),
        (
            {"from_user_id": USER, "type": "system", "system": {
                "type": "user_changed_user_id", "user_id": NEW_USER, "previous_user_id": USER}},
            f"user:{NEW_USER}", None, [f"user:{USER}"],
        ),
        (
            {"from": NUMBER, "type": "system", "system": {"type": "customer_changed_number", "new_wa_id": NEW_NUMBER}},
            NEW_NUMBER, None, ["525500001234"],
        ),
    ],
    ids=["two names", "a new number", "reported under the new one", "a new user id", "the old form"],
)  # fmt: skip
def test_names_are_learned_from_messages_and_from_reports_of_new_ones(
    fields: dict[str, Any], person: str, others: list[str] | None, former: list[str] | None
) -> None:
    event = stated(message(**fields))
    assert (event.kind, event.source) == (SubscriptionKind.IDENTIFIED, Source.PLATFORM)
    assert (event.person, event.also_known_as, event.formerly) == (person, others, former)


def test_a_new_user_id_is_also_read_in_the_form_of_a_provider() -> None:
    update = {"wa_id": NUMBER, "user_id": {"previous": USER, "current": NEW_USER}, "timestamp": "1767225600"}
    [item] = parse_body(json.dumps({"field": "user_id_update", "value": {"user_id_update": [update]}}).encode())
    assert isinstance(item, MessageItem)
    event = stated(decide_message(item, RECEIPT, KEYWORDS))
    assert (event.person, event.formerly) == (f"user:{NEW_USER}", ["525500001234", f"user:{USER}"])


def test_a_reply_is_counted_and_its_names_are_learned() -> None:
    decided = message(**NAMED, from_user_id=USER, context={"id": OURS})
    assert isinstance(decided, PersonEvents)
    assert decided.event is not None
    assert decided.event.kind is EventKind.REPLIED
    assert decided.subscription is not None
    assert decided.subscription.kind is SubscriptionKind.IDENTIFIED


def test_a_contact_of_another_message_names_nobody() -> None:
    read = {"id": "wamid.IN", "timestamp": "1767225600", **TEXT}
    several = {"messages": [read, read], "contacts": [{"user_id": USER}]}
    assert decide_message(read_message(read, several), RECEIPT, KEYWORDS) == RefusedItem("missing_person")


def test_a_reply_names_the_message_that_it_answers() -> None:
    decided = message({"metadata": {"phone_number_id": "111"}}, type="image", image={}, context={"id": OURS})
    assert isinstance(decided, PersonEvents)
    assert decided.subscription is None
    assert decided.event is not None
    assert (decided.event.kind, decided.event.wamid, decided.event.phone_number_id, decided.event.recipient_id) == (
        EventKind.REPLIED, OURS, "111", None,
    )  # fmt: skip


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "text", "text": {"body": "Hello"}},
        {"type": "text", "text": {"body": "Hello"}, "context": {"forwarded": True}},
        {"type": "text", "text": {"body": "Hello"}, "context": {"id": ""}},
        {"type": "text", "text": {"body": "Hello"}, "context": {"id": "x" * 513}},
        {"type": "reaction", "reaction": {"message_id": OURS}, "context": {"id": OURS}},
        {"type": "system", "system": {"type": "user_changed_number"}, "context": {"id": OURS}},
        {"type": 3, "text": "STOP", "context": OURS},
        {"type": "text", "text": {"body": ["STOP"]}, "timestamp": "never"},
        {"type": "image", "image": {"caption": "STOP"}},
        {},
    ],
)
def test_another_message_changes_nothing_however_odd_it_is(fields: dict[str, Any]) -> None:
    assert message(**fields) == IgnoredItem("message")


@pytest.mark.parametrize(
    ("timestamp", "reason"),
    [
        (None, "malformed_timestamp"),
        ("soon", "malformed_timestamp"),
        ("1767226201", "timestamp_in_future"),
        ("1", "timestamp_too_old"),
    ],
)
def test_an_opt_out_whose_time_cannot_be_true_is_refused(timestamp: Any, reason: str) -> None:
    assert message(**NAMED, **TEXT, timestamp=timestamp) == RefusedItem(reason)
    preference = {"wa_id": NUMBER, "value": "stop", "timestamp": timestamp}
    assert decide_preference(read_preference(preference, {}), RECEIPT) == RefusedItem(reason)


@pytest.mark.parametrize(
    ("word", "kind"), [("stop", SubscriptionKind.OPTED_OUT), ("RESUME", SubscriptionKind.OPTED_IN)]
)
def test_a_preference_is_of_the_platform(word: str, kind: SubscriptionKind) -> None:
    preference = {"wa_id": NUMBER, "user_id": USER, "value": word, "timestamp": 1767225600}
    event = stated(decide_preference(read_preference(preference, {}), RECEIPT))
    assert (event.person, event.also_known_as, event.kind, event.source, event.wamid) == (
        "525500001234", [f"user:{USER}"], kind, Source.PLATFORM, None,
    )  # fmt: skip


def failed(code: int, **fields: Any) -> SubscriptionEvent | None:
    status = {"id": OURS, "status": "failed", "timestamp": "1767225600", "errors": [{"code": code}], **fields}
    item = read_status(status, {})
    event = decide(item, AT, Ownership(b"secret", "default"), RECEIPT.origin)
    assert isinstance(event, RecipientEvent)
    return opt_out_of_failure(item, event, RECEIPT)


def test_code_131050_is_an_opt_out_of_the_platform_also_without_a_name() -> None:
    named = failed(131050, recipient_id=NUMBER, recipient_user_id=USER)
    assert named is not None
    assert (named.person, named.also_known_as, named.wamid) == ("525500001234", [f"user:{USER}"], OURS)
    assert (named.kind, named.source) == (SubscriptionKind.OPTED_OUT, Source.PLATFORM)
    unnamed = failed(131050)
    assert unnamed is not None
    assert (unnamed.person, unnamed.wamid) == (None, OURS)
    assert failed(131049, recipient_id=NUMBER) is None


@given(
    st.sampled_from([0, 5, 100]),
    st.dictionaries(
        st.sampled_from(["from", "from_user_id", "text", "button", "interactive", "context", "type", "timestamp"]),
        st.none() | st.integers() | st.text(max_size=5) | st.dictionaries(
            st.sampled_from(["id", "body", "payload", "text", "button_reply"]),
            st.none() | st.integers() | st.sampled_from(["STOP", OURS])
            | st.dictionaries(st.just("id"), st.just("STOP")),
        ),
    ),
)  # fmt: skip
def test_a_message_that_is_read_again_gives_the_same_events(delay_s: int, fields: dict[str, Any]) -> None:
    item = read_message(fields, {"messages": [fields]})
    later = Receipt(AT + timedelta(seconds=delay_s), Origin(topic="webhooks.raw", partition=3, offset=9), AT)
    first, again = decide_message(item, RECEIPT, KEYWORDS), decide_message(item, later, KEYWORDS)
    assert type(first) is type(again)
    if isinstance(first, PersonEvents) and isinstance(again, PersonEvents):
        excluded = {"received_at", "origin"}
        for one, other in ((first.event, again.event), (first.subscription, again.subscription)):
            assert (one is None) == (other is None)
            if one is not None and other is not None:
                assert one.model_dump(exclude=excluded) == other.model_dump(exclude=excluded)
