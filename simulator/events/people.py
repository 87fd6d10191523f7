"""The webhooks about people: their messages, preferences and changes of identity. Pure.

Source: Meta's pages "messages webhooks reference", "user_preferences webhooks reference", "System messages" and
"Business-scoped user IDs".
"""

from __future__ import annotations

from typing import Any

import orjson

from simulator.account.media import Medium
from simulator.bodies import contact_of, error_object, metadata_of
from simulator.config import SimulatorConfig
from simulator.events.requests import IdentityChange, InboundMessage, PersonEvent, PreferenceChange
from simulator.wamids import user_id_of, wamid_of

MEDIA_TYPES = {
    "audio": "audio/ogg; codecs=opus",
    "document": "application/pdf",
    "image": "image/jpeg",
    "sticker": "image/webp",
    "video": "video/mp4",
}
"""The usual type of each kind of medium."""
REPLIES = ("button_reply", "flow_reply", "list_reply")
"""Replies to interactive messages. Each has a context. The button of a template may come without one."""
PREFERENCE_DETAILS = {
    "stop": "User requested to stop marketing messages",
    "resume": "User requested to resume marketing messages",
    "signup": "User signed up via signup link",
}


def number_of(event: PersonEvent) -> str:
    """The digits of the person's number; empty if it is not known or not shown."""
    return "" if event.number is None or event.hides_number else event.number.lstrip("+")


def user_of(event: PersonEvent) -> str:
    """The user id of the person."""
    return event.user_id or user_id_of((event.number or "").lstrip("+"))


def _contacts(config: SimulatorConfig, event: PersonEvent) -> list[dict[str, Any]]:
    """The contact of the person."""
    contact = contact_of(config, number_of(event), user_of(event))
    if event.username is not None:
        contact["profile"]["username"] = event.username
    return [contact]


def _message_head(event: PersonEvent, wamid: str, timestamp: int) -> dict[str, Any]:
    """What each message has: the sender, the id and the time."""
    number = number_of(event)
    return {
        **({"from": number} if number else {}),
        "from_user_id": user_of(event),
        "id": wamid,
        "timestamp": str(timestamp),
    }


def message_value(
    config: SimulatorConfig,
    phone_number_id: str,
    event: InboundMessage,
    wamid: str,
    timestamp: int,
    medium: Medium | None,
    media_url: str,
) -> dict[str, Any]:
    """The value of a webhook with one message from a person."""
    message = _message_head(event, wamid, timestamp)
    reply_to = event.reply_to
    if reply_to is None and event.type in REPLIES:
        reply_to = wamid_of(number_of(event), "not recorded", 0)
    if reply_to is not None and event.type != "reaction":
        message["context"] = {"from": config.display_of(phone_number_id), "id": reply_to}
    message |= _content(event, medium, media_url)
    value = metadata_of(config, phone_number_id)
    return {**value, "contacts": _contacts(config, event), "messages": [message]}


def _content(event: InboundMessage, medium: Medium | None, media_url: str) -> dict[str, Any]:
    """The type of a message, and what it contains."""
    kind, payload = event.type, event.payload if event.payload is not None else event.text
    if medium is not None:
        return {"type": kind, kind: _medium(event, medium, media_url)}
    contents: dict[str, dict[str, Any]] = {
        "text": {"text": {"body": event.text}},
        "button": {"button": {"payload": payload, "text": event.text}},
        "button_reply": _interactive("button_reply", {"id": payload, "title": event.text}),
        "list_reply": _interactive("list_reply", {"id": payload, "title": event.text, "description": ""}),
        "flow_reply": _interactive(
            "nfm_reply", {"name": "flow", "body": "Sent", "response_json": orjson.dumps(event.response).decode()}
        ),
        "location": {
            "location": {
                "latitude": event.latitude,
                "longitude": event.longitude,
                "name": event.text,
                "address": "1 Main Street",
            }
        },
        "contacts": {
            "contacts": [
                {
                    "name": {"formatted_name": event.text, "first_name": event.text},
                    "phones": [{"phone": "+16505550100", "wa_id": "16505550100", "type": "CELL"}],
                }
            ]
        },
        "reaction": {"reaction": {"message_id": event.reply_to or "", "emoji": event.text}},
        "order": {
            "order": {
                "catalog_id": "1234",
                "text": event.text,
                "product_items": [
                    {"product_retailer_id": payload, "quantity": 1, "item_price": 10.5, "currency": "USD"}
                ],
            }
        },
        "unsupported": {"errors": [error_object(event.error_code)], "unsupported": {"type": "unknown"}},
    }
    return {"type": "interactive" if kind in REPLIES else kind, **contents[kind]}


def _interactive(kind: str, reply: dict[str, Any]) -> dict[str, Any]:
    """A reply to an interactive message."""
    return {"interactive": {"type": kind, kind: reply}}


def _medium(event: InboundMessage, medium: Medium, url: str) -> dict[str, Any]:
    """A medium in a message. Its content can be read with the id."""
    shown: dict[str, Any] = {
        "mime_type": medium.mime_type,
        "sha256": medium.sha256,
        "id": medium.id,
        "url": url,
        "file_size": len(medium.content),
    }
    if event.type == "document":
        shown["filename"] = event.filename
    if event.type in ("document", "image", "video"):
        shown["caption"] = event.text
    if event.type == "audio":
        shown["voice"] = True
    if event.type == "sticker":
        shown["animated"] = False
    return shown


def preference_value(
    config: SimulatorConfig, phone_number_id: str, event: PreferenceChange, timestamp: int
) -> dict[str, Any]:
    """The value of a webhook of the field `user_preferences`. Its timestamp is a number."""
    number = number_of(event)
    preference: dict[str, Any] = {
        **({"wa_id": number} if number else {}),
        "user_id": user_of(event),
        "detail": event.detail or PREFERENCE_DETAILS[event.value],
        "category": event.category,
        "value": event.value,
        "timestamp": timestamp,
    }
    if event.value == "signup":
        preference["signup_id"] = event.signup_id or "1234567890"
    value = metadata_of(config, phone_number_id)
    return {**value, "contacts": _contacts(config, event), "user_preferences": [preference]}


def identity_value(
    config: SimulatorConfig, phone_number_id: str, event: IdentityChange, wamid: str, timestamp: int
) -> dict[str, Any]:
    """The value of a webhook with a system message. It has no contacts."""
    new_number = (event.new_number or "").lstrip("+")
    new_user = event.new_user_id or user_id_of(new_number)
    old = number_of(event) or user_of(event)
    system: dict[str, Any] = {"type": event.type, "user_id": new_user, "previous_user_id": user_of(event)}
    if event.type == "user_changed_number":
        system |= {"body": f"User {old} changed to {new_number}", "wa_id": new_number}
    else:
        system["body"] = f"User {old} changed the user id"
    message = {**_message_head(event, wamid, timestamp), "type": "system", "system": system}
    return {**metadata_of(config, phone_number_id), "messages": [message]}
