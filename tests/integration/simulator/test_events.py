"""A client library that others wrote parses every webhook of the simulator."""

from __future__ import annotations

from typing import Any

import pytest
from pywa import WhatsApp, types
from pywa.handlers import (
    AccountUpdateHandler,
    CallbackButtonHandler,
    CallbackSelectionHandler,
    FlowCompletionHandler,
    GroupMessageStatusesHandler,
    Handler,
    MessageHandler,
    MessageStatusHandler,
    PhoneNumberChangeHandler,
    TemplateCategoryUpdateHandler,
    TemplateComponentsUpdateHandler,
    TemplateQualityUpdateHandler,
    TemplateStatusUpdateHandler,
    UserMarketingPreferencesHandler,
)

from simulator.config import Rule, WebhookConfig
from tests.contract.simulator_client import Bench, bench, quick, template_message
from tests.support.client_library import library_receiver, use_library

PERSON = "4915112345678"
HANDLERS: tuple[type[Any], ...] = (
    AccountUpdateHandler,
    CallbackButtonHandler,
    CallbackSelectionHandler,
    FlowCompletionHandler,
    GroupMessageStatusesHandler,
    MessageHandler,
    MessageStatusHandler,
    PhoneNumberChangeHandler,
    TemplateCategoryUpdateHandler,
    TemplateComponentsUpdateHandler,
    TemplateQualityUpdateHandler,
    TemplateStatusUpdateHandler,
    UserMarketingPreferencesHandler,
)
UNBATCHED = WebhookConfig(batch_statuses_max=1)


def parsed(it: Bench) -> list[Any]:
    """Every webhook as an object of the library, in order of arrival. The library checks each signature."""
    found: list[Any] = []
    library: WhatsApp = library_receiver()
    for handler in HANDLERS:
        library.add_handlers(handler(lambda _library, update: found.append(update)))
    for body, signature in zip(it.receiver.bodies, it.receiver.signatures, strict=True):
        before = len(found)
        assert library.webhook_update_validator(body, signature) is None
        assert library.webhook_update_handler(body) == ("ok", 200)
        assert len(found) == before + 1, body
    return found


async def event(it: Bench, kind: str, **settings: object) -> Any:
    """Send one event and wait until it has arrived."""
    sent = await it.control(f"events/{kind}", **settings)
    await it.quiet()
    return sent


@pytest.mark.parametrize(
    ("settings", "handler", "expected"),
    [
        ({"text": "STOP"}, "Message", {"text": "STOP"}),
        ({"type": "button", "text": "Stop promotions", "payload": "STOP", "reply_to": "wamid.X"}, "CallbackButton",
         {"title": "Stop promotions", "data": "STOP"}),
        ({"type": "button", "text": "Stop"}, "CallbackButton", {"data": "Stop", "reply_to_message": None}),
        ({"type": "button_reply", "text": "No", "payload": "n"}, "CallbackButton", {"title": "No", "data": "n"}),
        ({"type": "list_reply", "text": "No", "payload": "n"}, "CallbackSelection", {"title": "No", "data": "n"}),
        ({"type": "flow_reply", "response": {"a": 1}}, "FlowCompletion", {"response": {"a": 1}}),
        ({"type": "image", "text": "Look"}, "Message", {"caption": "Look", "has_media": True}),
        ({"type": "video"}, "Message", {"has_media": True}),
        ({"type": "audio"}, "Message", {"has_media": True}),
        ({"type": "document"}, "Message", {"has_media": True}),
        ({"type": "sticker"}, "Message", {"has_media": True}),
        ({"type": "location", "text": "Office"}, "Message", {"type": types.MessageType.LOCATION}),
        ({"type": "contacts", "text": "Ada"}, "Message", {"type": types.MessageType.CONTACTS}),
        ({"type": "reaction", "text": "👍", "reply_to": "wamid.X"}, "Message", {"type": types.MessageType.REACTION}),
        ({"type": "order", "payload": "sku"}, "Message", {"type": types.MessageType.ORDER}),
        ({"type": "unsupported"}, "Message", {"type": types.MessageType.UNSUPPORTED}),
    ],
)  # fmt: skip
async def test_a_message_from_a_person_is_parsed(
    settings: dict[str, object], handler: str, expected: dict[str, object]
) -> None:
    async with bench(quick()) as it:
        sent = await event(it, "message", number=PERSON, **settings)
        (update,) = parsed(it)
        assert type(update).__name__ == handler
        assert (update.id, update.from_user.wa_id) == (sent["id"], PERSON)
        assert {name: getattr(update, name) for name in expected} == expected


