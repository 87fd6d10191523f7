"""Message templates as Meta describes them: what a person reads, and which parameters it needs. Pure.

`read_template` takes a row of `GET /{account}/message_templates`. It takes words that are new to it: Meta's lists of
categories, statuses and components grow. What it does not know is not judged.

Source: Meta's pages "Templates", "Template components" and "WhatsApp Business Account: message templates".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

VARIABLE = re.compile(r"\{\{\s*([A-Za-z0-9_]+)\s*\}\}")
APPROVED = "APPROVED"
MARKETING = "MARKETING"
MEDIA_FORMATS = frozenset({"image", "video", "gif", "document", "location", "product"})
"""Formats of a header that need one parameter of the same type."""
TEXT_FORMAT = "text"
CODE_KINDS = frozenset({"copy_code"})
URL_KINDS = frozenset({"url", "otp"})
"""Kinds of buttons whose parameter is a text. A one-time password is sent as a button of the kind url."""


def variables_of(text: str) -> tuple[str, ...]:
    """The different variables of a text: ("1", "2") by their numbers, or ("first_name",) as they follow in the text."""
    found = tuple(dict.fromkeys(VARIABLE.findall(text)))
    return tuple(sorted(found, key=int)) if all(map(str.isdecimal, found)) else found


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a message: a text, or a medium."""

    format: str
    """`text`, or one of MEDIA_FORMATS, or a word of Meta's that is new to us."""
    text: str = ""

    @property
    def is_medium(self) -> bool:
        """Whether each message brings a medium or a place."""
        return self.format in MEDIA_FORMATS


@dataclass(frozen=True, slots=True)
class Button:
    """A button of a message."""

    kind: str
    """Meta's word in small letters: quick_reply, url, phone_number, copy_code, otp, flow, catalog, mpm and more."""
    text: str = ""
    target: str = ""
    """The address with its variable, or the phone number."""

    @property
    def sub_type(self) -> str:
        """The word of a send for this kind of button."""
        return "url" if self.kind in URL_KINDS else self.kind

    @property
    def needs_parameter(self) -> bool:
        """Whether a send without a parameter for this button is refused."""
        return self.kind in CODE_KINDS or self.kind == "otp" or (self.kind == "url" and bool(variables_of(self.target)))

    @property
    def takes_parameter(self) -> bool:
        """Whether a send may have a parameter for this button."""
        return self.needs_parameter or self.kind not in ("url", "phone_number")


@dataclass(frozen=True, slots=True)
class Content:
    """What one message, or one card of a carousel, shows."""

    header: Header | None = None
    body: str | None = None
    footer: str | None = None
    buttons: tuple[Button, ...] = ()


@dataclass(frozen=True, slots=True)
class MessageTemplate:
    """One template in one language."""

    name: str
    language: str
    status: str
    """Meta's word in capital letters, such as APPROVED."""
    category: str
    content: Content
    quality: str = "UNKNOWN"
    """GREEN, YELLOW, RED or UNKNOWN."""
    is_named: bool = False
    """Whether its parameters have names. Otherwise they have numbers."""
    cards: tuple[Content, ...] = ()
    id: str = ""
    rejected_for: str | None = None
    components: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    """The components as Meta describes them."""

    @property
    def is_plain(self) -> bool:
        """Whether the body is the only component, so that it may be longer."""
        return len(self.components) == 1

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables of the body."""
        return variables_of(self.content.body or "")


def read_template(row: object) -> MessageTemplate | None:
    """The template of a row of Meta's list. None for a row without a name and a language."""
    if not isinstance(row, Mapping):
        return None
    name, language = row.get("name"), row.get("language")
    if not isinstance(name, str) or not isinstance(language, str) or not name or not language:
        return None
    components = tuple(dict(each) for each in _objects(row.get("components")))
    score = row.get("quality_score")
    quality = score.get("score") if isinstance(score, Mapping) else score
    rejection = _text(row, "rejected_reason")
    return MessageTemplate(
        name=name,
        language=language,
        status=_text(row, "status").upper() or "UNKNOWN",
        category=_text(row, "category").upper() or "UNKNOWN",
        content=_content(components),
        quality=quality.upper() if isinstance(quality, str) and quality else "UNKNOWN",
        is_named=_text(row, "parameter_format").upper() == "NAMED",
        cards=tuple(
            _content(list(_objects(card.get("components"))))
            for carousel in components
            if _kind(carousel) == "carousel"
            for card in _objects(carousel.get("cards"))
        ),
        id=str(row.get("id") or ""),
        rejected_for=rejection if rejection not in ("", "NONE") else None,
        components=components,
    )


def read_templates(rows: object) -> Iterator[MessageTemplate]:
    """The templates of a list of Meta's. Rows that are none are left out."""
    found = (read_template(row) for row in _objects(rows))
    return (each for each in found if each is not None)


def _content(components: tuple[dict[str, Any], ...] | list[Mapping[str, Any]]) -> Content:
    by_kind: dict[str, Mapping[str, Any]] = {}
    for each in components:
        by_kind.setdefault(_kind(each), each)
    header, body, footer = (by_kind.get(kind) for kind in ("header", "body", "footer"))
    buttons = chain.from_iterable(_objects(each.get("buttons")) for each in components if _kind(each) == "buttons")
    return Content(
        header=None if header is None else _header(header),
        body=None if body is None else _text(body, "text"),
        footer=None if footer is None else _text(footer, "text") or None,
        buttons=tuple(
            Button(_kind(each), _text(each, "text"), _text(each, "url") or _text(each, "phone_number"))
            for each in buttons
        ),
    )


def _header(component: Mapping[str, Any]) -> Header:
    return Header(_text(component, "format").lower() or TEXT_FORMAT, _text(component, "text"))


def _objects(value: object) -> Iterator[Mapping[str, Any]]:
    return (each for each in (value if isinstance(value, list | tuple) else ()) if isinstance(each, Mapping))


def _kind(component: Mapping[str, Any]) -> str:
    return _text(component, "type").lower()


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    return value if isinstance(value, str) else ""
