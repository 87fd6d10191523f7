"""Phone numbers as the Cloud API takes them: E.164 digits without the plus. Others are refused with a reason code.

`written_numbers` reads the text. This module decides which number the digits are. It must be possible (country code and
length); it need not be assigned, because Meta checks that. Three rules keep a number from becoming a stranger's:

- A number with + or 00 keeps all its digits. It is dialled as it was given, also in an old spelling (people.py).
- A number without them is a national number of the country that the campaign or the request names.
- Without a country it must begin with a country code and be valid, not only possible.

The rules of the countries are those of libphonenumber.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType

import phonenumbers
from phonenumbers import ValidationResult
from schemas.reasons import RecipientRefusal

from domain.people import PersonKey, person_of, person_of_user
from domain.phone_plans import calling_code, fits, parsed, rank, stands, stands_or_stood, trunk_prefix, written_out
from domain.plain_numbers import plain_number, plain_region
from domain.written_numbers import InvalidPhoneNumber, Written, clean, read

PhoneNumber = NewType("PhoneNumber", str)

COUNTRIES: frozenset[str] = frozenset(phonenumbers.SUPPORTED_REGIONS)
"""The ISO codes of the countries whose national numbers can be read."""
UNKNOWN_COUNTRY = "ZZ"

_DIGITS_MIN, _DIGITS_MAX = 7, 15
"""Digits of a number that can be stored; 15 is the limit of E.164."""
_AREA_DIGITS_MAX = 5
"""Digits of the longest area code. After more digits a slash or a spaced hyphen begins another number."""
_SHORT_TAIL_DIGITS = 3
"""Digits that are an extension, if only a hyphen divides them from a number that is complete without them."""
_SPACED_TAIL_DIGITS = 5

_REASONS = {
    ValidationResult.INVALID_COUNTRY_CODE: RecipientRefusal.UNKNOWN_COUNTRY_CODE,
    ValidationResult.TOO_SHORT: RecipientRefusal.TOO_SHORT,
    ValidationResult.TOO_LONG: RecipientRefusal.TOO_LONG,
    ValidationResult.INVALID_LENGTH: RecipientRefusal.WRONG_LENGTH,
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: RecipientRefusal.COUNTRY_CODE_MISSING,
}


@dataclass(frozen=True, slots=True)
class NamedPerson:
    """The person of a text. `doubt`: the reason for which a campaign would refuse the text."""

    person: PersonKey
    doubt: RecipientRefusal | None = None


def normalise(written: object, country: str | None = None) -> PhoneNumber:
    """The digits of a number, as they are dialled. `country` is the ISO code for numbers without + and 00.

    Raises InvalidPhoneNumber.
    """
    plain = plain_number(written, country)
    return interpret(written, country) if plain is None else PhoneNumber(plain[0])


def interpret(written: object, country: str | None = None) -> PhoneNumber:
    """The same by all rules, however plain the number is."""
    found = read(written)
    is_national = country is not None and not found.is_international
    region = country if is_national else None
    try:
        number = _national(found, country) if country is not None and is_national else _complete(found)
    except InvalidPhoneNumber as refused:
        if refused.reason is RecipientRefusal.TOO_LONG and _has_two(found, region):
            raise InvalidPhoneNumber(RecipientRefusal.SEVERAL_NUMBERS) from None
        _refuse_second(found, region)
        raise
    is_valid = stands_or_stood(number, must_be_valid=True)
    _refuse_second(found, region, is_whole_valid=is_valid)
    _refuse_prefix(number, is_valid=is_valid)
    return number


def person_named(text: str, country: str | None = None) -> NamedPerson:
    """The person of a phone number or user id. An odd number is a person too: an opt-out is never refused for that.

    Raises InvalidPhoneNumber for a text that names nobody or several people.
    """
    user = person_of_user(clean(text))
    if user is not None:
        return NamedPerson(user)
    try:
        return NamedPerson(person_of(normalise(text, country)))
    except InvalidPhoneNumber as refused:
        if refused.main:
            return NamedPerson(person_named(refused.main, country).person, refused.reason)
        if refused.reason is RecipientRefusal.SEVERAL_NUMBERS:
            raise
        return NamedPerson(person_of(_nearest(read(text), country)), refused.reason)  # read refuses what is no number


def country_of(number: PhoneNumber) -> str:
    """The ISO code of a number's country; `001` for a number of no country."""
    person = person_of(number)
    if plain := plain_region(person):
        return plain
    found = parsed(person)
    if found is None or found.country_code is None:
        return UNKNOWN_COUNTRY
    region = phonenumbers.region_code_for_number(found)
    return region or phonenumbers.region_code_for_country_code(found.country_code)


def country_of_name(name: str) -> str:
    """The ISO code of the country of a number, or of a user id, which begins with it."""
    return name.partition(".")[0] if "." in name else country_of(PhoneNumber(name))