async def test_the_media_of_a_person_can_be_read() -> None:
    async with bench(quick()) as it:
        await event(it, "message", number=PERSON, type="image", content="jpeg bytes")
        (update,) = parsed(it)
        content = await use_library(it.url, lambda library: library.get_media_bytes(update.image.url))
        assert content == b"jpeg bytes"


async def test_a_person_with_a_username_has_no_number() -> None:
    async with bench(quick()) as it:
        await event(it, "message", number=PERSON, hides_number=True, username="ada")
        (update,) = parsed(it)
        assert (update.from_user.wa_id, update.from_user.username) == (None, "ada")
        (change,) = it.changes()
        assert "from" not in change["value"]["messages"][0]
        assert change["value"]["messages"][0]["from_user_id"] == update.from_user.bsuid


@pytest.mark.parametrize("value", ["stop", "resume", "signup"])
async def test_a_preference_is_parsed(value: str) -> None:
    async with bench(quick()) as it:
        await event(it, "preference", number=PERSON, value=value, timestamp=1_750_000_000)
        (update,) = parsed(it)
        assert (update.value.value, update.from_user.wa_id) == (value, PERSON)
        (change,) = it.changes()
        assert change["field"] == "user_preferences"
        assert change["value"]["user_preferences"][0]["timestamp"] == 1_750_000_000


async def test_a_change_of_identity_is_parsed_and_has_no_contacts() -> None:
    async with bench(quick()) as it:
        await event(it, "identity", number=PERSON, new_number="4915187654321")
        await event(it, "identity", number=PERSON, type="user_changed_user_id", new_user_id="DE.42")
        number, user_id = parsed(it)
        assert (number.old_wa_id, number.new_wa_id) == (PERSON, "4915187654321")
        assert (user_id.new_wa_id, user_id.new_user_id) == (None, "DE.42")
        for change in it.changes():
            assert "contacts" not in change["value"]
            assert change["value"]["messages"][0]["system"]["previous_user_id"].startswith("DE.")


async def test_events_of_templates_are_parsed_and_sends_obey_them() -> None:
    async with bench(quick()) as it:
        assert (await it.sent(PERSON))[0] == 200
        await it.quiet()
        it.receiver.bodies.clear()
        it.receiver.signatures.clear()
        await event(it, "template_status", name="promo", event="PAUSED", timestamp=1_750_000_000)
        assert (await it.sent(PERSON))[1]["error"]["code"] == 132015
        await event(it, "template_status", name="promo", event="DISABLED")
        assert (await it.sent(PERSON))[1]["error"]["code"] == 132016
        await event(it, "template_status", name="promo", event="REJECTED", reason="INVALID_FORMAT")
        assert (await it.sent(PERSON))[1]["error"]["code"] == 132001
        await event(it, "template_status", name="promo", event="REINSTATED")
        await event(it, "template_status", name="promo", event="FLAGGED")
        await event(it, "template_quality", name="promo", quality="RED")
        await event(it, "template_category", name="promo", category="UTILITY", is_impending=True)
        await event(it, "template_category", name="promo", category="UTILITY")
        components = [{"type": "BODY", "text": "New {{1}}"}, {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY"}]}]
        await event(it, "template_components", name="promo", components=components)
        updates = parsed(it)
        assert [type(update).__name__ for update in updates] == [
            *["TemplateStatusUpdate"] * 5,
            "TemplateQualityUpdate",
            *["TemplateCategoryUpdate"] * 2,
            "TemplateComponentsUpdate",
        ]
        first = it.changes()[0]["value"]
        assert (first["message_template_language"], first["other_info"]["title"]) == ("en_US", "FIRST_PAUSE")
        assert isinstance(first["message_template_id"], int)
        assert (await it.sent(PERSON))[0] == 200


async def test_languages_can_have_the_hyphen_of_metas_examples() -> None:
    async with bench(quick(hyphenated_languages=True)) as it:
        await event(it, "template_quality", name="promo", language="pt_BR")
        assert it.changes()[0]["value"]["message_template_language"] == "pt-BR"


@pytest.mark.parametrize(
    "name",
    [
        "ACCOUNT_DELETED",
        "ACCOUNT_RESTRICTION",
        "ACCOUNT_VIOLATION",
        "DISABLED_UPDATE",
        "PARTNER_REMOVED",
        "VOLUME_BASED_PRICING_TIER_UPDATE",
    ],
)
async def test_an_event_of_the_account_is_parsed(name: str) -> None:
    async with bench(quick()) as it:
        await event(it, "account_update", event=name)
        (update,) = parsed(it)
        assert update.event.value == name


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("account_alert", "account_alerts"),
        ("account_review", "account_review_update"),
        ("business_capability", "business_capability_update"),
        ("number_name", "phone_number_name_update"),
        ("number_quality", "phone_number_quality_update"),
        ("security", "security"),
    ],
)
async def test_other_events_of_the_business_have_the_envelope_of_their_field(kind: str, field: str) -> None:
    async with bench(quick()) as it:
        sent = await event(it, kind, value={"extra": 1}, timestamp=1_750_000_000)
        (change,) = it.changes()
        assert (change["field"], change["value"]["extra"]) == (field, 1)
        assert change["value"] == sent["value"]
        assert b'"time":1750000000' in it.receiver.bodies[0]
        assert it.receiver.unsigned == 0


