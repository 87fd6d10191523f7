"""The phone numbers that need no interpretation: they are valid as they stand, and have no other reading.

Most numbers of a list are so. This module accepts them from the number plans alone, about fifty times faster than
`phone_numbers.py` reads a text. It decides nothing of its own: it leaves every text that might have another reading,
and a test compares both ways.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import phonenumbers
from phonenumbers.phonemetadata import PhoneMetadata, PhoneNumberDesc

_WRITTEN = re.compile(r"(\+|00|0)?([1-9][0-9]*(?: [1-9][0-9]*)*)")
"""A sign or a trunk prefix, and groups with one space between them of which none begins with 0."""
_CHARACTERS_MAX = 40
_DIGITS_MIN, _DIGITS_MAX = 7, 15
_CODE_DIGITS_MAX = 3
"""Digits of the longest country code."""
_NO_COUNTRY = "001"
"""The region of numbers of no country, in libphonenumber."""
_REGIONS = {str(code): names for code, names in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items()}
_KINDS = (
    "mobile", "fixed_line", "toll_free", "premium_rate", "shared_cost", "personal_number", "voip", "pager", "uan",
    "voicemail",
)  # fmt: skip
_PERSONAL_KINDS = 2


@dataclass(frozen=True, slots=True)
class _Region:
    """The numbers of a region, without the country code."""

    name: str
    leading: re.Pattern[str] | None
    """Numbers that begin so are of this region. None: its kinds decide."""
    lines: re.Pattern[str]
    """Mobile and landline numbers."""
    kinds: re.Pattern[str]
    """Every kind of number."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """The regions of a country code, in the order in which libphonenumber tries them."""

    regions: Sequence[_Region]
    lengths: frozenset[int]
    stripped: re.Pattern[str] | None
    """What libphonenumber takes off the start of a national number."""
    trunk: str | None
    """The trunk prefix, if it is all that is ever taken off."""
    exit: re.Pattern[str] | None
    """What is dialled before the code of another country."""


def plain_number(written: object, country: str | None) -> tuple[str, str] | None:
    """The digits of a number with a country code, and the ISO code of its region.

    None if this module does not decide the text.
    """
    if not isinstance(written, str) or len(written) > _CHARACTERS_MAX:
        return None
    if written[:1] == "+" and (digits := written[1:]).isdecimal() and digits.isascii() and digits[0] != "0":
        region = plain_region(digits)
        return None if region is None else (digits, region)
    found = _WRITTEN.fullmatch(written)
    if found is None:
        return None
    sign, digits = found[1], found[2].replace(" ", "")
    if sign not in ("+", "00"):
        if country is not None:
            return _national(sign or "", digits, country)
        if sign is not None:
            return None
    region = plain_region(digits)
    return None if region is None else (digits, region)


def plain_region(digits: str) -> str | None:
    """The ISO code of the region of a valid number whose digits need no interpretation; None for any other."""
    if not _DIGITS_MIN <= len(digits) <= _DIGITS_MAX:
        return None
    found = _plan_at(digits[:_CODE_DIGITS_MAX])
    return None if found is None else _region_of(found[0], found[1], digits[len(found[1]) :])


@cache
def _plan_at(start: str) -> tuple[_Plan, str] | None:
    """The plan of the country code with which digits start, and that code. There are a thousand starts."""
    for length in range(1, _CODE_DIGITS_MAX + 1):
        plan = _plan(start[:length])
        if plan is not None:
            return plan, start[:length]
    return None


def _region_of(plan: _Plan, code: str, national: str) -> str | None:
    if len(national) not in plan.lengths or national[0] == "0":
        return None
    if plan.stripped is not None and (found := plan.stripped.match(national)) and found.end():
        return None
    if national.startswith(code) and _matching(plan, national[len(code) :]) is not None:
        return None  # the country code may be there twice
    main = plan.regions[0]
    if main.leading is None and main.lines.fullmatch(national):
        return main.name  # its kinds match too, and it is the first that is tried
    region = _matching(plan, national)
    return region.name if region is not None and region.lines.fullmatch(national) else None


def _matching(plan: _Plan, national: str) -> _Region | None:
    """The region that libphonenumber gives to a number, whether it is valid there or not."""
    for region in plan.regions:
        if region.leading.match(national) if region.leading else region.kinds.fullmatch(national):
            return region
    return None


def _national(trunk: str, digits: str, country: str) -> tuple[str, str] | None:
    """The number of a country that is written as people write it there, and the country."""
    code = _code(country)
    plan = _plan(code)
    if plan is None or plan.regions[0].name != country:
        return None
    if (trunk and trunk != plan.trunk) or (not trunk and digits.startswith(code)):
        return None
    if plan.exit is not None and plan.exit.match(trunk + digits):
        return None
    whole = code + digits
    if not _DIGITS_MIN <= len(whole) <= _DIGITS_MAX or _region_of(plan, code, digits) != country:
        return None
    return whole, country


@cache
def _code(country: str) -> str:
    return str(phonenumbers.country_code_for_region(country))


@cache
def _plan(code: str) -> _Plan | None:
    names = _REGIONS.get(code, ())
    found = [PhoneMetadata.metadata_for_region(name) for name in names if name != _NO_COUNTRY]
    regions = [each for each in found if each is not None]
    if not regions:
        return None
    main = regions[0]
    parsing = main.national_prefix_for_parsing
    is_simple = parsing == main.national_prefix and main.national_prefix_transform_rule is None
    general = _general(main)
    return _Plan(
        tuple(_region(each) for each in regions),
        frozenset(general.possible_length) - frozenset(general.possible_length_local_only),
        re.compile(parsing) if parsing else None,
        main.national_prefix if is_simple else None,
        re.compile(main.international_prefix) if main.international_prefix else None,
    )


def _region(metadata: PhoneMetadata) -> _Region:
    general = _general(metadata).national_number_pattern or "(?!)"
    described = [getattr(metadata, name) for name in _KINDS]
    return _Region(
        metadata.id,
        re.compile(metadata.leading_digits) if metadata.leading_digits else None,
        _any(described[:_PERSONAL_KINDS], general),
        _any(described, general),
    )


def _general(metadata: PhoneMetadata) -> PhoneNumberDesc:
    assert metadata.general_desc is not None, "every region has one"
    return metadata.general_desc


def _any(described: Sequence[PhoneNumberDesc | None], general: str) -> re.Pattern[str]:
    patterns = [each.national_number_pattern for each in described if each and each.national_number_pattern]
    either = "|".join(f"(?:{pattern})" for pattern in patterns) or "(?!)"
    return re.compile(f"(?=(?:{general})$)(?:{either})")
