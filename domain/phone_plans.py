"""The numbering plans of the countries, as libphonenumber has them: parsing, lengths, validity, prefixes. Pure."""

from __future__ import annotations

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType, ValidationResult
from phonenumbers.phonemetadata import PhoneMetadata

from domain.people import person_of


def parsed(digits: str, region: str | None = None) -> phonenumbers.PhoneNumber | None:
    """The number of these digits, which begin with a country code if there is no region; None if they do not."""
    try:
        return phonenumbers.parse(digits if region else f"+{digits}", region)
    except phonenumbers.NumberParseException:
        return None


def fits(number: phonenumbers.PhoneNumber) -> bool:
    """Whether the number has a length that its country uses, with its area code."""
    return phonenumbers.is_possible_number_with_reason(number) == ValidationResult.IS_POSSIBLE


def written_out(number: phonenumbers.PhoneNumber) -> str:
    """The digits of a number with its country code."""
    return phonenumbers.format_number(number, PhoneNumberFormat.E164).removeprefix("+")


def calling_code(digits: str) -> str:
    """The country code that the digits begin with; empty if no country has one."""
    for length in (1, 2, 3):
        if digits[:length].isdecimal() and int(digits[:length]) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            return digits[:length]
    return ""


def stands(digits: str, *, must_be_valid: bool) -> bool:
    """Whether a country uses these digits as they are: libphonenumber drops and adds none, and finds them possible."""
    number = parsed(digits)
    if number is None or written_out(number) != digits or not fits(number):
        return False
    return not must_be_valid or phonenumbers.is_valid_number(number)


def stands_or_stood(digits: str, *, must_be_valid: bool) -> bool:
    """Whether the digits are a number, or an old spelling of one."""
    return any(stands(spelling, must_be_valid=must_be_valid) for spelling in (digits, person_of(digits)))


def rank(number: phonenumbers.PhoneNumber) -> int:
    """How probable a reading is: a mobile number, another valid one, or neither."""
    if phonenumbers.number_type(number) in (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE):
        return 2
    return 1 if phonenumbers.is_valid_number(number) else 0


def trunk_prefix(region: str) -> str | None:
    """The digits before a national number in its own country; None where there are none."""
    metadata = PhoneMetadata.metadata_for_region(region)
    return None if metadata is None else metadata.national_prefix
