"""A client library that others wrote sends, uploads and reads with the simulator as with the Cloud API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pywa import WhatsApp, types
from pywa.errors import TemplateParamCountMismatch, WhatsAppError
from pywa.types import templates as t
from pywa.types.callback import CallPermissionRequestButton, FlowButton, URLButton, VoiceCallButton

from tests.contract.simulator_client import bench, quick
from tests.support.client_library import use_library

TO = "4915112345678"
WAMID = "wamid.HBgLNDkxNTExMjM0NQ=="
LINK = "https://example.com/a"
EN = t.TemplateLanguage.ENGLISH_US
SENDS: dict[str, Callable[[WhatsApp], Any]] = {
    "text": lambda wa: wa.send_message(TO, "Hello", preview_url=True, tracker="mine-1"),
    "answer": lambda wa: wa.send_message(TO, "Hello", reply_to_message_id=WAMID),
    "to a user id": lambda wa: wa.send_message("DE.1234567890", "Hello"),
    "buttons": lambda wa: wa.send_message(
        TO, "Pick", header="H", footer="F", buttons=[types.Button("A", "1"), types.Button("B", "2")]
    ),
    "list": lambda wa: wa.send_message(
        TO, "Pick", buttons=types.SectionList("Open", [types.Section("S", [types.SectionRow("R", "1", "more")])])
    ),
    "link": lambda wa: wa.send_message(TO, "Go", buttons=URLButton("Go", "https://example.com")),
    "flow": lambda wa: wa.send_message(
        TO,
        "Flow",
        buttons=FlowButton(
            "Open",
            flow_id="123",
            flow_token="x",
            flow_message_version="3",
            flow_action_type=types.FlowActionType.NAVIGATE,
            flow_action_screen="START",
        ),
    ),
    "voice call": lambda wa: wa.send_message(TO, "Call us", buttons=VoiceCallButton("Call")),
    "call permission": lambda wa: wa.send_message(TO, "May we call?", buttons=CallPermissionRequestButton()),
    "image by link": lambda wa: wa.send_image(TO, f"{LINK}.jpg", caption="C"),
    "image by upload": lambda wa: wa.send_image(TO, b"png", mime_type="image/png"),
    "image with buttons": lambda wa: wa.send_image(TO, f"{LINK}.jpg", caption="C", buttons=[types.Button("A", "1")]),
    "video": lambda wa: wa.send_video(TO, f"{LINK}.mp4", caption="C"),
    "audio": lambda wa: wa.send_audio(TO, f"{LINK}.mp3"),
    "voice message": lambda wa: wa.send_voice(TO, b"ogg", mime_type="audio/ogg"),
    "document": lambda wa: wa.send_document(TO, f"{LINK}.pdf", filename="a.pdf", caption="C"),
    "sticker": lambda wa: wa.send_sticker(TO, f"{LINK}.webp"),
    "location": lambda wa: wa.send_location(TO, 52.5, 13.4, "Office", "1 Main Street"),
    "contacts": lambda wa: wa.send_contact(
        TO,
        types.Contact(
            name=types.Contact.Name(formatted_name="Ada L", first_name="Ada"),
            phones=[types.Contact.Phone(phone="+4915112345678", type="CELL")],
        ),
    ),
    "reaction": lambda wa: wa.send_reaction(TO, "👍", WAMID),
    "no reaction": lambda wa: wa.remove_reaction(TO, WAMID),
    "question for a place": lambda wa: wa.request_location(TO, "Where?"),
    "question for a number": lambda wa: wa.request_contact_info(TO, "Which number?"),
    "catalog": lambda wa: wa.send_catalog(TO, "Browse", footer="F", thumbnail_product_sku="sku"),
    "product": lambda wa: wa.send_product(TO, "catalog", "sku", "B", "F"),
    "products": lambda wa: wa.send_products(TO, "catalog", [types.ProductsSection("S", ["sku"])], "Title", "Body"),
    "template": lambda wa: wa.send_template(TO, "promo", EN, [t.BodyText.params("Ada", "20 %")]),
    "template with names": lambda wa: wa.send_template(TO, "promo", EN, [t.BodyText.params(first_name="Ada")]),
    "template with all components": lambda wa: wa.send_template(
        TO,
        "promo",
        EN,
        [
            t.HeaderImage.params(image=f"{LINK}.jpg"),
            t.BodyText.params("Ada"),
            t.QuickReplyButton.params(callback_data="STOP", index=0),
            t.URLButton.params(url_variable="x", index=1),
            t.CopyCodeButton.params(coupon_code="SAVE20", index=2),
        ],
    ),
}


@pytest.mark.parametrize("kind", SENDS)
async def test_every_kind_of_message_is_accepted(kind: str) -> None:
    async with bench(quick()) as it:
        sent = await use_library(it.url, SENDS[kind])
        (entry,) = await it.ledger()
        assert (entry["accepted"], entry["wamid"]) == (True, sent.id)


async def test_the_ledger_keeps_the_parameters_that_the_library_sends_in_a_component_in_capitals() -> None:
    async with bench(quick()) as it:
        await use_library(it.url, SENDS["template"])
        (entry,) = await it.ledger()
        assert entry["body_parameters"] == ["Ada", "20 %"]


async def test_a_message_is_marked_as_read_and_the_person_sees_typing() -> None:
    def read(wa: WhatsApp) -> None:
        assert wa.mark_message_as_read(WAMID)
        assert wa.indicate_typing(WAMID)

    async with bench(quick()) as it:
        await use_library(it.url, read)
        assert await it.ledger() == []


async def test_media_are_uploaded_read_sent_and_deleted() -> None:
    def use_media(wa: WhatsApp) -> None:
        media = wa.upload_media(b"jpeg", mime_type="image/jpeg", filename="a.jpg")
        assert media is not None
        found = wa.get_media_url(media.id)
        assert (found.mime_type, found.file_size) == ("image/jpeg", 4)
        assert wa.get_media_bytes(found.url) == b"jpeg"
        assert wa.send_image(TO, media).id
        assert wa.delete_media(media.id)
        with pytest.raises(WhatsAppError) as gone:
            wa.get_media_url(media.id)
        assert (gone.value.code, gone.value.subcode) == (100, 33)
        with pytest.raises(WhatsAppError):
            wa.upload_media(b"x", mime_type="application/x-tar", filename="a.tar")

    async with bench(quick()) as it:
        await use_library(it.url, use_media)


async def test_templates_are_created_listed_sent_edited_and_deleted() -> None:
    def use_templates(wa: WhatsApp) -> None:
        created = wa.create_template(
            t.Template(
                name="spring",
                language=EN,
                category=t.TemplateCategory.MARKETING,
                parameter_format=t.ParamFormat.NAMED,
                components=[
                    t.HeaderText("Hi {{name}}", name="Ada"),
                    t.BodyText("Buy {{thing}} now", thing="tea"),
                    t.FooterText(text="Bye"),
                    t.Buttons(buttons=[t.QuickReplyButton(text="Stop")]),
                ],
            )
        )
        assert created.status is t.TemplateStatus.PENDING
        assert wa.get_template(created.id).status is t.TemplateStatus.APPROVED
        assert [one.name for one in wa.get_templates()] == ["hello_world", "spring"]
        assert [one.name for one in wa.get_templates(name="spring")] == ["spring"]
        header, body = t.HeaderText.params(name="Ada"), t.BodyText.params(thing="tea")
        assert wa.send_template(TO, "spring", EN, [header, body]).id
        with pytest.raises(TemplateParamCountMismatch):
            wa.send_template(TO, "spring", EN, [body])
        assert wa.update_template(created.id, new_category=t.TemplateCategory.UTILITY).success
        assert wa.delete_template("spring")
        assert [one.name for one in wa.get_templates()] == ["hello_world"]

    async with bench(quick()) as it:
        await use_library(it.url, use_templates)


async def test_a_template_with_a_medium_is_created_from_an_uploaded_sample() -> None:
    def create(wa: WhatsApp) -> None:
        session = wa.api.create_upload_session(app_id="1", file_name="a.jpg", file_length=4, file_type="image/jpeg")[
            "id"
        ]
        assert wa.api.get_upload_session(session)["file_offset"] == 0
        handle = wa.api.upload_file(session, b"jpeg")["h"]
        assert wa.api.get_upload_session(session)["file_offset"] == 4
        header = {"type": "HEADER", "format": "IMAGE", "example": {"header_handle": [handle]}}
        components = [header, {"type": "BODY", "text": "New"}]
        wa.api.create_template(
            waba_id="102290129340398",
            template={"name": "new", "language": "en_US", "category": "MARKETING", "components": components},
        )
        with pytest.raises(WhatsAppError) as mismatch:
            wa.send_template(TO, "new", EN, [])
        assert mismatch.value.code == 132012
        assert wa.send_template(TO, "new", EN, [t.HeaderImage.params(image=f"{LINK}.jpg")]).id
        with pytest.raises(WhatsAppError):
            wa.api.upload_file(session, b"more", file_offset=4)

    async with bench(quick()) as it:
        await use_library(it.url, create)


async def test_the_account_and_its_numbers_are_read() -> None:
    def read(wa: WhatsApp) -> None:
        assert wa.get_business_account().id == "102290129340398"
        assert wa.get_business_phone_number().quality_rating == "GREEN"
        assert [number.id for number in wa.get_business_phone_numbers()] == ["106540352242922"]
        assert wa.get_business_phone_number_settings().storage_configuration is not None
        assert wa.get_business_profile().about
        assert wa.update_business_profile(about="New")
        assert wa.block_users([TO]).added_users[0].wa_id == TO
        assert [user.wa_id for user in wa.get_blocked_users()] == [TO]
        assert wa.unblock_users([TO]).removed_users

    async with bench(quick()) as it:
        await use_library(it.url, read)


async def test_groups_are_created_written_to_and_deleted() -> None:
    def use_groups(wa: WhatsApp) -> None:
        assert wa.create_group(subject="Tea", description="All about tea").request_id
        (group,) = wa.get_groups()
        assert wa.get_group(group.id).subject == "Tea"
        assert wa.get_group_invite_link(group.id).link
        assert wa.send_message(group.id, "Hello group").id
        assert wa.pin_message(group.id, WAMID, expiration_days=3).id
        assert wa.delete_group(group.id).request_id == group.id
        with pytest.raises(WhatsAppError):
            wa.send_message(group.id, "Hello group")

    async with bench(quick()) as it:
        await use_library(it.url, use_groups)
        await it.quiet()
        assert {status["recipient_type"] for status in it.receiver.statuses()} == {"group"}