def clock_country(name: str) -> str:
    """The country whose clocks decide when a number or a user id may get a message; empty for none."""
    country = country_of_name(name)
    return country if country in COUNTRIES else ""


# ------------------------------------------------------------------------------------------------- with a country code


def _complete(found: Written) -> PhoneNumber:
    """The number whose digits begin with a country code."""
    if found.is_national:
        raise InvalidPhoneNumber(RecipientRefusal.COUNTRY_CODE_MISSING)
    digits = _with_trunk(found) if found.has_trunk else found.digits
    if not _DIGITS_MIN <= len(digits) <= _DIGITS_MAX:
        raise _wrong_length(digits)
    must_be_valid = not found.is_international or found.has_sign_last
    if not found.is_international and any("/" in between for _, between in found.bounds):
        raise InvalidPhoneNumber(RecipientRefusal.COUNTRY_CODE_MISSING)  # only national numbers are written so
    if stands_or_stood(digits, must_be_valid=must_be_valid):
        return PhoneNumber(digits)
    raise InvalidPhoneNumber(_reason(digits, must_be_valid=must_be_valid))


def _wrong_length(digits: str) -> InvalidPhoneNumber:
    is_long = len(digits) > _DIGITS_MAX
    return InvalidPhoneNumber(RecipientRefusal.TOO_LONG if is_long else RecipientRefusal.TOO_SHORT)


def _reason(digits: str, *, must_be_valid: bool) -> RecipientRefusal:
    number = parsed(digits)
    if number is None:
        return RecipientRefusal.UNKNOWN_COUNTRY_CODE
    found = phonenumbers.is_possible_number_with_reason(number)
    if found != ValidationResult.IS_POSSIBLE:
        return _REASONS[found]
    return RecipientRefusal.COUNTRY_CODE_MISSING if must_be_valid else RecipientRefusal.TRUNK_PREFIX


def _with_trunk(found: Written) -> str:
    """The digits of a number with (0). A trunk prefix is left out; a 0 that belongs to the number (Italy) stays.

    In Italy some digits are a landline with the 0 and a mobile number without it. Nobody knows which one was meant.
    """
    place = len(calling_code(found.digits))
    with_zero = f"{found.digits[:place]}0{found.digits[place:]}"
    if stands(with_zero, must_be_valid=True):
        if stands(found.digits, must_be_valid=True):
            raise InvalidPhoneNumber(RecipientRefusal.TRUNK_PREFIX)
        return with_zero
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(found.digits[:place] or 0), ())
    if not any(trunk_prefix(each) == "0" for each in regions):
        raise InvalidPhoneNumber(RecipientRefusal.TRUNK_PREFIX)
    return found.digits


# ---------------------------------------------------------------------------------------------- without a country code


def _national(found: Written, country: str) -> PhoneNumber:
    """The number of a country that is written as people write it there, with or without the trunk prefix.

    Digits may have the country's own code without a plus. They are read so if they are a valid number then, and not
    a better one without it. Digits that are valid only with another country's code are refused.
    """
    number = parsed(found.digits, country)
    code = str(phonenumbers.country_code_for_region(country))
    is_possible = number is not None and fits(number)
    old = f"{code}{found.digits}"
    if not is_possible and person_of(old) != old and stands(person_of(old), must_be_valid=False):
        return PhoneNumber(old)
    complete = None if found.is_national else parsed(found.digits)
    if number is not None and complete is not None and stands(found.digits, must_be_valid=True):
        if str(complete.country_code) == code:
            if rank(complete) > rank(number):
                return PhoneNumber(found.digits)
        elif not phonenumbers.is_valid_number(number):
            raise InvalidPhoneNumber(RecipientRefusal.COUNTRY_CODE_MISSING)
    if number is not None and is_possible and _keeps_digits(number, found.digits, country):
        whole = written_out(number)
        exit_digits = len(found.digits) - len(whole) if not whole.startswith(code) else 0
        if any(0 < place < exit_digits for place, _ in found.bounds):
            raise InvalidPhoneNumber(RecipientRefusal.TRUNK_PREFIX)  # `0 01512`: two trunk prefixes are no exit code
        if not _DIGITS_MIN <= len(whole) <= _DIGITS_MAX:
            raise _wrong_length(whole)
        if not stands(whole, must_be_valid=False):
            raise InvalidPhoneNumber(RecipientRefusal.NOT_A_PHONE_NUMBER)
        dropped = found.digits.removesuffix(phonenumbers.national_significant_number(number))
        if dropped not in ("", found.digits, trunk_prefix(country), code) and not stands(whole, must_be_valid=True):
            raise InvalidPhoneNumber(RecipientRefusal.TRUNK_PREFIX)  # the code of a carrier, or digits of the number
        is_doubtful = found.digits.startswith(code) and whole == f"{code}{found.digits}"
        if is_doubtful and not stands_or_stood(whole, must_be_valid=True):
            raise InvalidPhoneNumber(RecipientRefusal.COUNTRY_CODE_MISSING)  # cut, or with a digit too many
        return PhoneNumber(whole)
    if number is None:
        raise _wrong_length(found.digits)
    reason = phonenumbers.is_possible_number_with_reason(number)
    raise InvalidPhoneNumber(_REASONS.get(reason, RecipientRefusal.NOT_A_PHONE_NUMBER))


