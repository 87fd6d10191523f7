"""Reads what a person types to find a recipient: a whole number, its beginning, a user id, or the id of the recipient.

A search by the beginning of a text becomes a range, which an index answers. A number has digits only, so the range is
the same in every collation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from uuid import UUID

import phonenumbers

from domain.people import USER, PersonKey
from domain.phone_numbers import person_named
from domain.written_numbers import InvalidPhoneNumber, clean

_DIGITS_MAX = 15
_NUMBER = re.compile(r"[+0-9 ()./-]+", re.ASCII)
_USER_START = re.compile(r"[A-Z]{2}\.[A-Za-z0-9.]{0,132}", re.ASCII)
"""The beginning of a user id: its country, the dot, and any part of the rest."""


@dataclass(frozen=True, slots=True)
class TextRange:
    """The texts that begin with `start`: from it, and before `end`. Without an end, every later text begins so."""

    start: str
    end: str | None


@dataclass(frozen=True, slots=True)
class RecipientSearch:
    """What to search for. A person who is found by the whole number or user id goes before those that begin with it."""

    recipient_id: UUID | None = None
    person: PersonKey | None = None
    numbers: TextRange | None = None
    user_ids: TextRange | None = None


def read_search(text: str, country: str | None = None) -> RecipientSearch:
    """The search that a text means; `country` reads a number with a leading 0.

    Raises InvalidPhoneNumber if the text is no part of a number and no id.
    """
    bare = clean(text).removeprefix(USER)
    try:
        return RecipientSearch(recipient_id=UUID(bare))
    except ValueError:
        pass
    if _USER_START.fullmatch(bare):
        return RecipientSearch(person=PersonKey(USER + bare), user_ids=TextRange(bare, following(bare)))
    digits = _international(bare, country) if _NUMBER.fullmatch(bare) else ""
    numbers = TextRange(digits, following(digits)) if 0 < len(digits) <= _DIGITS_MAX else None
    try:
        return RecipientSearch(person=person_named(bare, country).person, numbers=numbers)
    except InvalidPhoneNumber:
        if numbers is None:
            raise
        return RecipientSearch(numbers=numbers)


def following(start: str) -> str | None:
    """The first text after all texts that begin with `start`, by the order of their characters; None if none is."""
    kept = start.rstrip("9") if start.isdecimal() else start
    return kept[:-1] + chr(ord(kept[-1]) + 1) if kept else None


def _international(written: str, country: str | None) -> str:
    """The digits of the beginning of a number, with the country code as far as it is known."""
    digits = re.sub(r"[^0-9]", "", written)
    if written.startswith("+"):
        return digits
    if digits.startswith("00"):
        return digits[2:]
    if digits.startswith("0") and country is not None:
        return f"{phonenumbers.country_code_for_region(country)}{digits[1:]}"
    return digits
