"""People: one canonical key for each human, whichever spelling of the phone number a list, an answer or a webhook has.

A key is a phone number in digits, or `user:` and a user id (BSUID) for a person whose phone number is not known. The
two forms cannot be confused, because a phone number has digits only.

Some countries write one phone line in several ways. ALIASES turns each of them into one key. The key is not dialled:
the number as it was given is dialled. `person_of` in tables/sql/schema.sql is the same table in SQL, and a test
compares both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NewType

PersonKey = NewType("PersonKey", str)

USER = "user:"
"""What the key of a person begins with who is known by a user id alone."""

_START_DIGITS = 2
"""So many digits of each pattern are literal, after the `^`."""
_USER_ID = re.compile(r"[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]{1,128}", re.ASCII)
"""A business-scoped user id: a country, a dot, letters and digits. A parent id has `ENT.` (Meta, user ids)."""

_PHONE_NUMBER = re.compile(r"[1-9][0-9]{6,14}", re.ASCII)
"""The form of a `wa_id`: an international number in digits."""

ARGENTINE_AREA = (
    "11|2(?:2(?:02?|[13]|2[13-79]|4[1-6]|5[2457]|6[124-8]|7[1-4]|8[13-6]|9[1267])|3(?:02?|1[467]|2[03-6]|3[13-8]"
    "|[49][2-6]|5[2-8]|[67])|4(?:7[3-578]|9)|6(?:[0136]|2[24-6]|4[6-8]?|5[15-8])|80|9(?:0[1-3]|[19]|2[0-9]|3[1-6]"
    "|4[02568]?|5[2-4]|6[2-46]|72?|8[23]?))|3(?:3(?:2[79]|6|8[2578])|4(?:0[0-24-9]|[12]|3[5-8]?|4[24-7]|5[4-68]?"
    "|6[02-9]|7[126]|8[2379]?|9[1-36-8])|5(?:1|2[1245]|3[237]?|4[1-46-9]|6[2-4]|7[1-6]|8[2-5]?)|6[24]|7(?:[069]"
    "|1[1568]|2[15]|3[145]|4[13]|5[14-8]|7[2-57]|8[126])|8(?:[01]|2[15-7]|3[2578]?|4[13-6]|5[4-8]?|6[1-357-9]"
    "|7[36-8]?|8[5-8]?|9[124]))"
)
"""The area codes of Argentina: the prefix rule of libphonenumber's metadata of AR, version 9.0."""


@dataclass(frozen=True, slots=True)
class Alias:
    """One spelling of the numbers of a country: the numbers that match `pattern` have the key `key`.

    Pattern and key are written so that Python and PostgreSQL read them alike: in the key `\\1` is the first group, and
    a digit after it is a digit of the key.
    """

    country: str
    source: str
    """What changed, when, and the source."""
    pattern: str
    key: str
    _matcher: re.Pattern[str] = field(init=False, repr=False, compare=False)
    _template: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compile the pattern, and write the key as Python's template."""
        object.__setattr__(self, "_matcher", re.compile(self.pattern))
        object.__setattr__(self, "_template", re.sub(r"\\([1-9])", r"\\g<\1>", self.key))

    @property
    def start(self) -> str:
        """The digits that every number of this spelling begins with."""
        return self.pattern[1 : 1 + _START_DIGITS]

    def apply(self, digits: str) -> str | None:
        """The key of a number, or None if it is not this spelling."""
        found = self._matcher.fullmatch(digits)
        return None if found is None else found.expand(self._template)


def _each(country: str, source: str, *rules: tuple[str, str]) -> tuple[Alias, ...]:
    return tuple(Alias(country, source, pattern, key) for pattern, key in rules)