def _keeps_digits(number: phonenumbers.PhoneNumber, digits: str, country: str) -> bool:
    """Whether only a prefix was dropped or added: trunk, exit or country code, or the one area code of an island.

    In Argentina the 15 after the area code becomes the 9 before it: both mark a mobile line.
    """
    national = phonenumbers.national_significant_number(number)
    return digits.endswith(national) or national.endswith(digits) or country == "AR"


# ---------------------------------------------------------------------------------------------------- a second number


def _refuse_second(found: Written, region: str | None, *, is_whole_valid: bool = True) -> None:
    """Refuse a number that is followed by a second one or by an extension.

    A few digits after a valid number are an extension, if the number is not valid with them.
    """
    for place, between in found.bounds:
        head, tail = found.digits[:place], len(found.digits) - place
        spaced = between.strip() != between and between != " "
        if ("/" in between or spaced) and _national_digits(head, region) > _AREA_DIGITS_MAX:
            if _is_possible(head, region):
                is_extension = "/" not in between and tail <= _SPACED_TAIL_DIGITS
                reason = RecipientRefusal.EXTENSION if is_extension else RecipientRefusal.SEVERAL_NUMBERS
                raise InvalidPhoneNumber(reason, _main(found, head) if is_extension else "")
        elif _is_tail(between, tail, is_whole_valid=is_whole_valid) and _is_valid(head, region):
            raise InvalidPhoneNumber(RecipientRefusal.EXTENSION, _main(found, head))
        elif _is_second_national(head, found.digits[place:], region):
            raise InvalidPhoneNumber(RecipientRefusal.SEVERAL_NUMBERS)


def _is_tail(between: str, digits: int, *, is_whole_valid: bool) -> bool:
    return (between == "-" and digits <= _SHORT_TAIL_DIGITS) or (not is_whole_valid and digits <= _SPACED_TAIL_DIGITS)


def _is_second_national(head: str, rest: str, region: str | None) -> bool:
    """Whether a complete number is followed by a trunk 0 and a complete national number of the same country."""
    if not rest.startswith("0") or not _is_valid(head, region):
        return False
    first = parsed(head, region)
    return first is not None and _is_valid(rest, phonenumbers.region_code_for_number(first))


def _refuse_prefix(number: str, *, is_valid: bool) -> None:
    """Refuse a number that has a trunk prefix or its country code once more after the country code.

    Without that prefix it is valid, and with it, it is not, or it is only another kind of line.
    """
    code = calling_code(number)
    rest = number[len(code) :]
    bare = rest.lstrip("0")
    for zeros in range(len(rest) - len(bare), 0, -1):  # in Italy one 0 belongs to the number
        if not is_valid and stands(f"{code}{rest[zeros:]}", must_be_valid=True):
            raise InvalidPhoneNumber(RecipientRefusal.TRUNK_PREFIX, f"+{code}{rest[zeros:]}")
    once = parsed(bare) if bare.startswith(code) else None
    whole = parsed(number)
    if once is not None and whole is not None and stands(bare, must_be_valid=True) and rank(once) > rank(whole):
        raise InvalidPhoneNumber(RecipientRefusal.COUNTRY_CODE_TWICE, f"+{bare}")


def _has_two(found: Written, region: str | None) -> bool:
    return any(
        _is_possible(found.digits[:place], region) and _is_possible(found.digits[place:], region)
        for place, _ in found.bounds
    )


def _main(found: Written, head: str) -> str:
    return f"+{head}" if found.is_international else head


def _national_digits(digits: str, region: str | None) -> int:
    return len(digits.lstrip("0")) if region else len(digits) - len(calling_code(digits))


def _is_possible(digits: str, region: str | None) -> bool:
    number = parsed(digits, region)
    return number is not None and fits(number)


def _is_valid(digits: str, region: str | None) -> bool:
    number = parsed(digits, region)
    return number is not None and phonenumbers.is_valid_number(number)


def _nearest(found: Written, country: str | None) -> str:
    """The digits of the number that an odd one is nearest to: without trunk prefixes, with the country's code."""
    if found.is_international:
        number = parsed(found.digits)
        return found.digits if number is None else written_out(number)
    if country is None:
        return found.digits
    complete = f"{phonenumbers.country_code_for_region(country)}{found.digits.lstrip('0')}"
    return complete if stands_or_stood(complete, must_be_valid=True) else found.digits
