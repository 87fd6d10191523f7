"""Checks what all messages share: the recipient, the type, the context and the callback data.

Source: Meta's page "Messages" of the Cloud API reference, its page "Business-scoped user IDs" for `recipient`, and its
page "Marketing Messages API" for the second endpoint.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from simulator.checks.contents import CONTENT_CHECKS, MediaIds
from simulator.checks.interactive import check_interactive
from simulator.checks.refusals import (
    missing,
    object_at,
    one_of,
    only_keys,
    param,
    required,
    text_at,
    value_invalid,
)
from simulator.checks.templates import check_template
from simulator.sends import digits_of

CALLBACK_CHARACTERS_MAX = 512
NUMBER = re.compile(r"[1-9][0-9]{6,14}")
USER_ID = re.compile(r"[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}")
"""A business-scoped user id: a country of ISO 3166, a full stop, and up to 128 letters and digits. That of a parent
business has ENT in it."""
RECIPIENT_TYPES = ("individual", "group")
PRODUCT_POLICIES = ("CLOUD_API_FALLBACK", "STRICT")
CHECKS: Mapping[str, Callable[[object, MediaIds], None]] = {
    **CONTENT_CHECKS,
    "interactive": check_interactive,
    "template": check_template,
}
"""The check of the content of each type of message."""


def is_mark_as_read(body: Mapping[str, object]) -> bool:
    """Whether the request marks a received message as read. Such a request is no send."""
    return "status" in body and "type" not in body


def check_mark_as_read(body: Mapping[str, object]) -> None:
    """Raises Refused for an invalid request that marks a message as read, with a typing indicator or without."""
    check_product(body)
    if body["status"] != "read":
        raise one_of("status", ("read",), body["status"])
    text_at("message_id", body.get("message_id"))
    if (indicator := body.get("typing_indicator")) is not None:
        kind = object_at("typing_indicator", indicator).get("type")
        if kind != "text":
            raise one_of("typing_indicator['type']", ("text",), kind)


def check_message(body: Mapping[str, object], endpoint: str, known_media: MediaIds) -> None:
    """Raises Refused for a send that the API refuses, whatever the templates of the account are."""
    check_product(body)
    _check_recipient(body)
    kind = body.get("type", "text")
    if endpoint == "marketing_messages":
        _check_marketing(body, kind)
    if not isinstance(kind, str) or kind not in CHECKS:
        raise one_of("type", CHECKS, kind)
    _check_callback(body.get("biz_opaque_callback_data"))
    if (context := body.get("context")) is not None:
        text_at("context['message_id']", object_at("context", context).get("message_id"))
    if (key_hash := body.get("recipient_identity_key_hash")) is not None:
        text_at("recipient_identity_key_hash", key_hash)
    content = body.get(kind)
    if content is None:
        raise missing(f"Parameter of type {kind} is missing")
    CHECKS[kind](content, known_media)


def check_product(body: Mapping[str, object]) -> None:
    """Raises Refused if the request is not for WhatsApp."""
    product = body.get("messaging_product")
    if product is None:
        raise required("messaging_product")
    if product != "whatsapp":
        raise one_of("messaging_product", ("whatsapp",), product)


def _check_recipient(body: Mapping[str, object]) -> None:
    """Raises Refused unless the message has a recipient: a number or a group in `to`, or a user id in `recipient`."""
    to, user_id, kind = body.get("to"), body.get("recipient"), body.get("recipient_type", "individual")
    if kind not in RECIPIENT_TYPES:
        raise one_of("recipient_type", RECIPIENT_TYPES, kind)
    if to is not None and not isinstance(to, str):
        raise param("to", "must be a string.")
    if user_id is not None and not (isinstance(user_id, str) and USER_ID.fullmatch(user_id)):
        raise value_invalid("Recipient is not a valid business-scoped user ID")
    if not to and user_id is None:
        raise required("to")
    if to and kind == "individual" and not NUMBER.fullmatch(digits_of(to)):
        raise value_invalid("Recipient is not a valid phone number")


def _check_callback(callback: object) -> None:
    """Raises Refused for callback data that is no text or too long."""
    if callback is None:
        return
    if not isinstance(callback, str) or len(callback) > CALLBACK_CHARACTERS_MAX:
        raise value_invalid(
            f"biz_opaque_callback_data must be a string of at most {CALLBACK_CHARACTERS_MAX} characters"
        )


def _check_marketing(body: Mapping[str, object], kind: object) -> None:
    """Raises Refused for a message that the endpoint `marketing_messages` does not take."""
    if kind != "template":
        raise param("type", "must be a template.")
    policy = body.get("product_policy")
    if policy is not None and policy not in PRODUCT_POLICIES:
        raise one_of("product_policy", PRODUCT_POLICIES, policy)
    sharing = body.get("message_activity_sharing")
    if sharing is not None and not isinstance(sharing, bool):
        raise param("message_activity_sharing", "must be a boolean.")
    only_keys("template", object_at("template", body.get("template")), ("name", "language", "components", "namespace"))
