"""Facts about phone numbers that the API depends on. Numbers are digits only. Pure.

It has its own tables, because the pipeline reads numbers with a library whose mistakes must show here.
"""

from __future__ import annotations

import re

from simulator.config import SimulatorConfig
from simulator.draws import SeededDraws

CANADA = """
    204 226 236 249 250 257 263 289 306 343 354 365 367 368 382 387 403 416 418 428 431 437 438 450 460 468 474 506 514
    519 537 548 568 579 581 584 587 600 604 613 639 647 672 683 705 709 742 753 778 780 782 807 819 825 867 873 879 902
    905 942
"""
ISLANDS = "242 246 264 268 284 340 345 441 473 649 658 664 670 671 684 721 758 767 784 787 809 829 849 868 869 876 939"
"""The Caribbean, Bermuda and the territories of the United States."""
NO_AREA = "500 521 522 533 544 555 566 577 588 700 800 833 844 855 866 877 888 900"
"""Personal and toll-free numbers, and 555, which is for fiction and for WhatsApp's test numbers."""
CANADIAN = frozenset(CANADA.split())
NOT_US = frozenset(f"{CANADA} {ISLANDS} {NO_AREA}".split())
"""Area codes of the calling code 1 that are not those of the United States (North American Numbering Plan)."""
COUNTRY_OF_CODE = {
    "1": "US", "7": "RU", "20": "EG", "27": "ZA", "30": "GR", "31": "NL", "32": "BE", "33": "FR", "34": "ES",
    "36": "HU", "39": "IT", "40": "RO", "41": "CH", "43": "AT", "44": "GB", "45": "DK", "46": "SE", "47": "NO",
    "48": "PL", "49": "DE", "51": "PE", "52": "MX", "54": "AR", "55": "BR", "56": "CL", "57": "CO", "58": "VE",
    "60": "MY", "61": "AU", "62": "ID", "63": "PH", "64": "NZ", "65": "SG", "66": "TH", "81": "JP", "82": "KR",
    "84": "VN", "86": "CN", "90": "TR", "91": "IN", "92": "PK", "94": "LK", "95": "MM", "98": "IR", "212": "MA",
    "213": "DZ", "216": "TN", "220": "GM", "221": "SN", "225": "CI", "233": "GH", "234": "NG", "251": "ET",
    "254": "KE", "255": "TZ", "256": "UG", "260": "ZM", "263": "ZW", "351": "PT", "352": "LU", "353": "IE",
    "354": "IS", "358": "FI", "359": "BG", "370": "LT", "371": "LV", "372": "EE", "380": "UA", "381": "RS",
    "385": "HR", "386": "SI", "420": "CZ", "421": "SK", "502": "GT", "503": "SV", "504": "HN", "505": "NI",
    "506": "CR", "507": "PA", "591": "BO", "593": "EC", "595": "PY", "598": "UY", "852": "HK", "880": "BD",
    "886": "TW", "961": "LB", "962": "JO", "964": "IQ", "965": "KW", "966": "SA", "968": "OM", "971": "AE",
    "972": "IL", "973": "BH", "974": "QA", "977": "NP", "994": "AZ", "995": "GE", "998": "UZ",
}  # fmt: skip
"""Calling codes and countries of ISO 3166. The user id of any other number starts with that of the United States."""
BRAZIL_WITH_NINTH = re.compile(r"55([1-9][0-9])9([6-9][0-9]{7})")
BRAZIL_WITHOUT_NINTH = re.compile(r"55([1-9][0-9])([6-9][0-9]{7})")
MEXICO = re.compile(r"52(1?)([1-9][0-9]{9})")
ARGENTINA = re.compile(r"54(9?)([1-9][0-9]{9})")


def is_of_the_us(number: str) -> bool:
    """Whether a number has the calling code 1 and an area code of the United States."""
    return len(number) == 11 and number[0] == "1" and number[1] in "23456789" and number[1:4] not in NOT_US


def country_of(number: str) -> str:
    """The country in the user id of a number."""
    if number[:1] == "1" and number[1:4] in CANADIAN:
        return "CA"
    for size in (3, 2, 1):
        if (country := COUNTRY_OF_CODE.get(number[:size])) is not None:
            return country
    return "US"


def other_spelling(number: str) -> str | None:
    """The other spelling in which WhatsApp knows a number of Mexico, Brazil or Argentina. None for other numbers.

    Mobile numbers of Mexico had a 1 after the calling code until 2019, those of Brazil had no ninth digit until 2016,
    and those of Argentina are dialled with a 9 from abroad. WhatsApp keeps the spelling of the registration.
    """
    if (found := MEXICO.fullmatch(number)) is not None:
        return f"52{found[2]}" if found[1] else f"521{found[2]}"
    if (found := ARGENTINA.fullmatch(number)) is not None:
        return f"54{found[2]}" if found[1] else f"549{found[2]}"
    if (found := BRAZIL_WITH_NINTH.fullmatch(number)) is not None:
        return f"55{found[1]}{found[2]}"
    if (found := BRAZIL_WITHOUT_NINTH.fullmatch(number)) is not None:
        return f"55{found[1]}9{found[2]}"
    return None


def wa_id_of(config: SimulatorConfig, number: str) -> str:
    """The WhatsApp id of a number that was dialled. A number always has the same one."""
    if number in config.wa_ids:
        return config.wa_ids[number]
    other = other_spelling(number) if config.other_wa_id_share else None
    if other is not None and SeededDraws(config.seed, number, 0).happens("other wa_id", config.other_wa_id_share):
        return other
    return number
