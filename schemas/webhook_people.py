"""Reads what a webhook says about a person: one incoming message, or one preference.

Nothing here raises for an odd shape. A message without any effect needs no readable part, so a missing part is None,
and `domain.inbound` decides whether it was needed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from schemas.lenient_json import clean_text
from schemas.reasons import ItemOutcome
from schemas.webhook_statuses import (
    ID_CHARS_MAX,
    WAMID_LENGTH_MAX,
    WORD_CHARS_MAX,
    MalformedItem,
    read_identifier,
    read_text,
    read_time,
)

CLICK = "marketing_messages_link_click"
"""The action of a click on a link of a marketing message (Meta, "Track click events", 30 June 2026)."""
SYSTEM = "system"
"""The type of a message from WhatsApp about a person."""
TEXT_CHARS_MAX = 1000
"""Most characters that are kept of a message. A word that opts out is shorter."""


@dataclass(frozen=True, slots=True)
class PersonNames:
    """The names of the person in one item, each as it came: a phone number, and user ids."""

    number: str | None = field(default=None, repr=False)
    user_ids: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class MessageItem:
    """One message from a person, or from WhatsApp about a person."""

    type: str
    names: PersonNames
    occurred_at: datetime | None
    phone_number_id: str | None = None
    reply_to: str | None = field(default=None, repr=False)
    """The wamid of our message that the person answered."""
    texts: tuple[str, ...] = field(default=(), repr=False)
    """The whole text, or the payload and the text of the button."""
    former: PersonNames | None = None
    """The names that the person has left, where WhatsApp reports new ones: those are then in `names`."""


@dataclass(frozen=True, slots=True)
class PreferenceItem:
    """One entry of `user_preferences`."""

    names: PersonNames
    category: str
    value: str
    occurred_at: datetime | None
    phone_number_id: str | None = None


def read_message(message: dict[str, Any], value: dict[str, Any]) -> MessageItem:
    """Read one element of `messages`; `value` is the object around it."""
    named = (message.get("from"), message.get("from_user_id"), message.get("from_parent_user_id"))
    context = _object(message.get("context"))
    kind = (read_text(message.get("type"), WORD_CHARS_MAX) or "").strip().lower()
    names, former = _names(named, value, "messages"), None
    if kind == SYSTEM and isinstance(message.get("system"), dict):
        names, former = _changed_names(message["system"], names)
    return MessageItem(
        type=kind,
        names=names,
        former=former,
        occurred_at=_time(message.get("timestamp")),
        phone_number_id=_phone_number_id(value),
        reply_to=_wamid(context.get("id")),
        texts=tuple(_texts(message)),
    )


def read_user_id_update(update: dict[str, Any], value: dict[str, Any]) -> MessageItem:
    """Read one element of `user_id_update`, the form in which some providers report a new user id."""
    users, parents = _object(update.get("user_id")), _object(update.get("parent_user_id"))
    current, previous = ([each.get(name) for each in (users, parents)] for name in ("current", "previous"))
    return MessageItem(
        type=SYSTEM,
        names=_person(None, *current),
        former=_person(update.get("wa_id"), *previous),
        occurred_at=_time(update.get("timestamp")),
        phone_number_id=_phone_number_id(value),
    )


def read_preference(preference: dict[str, Any], value: dict[str, Any]) -> PreferenceItem:
    """Read one element of `user_preferences`; `value` is the object around it. Its time is a number."""
    named = (preference.get("wa_id"), preference.get("user_id"), preference.get("parent_user_id"))
    return PreferenceItem(
        names=_names(named, value, "user_preferences"),
        category=(read_text(preference.get("category"), WORD_CHARS_MAX) or "").strip().lower(),
        value=(read_text(preference.get("value"), WORD_CHARS_MAX) or "").strip().lower(),
        occurred_at=_time(preference.get("timestamp")),
        phone_number_id=_phone_number_id(value),
    )


def action_outcome(action: Any) -> str:
    """The outcome of one element of `user_actions`."""
    is_click = isinstance(action, dict) and action.get("action_type") == CLICK
    return ItemOutcome.CLICK.value if is_click else ItemOutcome.USER_ACTION.value


def _texts(message: dict[str, Any]) -> list[str]:
    """The texts by which a person may opt out: of a message, of a template's button, or of a reply to a menu."""
    text, button, interactive = (_object(message.get(name)) for name in ("text", "button", "interactive"))
    found = [text.get("body"), button.get("payload"), button.get("text")]
    for name in ("button_reply", "list_reply"):
        reply = _object(interactive.get(name))
        found += [reply.get("id"), reply.get("title")]
    return [clean_text(each, TEXT_CHARS_MAX) for each in found if isinstance(each, str) and each]


def _changed_names(system: dict[str, Any], sender: PersonNames) -> tuple[PersonNames, PersonNames | None]:
    """The new names in a system message, and those that the person has left: Meta's page "System messages" (2026).

    It has no contacts. Its sender is the person by the old names, or by those that did not change. Without a previous
    name it reports something else.
    """
    new = _person(system.get("wa_id") or system.get("new_wa_id"), system.get("user_id"), system.get("parent_user_id"))
    previous = (system.get("previous_user_id"), system.get("previous_parent_user_id"))
    old = _person(sender.number, *previous, *sender.user_ids)
    kept = {new.number, *new.user_ids}
    number = old.number if old.number not in kept else None
    users = tuple(each for each in old.user_ids if each not in kept)
    if not (new.number or new.user_ids) or not (number or users):
        return sender, None
    return new, PersonNames(number, users)


def _person(number: Any, *user_ids: Any) -> PersonNames:
    """The names among these values."""
    users = [read_identifier(each, ID_CHARS_MAX) for each in user_ids]
    return PersonNames(read_identifier(number, ID_CHARS_MAX), tuple(dict.fromkeys(each for each in users if each)))


def _names(named: tuple[Any, Any, Any], value: dict[str, Any], part: str) -> PersonNames:
    """The names of an item, and those of its contact. Contacts are matched by a name, because items are batched."""
    number, *users = (read_identifier(each, ID_CHARS_MAX) for each in named)
    listed, siblings = value.get("contacts"), value.get(part)
    contacts = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    own = {number, *users} - {None}
    is_alone = len(contacts) == 1 and isinstance(siblings, list) and len(siblings) == 1
    for contact in contacts:
        wa_id, *more = (
            read_identifier(contact.get(name), ID_CHARS_MAX) for name in ("wa_id", "user_id", "parent_user_id")
        )
        if own & {wa_id, *more} or (not own and is_alone):
            number = number or wa_id
            users += more
            break
    return PersonNames(number, tuple(dict.fromkeys(each for each in users if each)))


def _wamid(value: Any) -> str | None:
    is_usable = isinstance(value, str) and 0 < len(value) <= WAMID_LENGTH_MAX and value.isprintable()
    return str(value) if is_usable else None


def _phone_number_id(value: dict[str, Any]) -> str | None:
    return read_identifier(_object(value.get("metadata")).get("phone_number_id"), WORD_CHARS_MAX)


def _time(value: Any) -> datetime | None:
    try:
        return read_time(value)
    except MalformedItem:
        return None


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