ALIASES: tuple[Alias, ...] = (
    *_each(
        "EG",
        "6 October 2011: mobile numbers got a digit after the 1, by operator (NTRA). The numbers of eleven digits that"
        " began with 015 changed too, but 015 is in use again, so they are not here.",
        (r"^201([012])([0-9]{7})$", r"201\1\1\2"),
        (r"^2014([0-9]{7})$", r"20114\1"),
        (r"^201([69])([0-9]{7})$", r"2010\1\2"),
        (r"^201([78])([0-9]{7})$", r"2012\1\2"),
    ),
    *_each(
        "CI",
        "31 January 2021: 01, 05 or 07 before mobile numbers (ARTCI), by the operator that their second digit names"
        " (French Wikipedia, list of prefixes).",
        (r"^225([04-9][0-3][0-9]{6})$", r"22501\1"),
        (r"^225([04-9][4-6][0-9]{6})$", r"22505\1"),
        (r"^225([04-9][7-9][0-9]{6})$", r"22507\1"),
    ),
    *_each("BJ", "30 November 2024: 01 before every number (ARCEP Benin).", (r"^229([2-9][0-9]{7})$", r"22901\1")),
    *_each(
        "MU", "1 September 2013: 5 before mobile numbers (ICTA, by TeleGeography).", (r"^230([79][0-9]{6})$", r"2305\1")
    ),
    *_each(
        "CM",
        "21 November 2014: 6 before mobile numbers (TRA, by Bamenda Online).",
        (r"^237([5-9][0-9]{7})$", r"2376\1"),
    ),
    *_each(
        "GA",
        "15 November 2019: 6 or 7 before mobile numbers, and no 0 after 241 (ARCEP Gabon).",
        (r"^2410?([256])([0-9]{6})$", r"2416\1\2"),
        (r"^2410?([47])([0-9]{6})$", r"2417\1\2"),
        (r"^2410([67][0-9]{7})$", r"241\1"),
    ),
    *_each("SM", "0549 before landlines may be left out (libphonenumber).", (r"^378([89][0-9]{5})$", r"3780549\1")),
    *_each(
        "MX",
        "August 2019: the 1 of mobile numbers was abolished. WhatsApp still reports it in wa_id (its help page on"
        " international numbers; issues of Chatwoot).",
        (r"^521([0-9]{10})$", r"52\1"),
    ),
    *_each(
        "AR",
        "The 9 before the area code and the 15 after it mark a mobile line; the ten other digits name it"
        " (libphonenumber). WhatsApp wants the 9 (its help page on international numbers).",
        (r"^549([0-9]{10})$", r"54\1"),
        (rf"^54(?=9?[123][0-9]{{11}}$)9?({ARGENTINE_AREA})15([0-9]+)$", r"54\1\2"),
    ),
    *_each(
        "BR",
        "2012 to 2016: 9 before mobile numbers (Anatel); WhatsApp reports accounts from before without it. Landlines"
        " begin with 2 to 5 and stay as they are (libphonenumber; WAHA has the same rule).",
        (r"^55([1-9][1-9])([016-9][0-9]{7})$", r"55\19\2"),
    ),
    *_each(
        "CO", "1 September 2021: 60 before the area code of landlines (CRC).", (r"^57([124-8])([0-9]{7})$", r"5760\1\2")
    ),
    *_each(
        "EC",
        "2012: 9 before mobile numbers (no document was found; libphonenumber has the new form only).",
        (r"^593([89][0-9]{7})$", r"5939\1"),
    ),
    *_each(
        "PF", "23 June 2014: 87 before mobile numbers (OPT, by Tahiti Infos).", (r"^689([237][0-9]{5})$", r"68987\1")
    ),
    *_each(
        "VN",
        "15 September to 14 November 2018: mobile numbers of eleven digits became ten, by prefix (the table of the"
        " package phone11to10).",
        (r"^8416([2-9])([0-9]{7})$", r"843\1\2"),
        (r"^84120([0-9]{7})$", r"8470\1"),
        (r"^84121([0-9]{7})$", r"8479\1"),
        (r"^84122([0-9]{7})$", r"8477\1"),
        (r"^8412([68])([0-9]{7})$", r"847\1\2"),
        (r"^8412([345])([0-9]{7})$", r"848\1\2"),
        (r"^84127([0-9]{7})$", r"8481\1"),
        (r"^84129([0-9]{7})$", r"8482\1"),
        (r"^8418([68])([0-9]{7})$", r"845\1\2"),
        (r"^84199([0-9]{7})$", r"8459\1"),
    ),
    *_each(
        "PS",
        "Palestinian mobile numbers (56, 59) are reached through 970 and through 972 (no document was found).",
        (r"^972(5[69][0-9]{7})$", r"970\1"),
    ),
    *_each(
        "QA",
        "2010: the first digit was doubled (no document was found; libphonenumber has the new form only).",
        (r"^974([3-7])([0-9]{6})$", r"974\1\1\2"),
    ),
    *_each("GE", "20 June 2011: 5 before mobile numbers (GNCC, by Wikipedia).", (r"^995([5-9][0-9]{7})$", r"9955\1")),
)
"""Every spelling that is not the key itself. At most one row matches a number, and no row matches a key."""


_BY_START: dict[str, tuple[Alias, ...]] = {
    start: tuple(alias for alias in ALIASES if alias.start == start) for start in {alias.start for alias in ALIASES}
}


def person_of(digits: str) -> PersonKey:
    """The key of the person with this phone number in digits (E.164 without +). Every other text is its own key."""
    for alias in _BY_START.get(digits[:_START_DIGITS], ()):
        key = alias.apply(digits)
        if key is not None:
            return PersonKey(key)
    return PersonKey(digits)


def person_of_user(user_id: str) -> PersonKey | None:
    """The key of a person known by this user id alone; None if it does not have the form of a user id."""
    bare = user_id.removeprefix(USER)
    return PersonKey(USER + bare) if _USER_ID.fullmatch(bare) else None


def keys_named(number: object, user_ids: Iterable[object]) -> tuple[PersonKey, ...]:
    """The keys of one person, from the names in an answer or a webhook. A value that is no name is left out.

    The key of the phone number is the first. Some senders write + before the number, or a user id in its place.
    """
    named: list[PersonKey | None] = []
    if isinstance(number, str):
        digits = number.removeprefix("+")
        named.append(person_of(digits) if _PHONE_NUMBER.fullmatch(digits) else person_of_user(number))
    named += [person_of_user(each) for each in user_ids if isinstance(each, str)]
    return tuple(dict.fromkeys(key for key in named if key is not None))
