"""Phone numbers as the Cloud API takes them: E.164 digits without the plus. All else is refused with a reason code.

A number must be possible (country code and length), not known to be assigned: Meta answers for the rest.
"""

from __future__ import annotations

import re
from typing import NewType

import phonenumbers
from phonenumbers import PhoneNumberFormat, ValidationResult

PhoneNumber = NewType("PhoneNumber", str)

INPUT_CHARACTERS_MAX = 40
_WRITTEN = re.compile(r"(?:\+|00)?[0-9][0-9 ().\-/]*", re.ASCII)
"""Digits with the usual separators. Letters are refused: "vanity" numbers are typing errors here."""
_STORED = re.compile(r"[1-9][0-9]{6,14}", re.ASCII)
_SEPARATORS = re.compile(r"[^0-9]", re.ASCII)

_REASONS = {
    ValidationResult.INVALID_COUNTRY_CODE: "unknown_country_code",
    ValidationResult.TOO_SHORT: "too_short",
    ValidationResult.TOO_LONG: "too_long",
    ValidationResult.INVALID_LENGTH: "wrong_length",
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: "country_code_missing",
}


class InvalidPhoneNumber(ValueError):
    """No number that could be dialled; `reason` is a code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def normalise(written: object) -> PhoneNumber:
    """The digits of an international number, however it is written (with or without plus or 00, with separators).

    Raises InvalidPhoneNumber.
    """
    text = _text(written)
    if not _WRITTEN.fullmatch(text):
        raise InvalidPhoneNumber("not_a_phone_number" if text else "empty")
    digits = _SEPARATORS.sub("", text)
    if text.startswith("00"):
        digits = digits[2:]
    try:
        number = phonenumbers.parse(f"+{digits}", None)
    except phonenumbers.NumberParseException as error:
        unknown = error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE
        raise InvalidPhoneNumber("unknown_country_code" if unknown else "not_a_phone_number") from None
    found = phonenumbers.is_possible_number_with_reason(number)
    if found != ValidationResult.IS_POSSIBLE:
        raise InvalidPhoneNumber(_REASONS.get(found, "not_a_phone_number"))
    normal = phonenumbers.format_number(number, PhoneNumberFormat.E164).removeprefix("+")
    if not _STORED.fullmatch(normal):
        raise InvalidPhoneNumber("wrong_length")
    return PhoneNumber(normal)


def _text(written: object) -> str:
    if isinstance(written, int) and not isinstance(written, bool):
        return str(written) if 0 < written < 10**INPUT_CHARACTERS_MAX else "-"
    if not isinstance(written, str):
        raise InvalidPhoneNumber("not_a_string")
    text = written.strip()
    if len(text) > INPUT_CHARACTERS_MAX:
        raise InvalidPhoneNumber("too_long")
    return text