async def test_the_quality_of_a_number_changes_for_its_readers() -> None:
    async with bench(quick()) as it:
        await event(it, "number_quality", event="FLAGGED", quality="RED")
        quality = await use_library(it.url, lambda library: library.get_business_phone_number().quality_rating)
        assert quality == "RED"


async def test_any_other_webhook_can_be_sent() -> None:
    async with bench(quick()) as it:
        await event(it, "raw", field="flows", value={"event": "FLOW_STATUS_CHANGE"}, timestamp=7)
        assert it.changes() == [{"field": "flows", "value": {"event": "FLOW_STATUS_CHANGE"}}]


@pytest.mark.parametrize("recipient", [{}, {"to": None, "recipient": "DE.42"}])
@pytest.mark.parametrize("version", ["v23.0", "v25.0"])
async def test_statuses_are_parsed(recipient: dict[str, object], version: str) -> None:
    config = quick(webhooks=UNBATCHED, statuses=quick().statuses.model_copy(update={"version": version}))
    async with bench(config) as it:
        async with it.http.post(
            f"{it.url}/v25.0/106540352242922/messages",
            json=template_message(PERSON, "mine-1") | recipient,
            headers={"Authorization": "Bearer token"},
        ) as answer:
            assert answer.status == 200, await answer.text()
        await it.quiet()
        updates = parsed(it)
        assert [update.status.value for update in updates] == ["sent", "delivered", "read"]
        assert {update.tracker for update in updates} == {"mine-1"}


async def test_a_failed_status_and_a_played_one_are_parsed() -> None:
    rules = (Rule(suffix="1", outcome="fail", code=131026), Rule(suffix="2", statuses=("sent", "delivered", "played")))
    async with bench(quick(webhooks=UNBATCHED, rules=rules)) as it:
        await it.sent("491511234561")
        await it.sent("491511234562")
        await it.quiet()
        updates = parsed(it)
        assert {update.status.value for update in updates} == {"sent", "delivered", "played", "failed"}
        assert [update.error.code for update in updates if update.error] == [131026]


async def test_a_medium_of_another_kind_fails_after_it_was_accepted() -> None:
    async with bench(quick(webhooks=UNBATCHED)) as it:

        def send(library: WhatsApp) -> None:
            media = library.upload_media(b"text", mime_type="text/plain", filename="a.txt")
            library.send_image(PERSON, media)

        await use_library(it.url, send)
        await it.quiet()
        assert [update.error.code for update in parsed(it) if update.error] == [131053]


async def test_statuses_of_a_group_are_parsed() -> None:
    async with bench(quick(webhooks=UNBATCHED)) as it:

        def write(library: WhatsApp) -> None:
            library.create_group(subject="Tea")
            (group,) = library.get_groups()
            library.send_message(group.id, "Hello")

        await use_library(it.url, write)
        await it.quiet()
        assert [type(update).__name__ for update in parsed(it)] == ["GroupMessageStatuses"] * 3


async def test_an_unknown_event_and_a_wrong_setting_are_refused() -> None:
    async with bench(quick()) as it:
        for path, body, status in (
            ("explosion", {}, 404),
            ("message", {}, 400),
            ("message", {"number": "x"}, 400),
            ("message", {"number": PERSON, "type": "image", "mime_type": "image/tiff"}, 400),
            ("identity", {"number": PERSON}, 400),
        ):
            async with it.http.post(f"{it.url}/_simulator/events/{path}", json=body) as answer:
                assert answer.status == status
        assert it.receiver.bodies == []


def test_every_handler_of_the_library_is_one() -> None:
    assert all(issubclass(handler, Handler) for handler in HANDLERS)
