"""Checks the content of messages that are neither templates nor interactive.

Source: Meta's page "Messages" of the Cloud API reference, and the page of each kind ("Text messages", "Image messages",
...). Lengths are characters.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from urllib.parse import urlsplit

from simulator.checks.refusals import (
    list_at,
    missing,
    object_at,
    one_of,
    only_keys,
    optional_text_at,
    param,
    text_at,
    value_invalid,
)

TEXT_MAX = 4096
CAPTION_MAX = 1024
CONTACTS_MAX = 257
MediaIds = Collection[str]
"""The ids of the media that the account has."""
MEDIA_KEYS: Mapping[str, frozenset[str]] = {
    "audio": frozenset({"id", "link", "voice"}),
    "document": frozenset({"id", "link", "caption", "filename"}),
    "image": frozenset({"id", "link", "caption"}),
    "sticker": frozenset({"id", "link"}),
    "video": frozenset({"id", "link", "caption"}),
}
COORDINATES = (("latitude", 90.0), ("longitude", 180.0))
"""Both coordinates, and the highest absolute value of each."""


def check_media(kind: str, content: object, known: MediaIds, path: str | None = None) -> None:
    """Raises Refused unless the media object has the id of an uploaded medium or a link, and only keys of its kind."""
    path = path or kind
    media = object_at(path, content)
    only_keys(path, media, MEDIA_KEYS[kind])
    identity, link = media.get("id"), media.get("link")
    if identity is None and link is None:
        raise missing(f"Parameter {path} must have an id or a link")
    if identity is not None and link is not None:
        raise param(path, "must have either an id or a link, not both.")
    if identity is not None and str(identity) not in known:
        raise param(f"{path}['id']", "is not a valid whatsapp business account media attachment ID.")
    if link is not None and not is_url(link):
        raise param(f"{path}['link']", "is not a valid URI.")
    for name in ("caption", "filename"):
        optional_text_at(f"{path}['{name}']", media.get(name), CAPTION_MAX)


def is_url(value: object) -> bool:
    """Whether a value is an absolute URL of the web."""
    if not isinstance(value, str) or any(character.isspace() for character in value):
        return False
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def _check_text(content: object, _known: MediaIds) -> None:
    """A text: its body, and whether a link in it gets a preview."""
    text = object_at("text", content)
    only_keys("text", text, ("body", "preview_url"))
    text_at("text['body']", text.get("body"), TEXT_MAX)
    if not isinstance(text.get("preview_url", False), bool):
        raise param("text['preview_url']", "must be a boolean.")


def _check_location(content: object, _known: MediaIds) -> None:
    """A place with both coordinates."""
    location = object_at("location", content)
    only_keys("location", location, ("latitude", "longitude", "name", "address"))
    for name, most in COORDINATES:
        value = location.get(name)
        if value is None:
            raise missing(f"Parameter location['{name}'] is missing")
        if not isinstance(value, (int, float, str)) or isinstance(value, bool):
            raise param(f"location['{name}']", "must be a number.")
        try:
            is_inside = abs(float(value)) <= most
        except ValueError:
            is_inside = False
        if not is_inside:
            raise value_invalid(f"location['{name}'] must be a number from -{most:.0f} to {most:.0f}")
    for name in ("name", "address"):
        optional_text_at(f"location['{name}']", location.get(name))


def _check_contacts(content: object, _known: MediaIds) -> None:
    """One contact or several, each with a name."""
    contacts = list_at("contacts", content)
    if not 1 <= len(contacts) <= CONTACTS_MAX:
        raise value_invalid(f"contacts must have from 1 to {CONTACTS_MAX} elements")
    for index, one in enumerate(contacts):
        contact = object_at(f"contacts[{index}]", one)
        name = object_at(f"contacts[{index}]['name']", contact.get("name"))
        text_at(f"contacts[{index}]['name']['formatted_name']", name.get("formatted_name"))
        for key in ("addresses", "emails", "phones", "urls"):
            if contact.get(key) is not None:
                list_at(f"contacts[{index}]['{key}']", contact[key])


def _check_reaction(content: object, _known: MediaIds) -> None:
    """A reaction to a message. An empty emoji removes the reaction."""
    reaction = object_at("reaction", content)
    only_keys("reaction", reaction, ("message_id", "emoji"))
    text_at("reaction['message_id']", reaction.get("message_id"))
    if not isinstance(reaction.get("emoji"), str):
        raise missing("Parameter reaction['emoji'] is missing")


def _check_pin(content: object, _known: MediaIds) -> None:
    """A message of a group that is pinned for some days, or not pinned any more."""
    pin = object_at("pin", content)
    only_keys("pin", pin, ("type", "message_id", "expiration_days"))
    if pin.get("type") not in ("pin", "unpin"):
        raise one_of("pin['type']", ("pin", "unpin"), pin.get("type"))
    text_at("pin['message_id']", pin.get("message_id"))
    if pin["type"] == "pin" and pin.get("expiration_days") not in range(1, 31):
        raise param("pin['expiration_days']", "must be a number from 1 to 30.")


def _media_check(kind: str) -> Callable[[object, MediaIds], None]:
    """The check of one kind of media message."""
    return lambda content, known: check_media(kind, content, known)


CONTENT_CHECKS: Mapping[str, Callable[[object, MediaIds], None]] = {
    "contacts": _check_contacts,
    "location": _check_location,
    "pin": _check_pin,
    "reaction": _check_reaction,
    "text": _check_text,
    **{kind: _media_check(kind) for kind in MEDIA_KEYS},
}
"""The check of each type of message. Each raises Refused."""
