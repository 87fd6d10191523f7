"""The country by which a recipient is counted: the beginning of the number, or of the user id. Pure.

A counter of each campaign has its recipients by these prefixes (dimension `prefix`), so that a plan knows the countries
of 10 million recipients without reading one. `prefix_of` in schema.sql is the same function, and a test compares both.

Source: ITU E.164 country codes; the area codes of the North American plan outside the United States and Canada are
those of libphonenumber.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import phonenumbers

from domain.people import USER

UNKNOWN = "unknown"
"""The prefix of a recipient whose number or user id shows no country."""
_TABLE = """
1242 BS 1246 BB 1264 AI 1268 AG 1284 VG 1340 VI 1345 KY 1441 BM 1473 GD 1649 TC 1658 JM 1664 MS 1670 MP 1671 GU 1684 AS
1721 SX 1758 LC 1767 DM 1784 VC 1787 PR 1809 DO 1829 DO 1849 DO 1868 TT 1869 KN 1876 JM 1939 PR
"""
ISLANDS: Mapping[str, str] = MappingProxyType(dict(zip(_TABLE.split()[::2], _TABLE.split()[1::2], strict=True)))
"""Area codes of countries that share the code 1 with the United States and Canada."""
KAZAKHSTAN = ("76", "77")
TWO_DIGITS = frozenset(str(code) for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE if 10 <= code < 100)
_DIGITS_MIN = 4


def prefix_of(person: str) -> str:
    """The prefix by which a person is counted."""
    if person.startswith(USER):
        country = person.removeprefix(USER)
        is_country = country[2:3] == "." and country[:2].isascii() and country[:2].isalpha() and country[:2].isupper()
        return country[:2] if is_country else UNKNOWN
    head = person[:_DIGITS_MIN]
    if len(head) < _DIGITS_MIN or not head.isascii() or not head.isdecimal() or head[0] == "0":
        return UNKNOWN
    if head[0] == "1":
        return head if head in ISLANDS else "1"
    if head[0] == "7":
        return head[:2] if head[:2] in KAZAKHSTAN else "7"
    return head[:2] if head[:2] in TWO_DIGITS else head[:3]


def country_of_prefix(prefix: str) -> str:
    """The ISO code of the country of a prefix; of a code that several countries share, the largest one. Else `unknown`.

    The code 1 stands for the United States and Canada, which Meta prices alike.
    """
    if prefix in ISLANDS:
        return ISLANDS[prefix]
    if prefix in KAZAKHSTAN:
        return "KZ"
    if not prefix.isdecimal():
        return prefix
    region = phonenumbers.region_code_for_country_code(int(prefix))
    return region if len(region) == 2 and region.isalpha() and region != "ZZ" else UNKNOWN
