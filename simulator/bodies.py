"""The bodies that Meta sends: answers to sends, and webhooks with statuses, by API version. Pure."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from hashlib import blake2b, sha256
from typing import Any

import orjson

from simulator.cloud_errors import error_of
from simulator.config import SimulatorConfig
from simulator.ledger import Entry, SentStatus
from simulator.wamids import user_id_of

ERRORS_PAGE = "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/"
CONVERSATION_S = 86400
VERSION_WITHOUT_CONVERSATION = 24
TRANSIENT_CODE = 2


def accepted_body(entry: Entry, with_wamid: bool) -> bytes:
    """The answer to an accepted send."""
    send = entry.send
    contact = {"input": send.to, "wa_id": send.number} if send.to else {"input": send.user_id, "user_id": send.user_id}
    message: dict[str, Any] = {"id": entry.wamid} if with_wamid else {}
    if entry.message_status is not None:
        message["message_status"] = entry.message_status
    return orjson.dumps({"messaging_product": "whatsapp", "contacts": [contact], "messages": [message]})


def error_body(
    code: int,
    trace_id: str,
    message: str | None = None,
    details: str | None = None,
    subcode: int | None = None,
    kind: str = "OAuthException",
) -> bytes:
    """An error answer."""
    known = error_of(code)
    error: dict[str, Any] = {"message": message or f"(#{code}) {known.title}", "type": kind, "code": code}
    details = details or (known.details if message is None else "")
    if details:
        error["error_data"] = {"messaging_product": "whatsapp", "details": details}
    if subcode is not None:
        error["error_subcode"] = subcode
    if code == TRANSIENT_CODE:
        error["is_transient"] = True
    error["fbtrace_id"] = trace_id
    return orjson.dumps({"error": error})


def webhook_body(config: SimulatorConfig, batch: Sequence[SentStatus], in_entries: bool = False) -> bytes:
    """One webhook body with these statuses, grouped by number; `in_entries`: each half in a separate entry."""
    halves = [batch[: len(batch) // 2], batch[len(batch) // 2 :]] if in_entries and len(batch) > 1 else [batch]
    entries = [{"id": config.waba_id, "changes": changes_of(config, half)} for half in halves]
    return orjson.dumps({"object": "whatsapp_business_account", "entry": entries})


def changes_of(config: SimulatorConfig, batch: Sequence[SentStatus]) -> list[dict[str, Any]]:
    """One change for each of our numbers."""
    by_number: dict[str, list[SentStatus]] = {}
    for sent in batch:
        by_number.setdefault(sent.entry.phone_number_id, []).append(sent)
    return [{"value": value_of(config, number_id, part), "field": "messages"} for number_id, part in by_number.items()]


def value_of(config: SimulatorConfig, phone_number_id: str, batch: Sequence[SentStatus]) -> dict[str, Any]:
    """Metadata, contacts (never for failed statuses) and statuses of one number."""
    value: dict[str, Any] = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": config.display_phone_number, "phone_number_id": phone_number_id},
    }
    if config.statuses.contacts:
        numbers = {sent.entry.send.number for sent in batch if sent.status != "failed" and sent.entry.send.number}
        if numbers:
            value["contacts"] = [contact_of(config, number) for number in sorted(numbers)]
    value["statuses"] = [status_of(config, sent) for sent in batch]
    return value


def contact_of(config: SimulatorConfig, number: str) -> dict[str, Any]:
    """The contact of a status."""
    contact: dict[str, Any] = {"profile": {"name": f"Person {number[-4:]}"}, "wa_id": number}
    if config.statuses.user_ids:
        contact["user_id"] = user_id_of(number)
    return contact


def status_of(config: SimulatorConfig, sent: SentStatus) -> dict[str, Any]:
    """One status object."""
    entry, send = sent.entry, sent.entry.send
    status: dict[str, Any] = {"id": entry.wamid, "status": sent.status, "timestamp": str(sent.timestamp)}
    if send.number:
        status["recipient_id"] = send.number
    if config.statuses.user_ids:
        status["recipient_user_id"] = send.user_id or user_id_of(send.number)
    if sent.with_callback and send.callback is not None:
        status["biz_opaque_callback_data"] = send.callback
    if sent.code is not None:
        status["errors"] = [error_object(sent.code)]
        return status
    category = category_of(config, entry)
    if major(config.statuses.version or entry.path_version) < VERSION_WITHOUT_CONVERSATION:
        status["conversation"] = conversation_of(sent, category)
    if sent.status == "sent" or carries_second_pricing(sent):
        kind = "regular" if send.type == "template" else "free_customer_service"
        status["pricing"] = {"billable": kind == "regular", "pricing_model": "PMP", "category": category, "type": kind}
    return status


def carries_second_pricing(sent: SentStatus) -> bool:
    """The pricing of a status. It comes with `sent`, and with the earlier one of delivered and read."""
    return next((one for one in sent.entry.statuses if one.status in ("delivered", "read")), None) is sent


def category_of(config: SimulatorConfig, entry: Entry) -> str:
    """The pricing category of the message."""
    if entry.send.type != "template":
        return "service"
    return "marketing_lite" if entry.endpoint == "marketing_messages" else config.statuses.category


def conversation_of(sent: SentStatus, category: str) -> dict[str, Any]:
    """The conversation object of versions before v24.0: one for each message; it expires only on `sent`."""
    wamid = sent.entry.wamid or ""
    conversation: dict[str, Any] = {"id": blake2b(wamid.encode(), digest_size=16).hexdigest()}
    if sent.status == "sent":
        conversation["expiration_timestamp"] = str(sent.timestamp + CONVERSATION_S)
    conversation["origin"] = {"type": category.replace("-", "_")}
    return conversation


def error_object(code: int) -> dict[str, Any]:
    """An element of the errors of a failed status."""
    known = error_of(code)
    details = known.details or known.title
    return {
        "code": code,
        "title": known.title,
        "message": known.title,
        "error_data": {"details": details},
        "href": ERRORS_PAGE,
    }


def major(version: str) -> int:
    """24 for v24.0. An unreadable version counts as the newest."""
    digits = version.lstrip("v").partition(".")[0]
    return int(digits) if digits.isdigit() else 99


def signature_of(app_secret: bytes, body: bytes) -> str:
    """The value of X-Hub-Signature-256 over the raw bytes."""
    return "sha256=" + hmac.new(app_secret, body, sha256).hexdigest()
