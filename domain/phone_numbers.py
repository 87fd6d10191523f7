"""Phone numbers as the Cloud API takes them: E.164 digits without the plus. Others are refused with a reason code.

A number must be possible (country code and length). It need not be assigned; Meta checks that.
"""

from __future__ import annotations

import re
from typing import NewType

import phonenumbers
from phonenumbers import PhoneNumberFormat, ValidationResult
from schemas.reasons import RecipientRefusal

PhoneNumber = NewType("PhoneNumber", str)

INPUT_CHARACTERS_MAX = 40
_WRITTEN = re.compile(r"(?:\+|00)?[0-9][0-9 ().\-/]*", re.ASCII)
"""Digits with the usual separators. Letters are refused: "vanity" numbers are treated as typing errors."""
_STORED = re.compile(r"[1-9][0-9]{6,14}", re.ASCII)
_SEPARATORS = re.compile(r"[^0-9]", re.ASCII)

_REASONS = {
    ValidationResult.INVALID_COUNTRY_CODE: RecipientRefusal.UNKNOWN_COUNTRY_CODE.value,
    ValidationResult.TOO_SHORT: RecipientRefusal.TOO_SHORT.value,
    ValidationResult.TOO_LONG: RecipientRefusal.TOO_LONG.value,
    ValidationResult.INVALID_LENGTH: RecipientRefusal.WRONG_LENGTH.value,
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: RecipientRefusal.COUNTRY_CODE_MISSING.value,
}


class InvalidPhoneNumber(ValueError):
    """The text is not a number that can be dialled; `reason` is a code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def normalise(written: object) -> PhoneNumber:
    """The digits of an international number, written with or without plus, 00 and separators.

    Raises InvalidPhoneNumber.
    """
    text = _text(written)
    if not _WRITTEN.fullmatch(text):
        raise InvalidPhoneNumber(RecipientRefusal.NOT_A_PHONE_NUMBER.value if text else RecipientRefusal.EMPTY.value)
    digits = _SEPARATORS.sub("", text)
    if text.startswith("00"):
        digits = digits[2:]
    try:
        number = phonenumbers.parse(f"+{digits}", None)
    except phonenumbers.NumberParseException as error:
        unknown = error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE
        raise InvalidPhoneNumber(
            RecipientRefusal.UNKNOWN_COUNTRY_CODE.value if unknown else RecipientRefusal.NOT_A_PHONE_NUMBER.value
        ) from None
    found = phonenumbers.is_possible_number_with_reason(number)
    if found != ValidationResult.IS_POSSIBLE:
        raise InvalidPhoneNumber(_REASONS.get(found, RecipientRefusal.NOT_A_PHONE_NUMBER.value))
    normal = phonenumbers.format_number(number, PhoneNumberFormat.E164).removeprefix("+")
    if not _STORED.fullmatch(normal):
        raise InvalidPhoneNumber(RecipientRefusal.WRONG_LENGTH.value)
    return PhoneNumber(normal)


def _text(written: object) -> str:
    if isinstance(written, int) and not isinstance(written, bool):
        return str(written) if 0 < written < 10**INPUT_CHARACTERS_MAX else "-"
    if not isinstance(written, str):
        raise InvalidPhoneNumber(RecipientRefusal.NOT_A_STRING.value)
    text = written.strip()
    if len(text) > INPUT_CHARACTERS_MAX:
        raise InvalidPhoneNumber(RecipientRefusal.TOO_LONG.value)
    return text
