"""Builds the bodies that Meta sends: answers to sends, and webhooks with statuses, by API version. Pure."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import orjson

from simulator.checks.refusals import GraphRefusal
from simulator.cloud_errors import error_of
from simulator.config import SimulatorConfig
from simulator.ledger import LedgerEntry, SentStatus
from simulator.wamids import user_id_of

ERRORS_PAGE = "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/"
CONVERSATION_S = 86400
"""The duration of a conversation: its expiration is so long after the status `sent`."""
VERSION_WITHOUT_CONVERSATION = 24
"""From this major version on, statuses have no conversation."""
TRANSIENT_CODE = 2
"""The only code whose answer has `is_transient`."""


def accepted_body(entry: LedgerEntry, with_wamid: bool) -> bytes:
    """The answer to an accepted send. `wa_id` can differ from the input (Meta's page "Messages")."""
    send = entry.send
    if send.group is not None:
        contact = {"input": send.group, "wa_id": send.group}
    elif send.to:
        contact = {"input": send.to, "wa_id": entry.wa_id}
    else:
        contact = {"input": send.user_id or "", "user_id": send.user_id or ""}
    message: dict[str, Any] = {"id": entry.wamid} if with_wamid else {}
    if send.group is not None:
        message["group_id"] = send.group
    if entry.message_status is not None:
        message["message_status"] = entry.message_status
    return orjson.dumps({"messaging_product": "whatsapp", "contacts": [contact], "messages": [message]})


def error_body(refusal: GraphRefusal, trace_id: str) -> bytes:
    """An error answer (Meta's page "Error codes")."""
    code = refusal.code
    known = error_of(code)
    error: dict[str, Any] = {
        "message": refusal.message or f"(#{code}) {known.title}",
        "type": refusal.kind,
        "code": code,
    }
    details = refusal.details or (known.details if refusal.message is None else "")
    if details:
        error["error_data"] = {"messaging_product": "whatsapp", "details": details}
    if refusal.subcode is not None:
        error["error_subcode"] = refusal.subcode
    if code == TRANSIENT_CODE:
        error["is_transient"] = True
    error["fbtrace_id"] = trace_id
    return orjson.dumps({"error": error})


def webhook_body(config: SimulatorConfig, batch: Sequence[SentStatus], in_entries: bool = False) -> bytes:
    """One webhook body with these statuses, grouped by number. With `in_entries`, each half has a separate entry."""
    halves = [batch[: len(batch) // 2], batch[len(batch) // 2 :]] if in_entries and len(batch) > 1 else [batch]
    entries = [{"id": config.waba_id, "changes": _changes_of(config, half)} for half in halves]
    return orjson.dumps({"object": "whatsapp_business_account", "entry": entries})


def _changes_of(config: SimulatorConfig, batch: Sequence[SentStatus]) -> list[dict[str, Any]]:
    """One change for each sending number."""
    by_number: dict[str, list[SentStatus]] = {}
    for sent in batch:
        by_number.setdefault(sent.entry.phone_number_id, []).append(sent)
    return [{"value": _value_of(config, number_id, part), "field": "messages"} for number_id, part in by_number.items()]


def metadata_of(config: SimulatorConfig, phone_number_id: str) -> dict[str, Any]:
    """What each webhook of the field `messages` says first: the product and the business's number."""
    return {
        "messaging_product": "whatsapp",
        "metadata": {
            "display_phone_number": config.display_of(phone_number_id),
            "phone_number_id": phone_number_id,
        },
    }


def _value_of(config: SimulatorConfig, phone_number_id: str, batch: Sequence[SentStatus]) -> dict[str, Any]:
    """The value of a change: metadata, contacts and statuses of one number."""
    value = metadata_of(config, phone_number_id)
    if config.statuses.contacts:
        contacts: dict[str, dict[str, Any]] = {}
        for sent in batch:
            contact = _contact_of_status(config, sent)
            key = sent.entry.wa_id or sent.entry.send.user_id or ""
            if contact is not None and len(contact) > len(contacts.get(key, ())):
                contacts[key] = contact
        if contacts:
            value["contacts"] = [contacts[key] for key in sorted(contacts)]
    value["statuses"] = [_status_of(config, sent) for sent in batch]
    return value


def _contact_of_status(config: SimulatorConfig, sent: SentStatus) -> dict[str, Any] | None:
    """The contact of the recipient of a status, or None. A failed status shows no name and no user id."""
    entry = sent.entry
    if sent.status != "failed":
        return contact_of(config, entry.wa_id, entry.send.user_id)
    if not config.statuses.contacts_of_failed:
        return None
    if entry.send.group is not None:
        return {"wa_id": entry.wa_id, "user_id": user_id_of(entry.wa_id)}
    return {"wa_id": entry.wa_id} if entry.wa_id else {"user_id": entry.send.user_id}


def contact_of(config: SimulatorConfig, wa_id: str, user_id: str | None = None) -> dict[str, Any]:
    """The contact with this WhatsApp id, or with this user id if the number is not shown."""
    name = wa_id or user_id or ""
    contact: dict[str, Any] = {"profile": {"name": f"Person {name[-4:]}"}}
    if wa_id:
        contact["wa_id"] = wa_id
    if config.statuses.user_ids or not wa_id:
        contact["user_id"] = user_id or user_id_of(wa_id)
    return contact


def _status_of(config: SimulatorConfig, sent: SentStatus) -> dict[str, Any]:
    """One status object."""
    entry, send, settings = sent.entry, sent.entry.send, config.statuses
    status: dict[str, Any] = {"id": entry.wamid, "status": sent.status, "timestamp": str(sent.timestamp)}
    if send.group is not None:
        status |= {
            "recipient_id": send.group,
            "recipient_type": "group",
            "recipient_participant_id": entry.wa_id,
            "recipient_participant_user_id": user_id_of(entry.wa_id),
        }
    elif entry.wa_id:
        status["recipient_id"] = entry.wa_id
    if settings.user_ids and send.group is None:
        status["recipient_user_id"] = send.user_id or user_id_of(entry.wa_id)
    if sent.with_callback and send.callback is not None:
        status["biz_opaque_callback_data"] = send.callback
    if sent.code is not None:
        status["errors"] = [error_object(sent.code)]
        return status
    category = "marketing_lite" if entry.endpoint == "marketing_messages" else entry.category
    if _major_version(settings.version or entry.path_version) < VERSION_WITHOUT_CONVERSATION:
        status["conversation"] = _conversation_of(sent, category)
    if sent.status == "sent" or _is_first_delivered_or_read(sent):
        kind = "regular" if send.type == "template" else "free_customer_service"
        status["pricing"] = {"billable": kind == "regular", "pricing_model": "PMP", "category": category, "type": kind}
    return status


def _is_first_delivered_or_read(sent: SentStatus) -> bool:
    """Whether it is the first `delivered` or `read` of its message. That one has a pricing, as `sent` has."""
    for one in sent.entry.statuses:
        if one.status in ("delivered", "read"):
            return one is sent
    return False


def _conversation_of(sent: SentStatus, category: str) -> dict[str, Any]:
    """The conversation object of versions before v24.0. Each message has one. Only on `sent` it has an expiration."""
    wamid = sent.entry.wamid or ""
    conversation: dict[str, Any] = {"id": blake2b(wamid.encode(), digest_size=16).hexdigest()}
    if sent.status == "sent":
        conversation["expiration_timestamp"] = str(sent.timestamp + CONVERSATION_S)
    conversation["origin"] = {"type": category.replace("-", "_")}
    return conversation


def error_object(code: int) -> dict[str, Any]:
    """An element of `errors` in a failed status."""
    known = error_of(code)
    details = known.details or known.title
    return {
        "code": code,
        "title": known.title,
        "message": known.title,
        "error_data": {"details": details},
        "href": ERRORS_PAGE,
    }


@lru_cache(maxsize=16)
def _major_version(version: str) -> int:
    """The number 24 for v24.0. An unreadable version counts as the newest."""
    digits = version.lstrip("v").partition(".")[0]
    return int(digits) if digits.isdigit() else 99


def signature_of(app_secret: bytes, body: bytes) -> str:
    """The value of the header X-Hub-Signature-256 for these bytes."""
    return "sha256=" + hmac.digest(app_secret, body, "sha256").hex()
