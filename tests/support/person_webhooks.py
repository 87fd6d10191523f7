"""Webhooks about people, as Meta sends them, and the events that the reconciler makes of them."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from domain.correlation import Ownership
from schemas.bundles import Body, encode_bundle
from schemas.callback import encode as encode_callback
from schemas.events import RecipientEvent
from schemas.model import CampaignId, RecipientId
from schemas.places import Record
from schemas.subscriptions import SubscriptionEvent
from streams.reconciler.reading import reconcile

SECRET = b"callback-secret-of-a-test"
OURS = Ownership(SECRET, "default")
Name = str
"""A phone number, or `user:` and a user id."""


def webhook(value: dict[str, Any], field: str, phone_number_id: str = "1") -> bytes:
    """The body of a webhook with one change."""
    business = {"display_phone_number": "15550783881", "phone_number_id": phone_number_id}
    full = {"messaging_product": "whatsapp", "metadata": business, **value}
    body = {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [{"field": field, "value": full}]}]}
    return json.dumps(body).encode()


def read(value: dict[str, Any], field: str, at: datetime) -> list[RecipientEvent | SubscriptionEvent]:
    """The events of a webhook that was received at this moment. Nothing of it may be refused."""
    bundle = encode_bundle([Body(int(at.timestamp() * 1_000_000), webhook(value, field))])
    found = reconcile(Record("webhooks.raw", 0, 0, None, bundle, at), OURS, at)
    assert not found.dead, [each.error for each in found.dead]
    return [*found.events, *found.subscriptions]


def message(names: list[Name], content: dict[str, Any], at: datetime, number: int, wamid: str | None) -> dict[str, Any]:
    """A message of a person, who may answer one of ours."""
    sender: dict[str, Any] = {"id": f"wamid.in.{number}", "timestamp": _seconds(at), **content}
    for name in names:
        sender["from_user_id" if name.startswith("user:") else "from"] = name.removeprefix("user:")
    if wamid is not None:
        sender["context"] = {"from": "15550783881", "id": wamid}
    return {"contacts": [_contact(names)], "messages": [sender]}


def text(word: str) -> dict[str, Any]:
    """The content of a message with a text."""
    return {"type": "text", "text": {"body": word}}


def button(word: str) -> dict[str, Any]:
    """The content of a message that the button of a template sends."""
    return {"type": "button", "button": {"payload": word, "text": word}}


def preference(names: list[Name], value: str, at: datetime) -> dict[str, Any]:
    """A person stops or resumes marketing messages in WhatsApp."""
    choice = {
        "category": "marketing_messages", "detail": "x", "value": value, "timestamp": int(at.timestamp()),
        **_contact(names),
    }  # fmt: skip
    return {"contacts": [_contact(names)], "user_preferences": [choice]}


def changed(former: list[Name], names: list[Name], at: datetime, number: int) -> dict[str, Any]:
    """WhatsApp reports that a person has another phone number, or another user id."""
    new_number = next((name for name in names if not name.startswith("user:")), None)
    system: dict[str, Any] = {
        "body": "changed",
        "type": "user_changed_number" if new_number else "user_changed_user_id",
    }
    report: dict[str, Any] = {"id": f"wamid.in.{number}", "timestamp": _seconds(at), "type": "system", "system": system}
    for name in former:
        if name.startswith("user:"):
            system["previous_user_id"] = report["from_user_id"] = name.removeprefix("user:")
        else:
            report["from"] = name
    for name in names:
        system["user_id" if name.startswith("user:") else "wa_id"] = name.removeprefix("user:")
    return {"messages": [report]}


def stopped(
    campaign: CampaignId, recipient: RecipientId, attempt: int, wamid: str, names: list[Name], at: datetime
) -> dict[str, Any]:
    """A message failed, because the person has stopped marketing messages."""
    status: dict[str, Any] = {
        "id": wamid, "status": "failed", "timestamp": _seconds(at),
        "biz_opaque_callback_data": encode_callback(SECRET, "default", campaign, recipient, attempt),
        "errors": [{"code": 131050, "title": "User has stopped marketing messages"}],
    }  # fmt: skip
    for name in names:
        status["recipient_user_id" if name.startswith("user:") else "recipient_id"] = name.removeprefix("user:")
    return {"statuses": [status]}


def _contact(names: list[Name]) -> dict[str, str]:
    return {"user_id" if name.startswith("user:") else "wa_id": name.removeprefix("user:") for name in names}


def _seconds(at: datetime) -> str:
    return str(int(at.timestamp()))
