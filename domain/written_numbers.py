"""The grammar of written phone numbers: what people paste from spreadsheets, phones, text programs and messengers.

`read` cleans the text, and takes it apart into one number: a sign for "international" and digits. It drops no digit of
the number. Only these are left out, because they are no digits of it:

- `00` at the start, which means +,
- `(0)` after the country code, which is the trunk prefix (phone_numbers.py knows in which countries),
- a point and zeros at the end of plain digits: a spreadsheet has written a whole number as a decimal.

It also takes the digits out of the links and addresses that phones and messengers make.

A text that holds a second number or an extension, or that a spreadsheet has rounded, is refused with its reason.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from schemas.reasons import RecipientRefusal

from domain.json_values import JsonNumber

INPUT_CHARACTERS_MAX = 200
"""Most characters of a text before it is cleaned. Invisible characters count."""
WRITTEN_CHARACTERS_MAX = 40
"""Most characters of a number after its text was cleaned."""
EXACT_FLOAT_MAX = 2.0**53
"""Up to here a JSON number with a point is exact."""

_COUNTRY_DIGITS_MAX = 3
"""Digits of the longest country code."""
_EXTENSION_DIGITS_MAX = 5
"""Digits of the longest extension."""

_SAME: dict[int, str | int] = {
    **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)},  # full-width forms of ASCII
    **dict.fromkeys(map(ord, "\u2212\u02d7\u2043\u30fc"), "-"),  # they are no dashes in Unicode
    **dict.fromkeys(map(ord, "\u207a\ufe62"), "+"),
    **dict.fromkeys(map(ord, "\u2044\u2215"), "/"),
    **dict.fromkeys(map(ord, "\u00b7\u2022\u2024\u2027\u30fb"), "."),
    **dict.fromkeys(map(ord, "\u2018\u2019\u201b\u2032\u02bc\u00b4`"), "'"),
    **dict.fromkeys(map(ord, "\u201c\u201d\u201e"), '"'),
}
"""Characters that look like one of ASCII, besides the whole categories that `clean` folds."""

INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | {
    chr(code) for code in range(0xFE00, 0xFE10)
}
"""Characters that cannot be seen, of categories that mostly can."""

_SCHEME = re.compile(r"(?:tel(?:;[a-z0-9=,;-]*)?|whatsapp) ?:(?://)? ?", re.IGNORECASE)
"""Of links, vCards and providers: `tel:`, `TEL;TYPE=CELL:`, `whatsapp:`."""
_WHATSAPP = re.compile(
    r"(?:(?:https?://)?(?:wa\.me/|(?:api|web)\.whatsapp\.com/send/?\?phone=)\+?([1-9][0-9]*)/?(?:[?&].*)?"
    r"|([1-9][0-9]*)@(?:s\.whatsapp\.net|c\.us))",
    re.IGNORECASE,
)
"""A link to a chat, or WhatsApp's own address of a person. Their digits begin with a country code."""
_FORMULA = re.compile(r'="?([^"]*)"?')
"""`="0171..."`: an export's way to keep a spreadsheet from reading a number."""
_DECIMAL = re.compile(r"(\+?[0-9]{7,})[.,]([0-9]+)")
_THOUSANDS = re.compile(r"([0-9]{1,3}(?:,[0-9]{3}){2,})(?:\.0+)?|([0-9]{1,3}(?:\.[0-9]{3}){2,}),0+")
"""A number as a spreadsheet groups it."""
_SCIENTIFIC = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)? ?[eE] ?[+-]?[0-9]+")
_EXTENSION = re.compile(
    r"(.*[0-9)])[ .,;/-]*"
    r"(?:ext|extension|extn|x|#|;ext=|poste|durchwahl|dw|ramal|anexo|int|interno|доб)[ .:=]*[0-9]{1,7}",
    re.IGNORECASE,
)
_PAUSE = re.compile(rf"(.*[0-9)]) ?[,;pwPW]+ ?[0-9]{{1,{_EXTENSION_DIGITS_MAX}}}#?")
"""What a phone dials after a pause."""
_COPY = re.compile(rf"(.*[0-9)]) ?\([0-9]{{1,{_EXTENSION_DIGITS_MAX}}}\)")
_BETWEEN = re.compile(r"[0-9)] ?(?:[,;|&\n][,;|&\n ]*|\b(?:or|and|und|oder|et|ou|y|o|e)\b ?)[+(0-9]", re.IGNORECASE)
"""What people write between two numbers."""
_ENUMERATED = re.compile(r"[0-9]{1,3}\. .*")
"""`1. 469 555 0143`: the first number is the place in a list."""
_SECOND_PLUS = re.compile(r"[0-9].*\+.*[0-9]", re.DOTALL)
_UNCLEAR_ZEROS = re.compile(r"[^.]*[0-9][ \-/()][^.]*\.0{1,3}")
"""Groups, and at the end the only point with zeros after it: a decimal, or a last group."""
_SIGN_LAST = re.compile(r"[0-9]+ ?\+")
"""A number as a text from right to left shows it. Groups would stand there in the reverse order."""
_PREFIX = re.compile(r"\((?P<inside>(?:\+|00) ?[1-9][0-9]{0,2})\)|(?P<sign>\+|00(?=[ .-]?[1-9]))[ .-]?")
_GROUP = re.compile(r"(?P<between> ?[.\-/] ?| )?(?:\((?P<bracket>[0-9]{1,6}(?:[ -][0-9]{1,4})?)\)|(?P<plain>[0-9]+))")


class InvalidPhoneNumber(ValueError):
    """The text is not a number that can be dialled. `reason` is a code.

    `main` is the number that was meant, where the rest of the text is only an extension or a prefix.
    """

    def __init__(self, reason: RecipientRefusal, main: str = "") -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.main = main


@dataclass(frozen=True, slots=True)
class Written:
    """A number as it was written: its digits in order, without `00` and without a `(0)`."""

    digits: str
    is_international: bool = False
    """It began with + or 00, so the digits begin with a country code."""
    is_national: bool = False
    """It began with an area code in brackets or with a trunk 0, so a country code is missing."""
    has_sign_last: bool = False
    """The + stood after the digits."""
    has_trunk: bool = False
    """A `(0)` was left out after the country code."""
    bounds: tuple[tuple[int, str], ...] = ()
    """For each group after the first: how many digits are before it, and what stands between."""


def clean(text: str) -> str:
    """The text without what cannot be seen: format characters dropped, spaces, dashes and digits folded to ASCII."""
    folded = "".join(_folded(text.translate(_SAME)))
    return re.sub(r" {2,}", " ", re.sub(r" ?[\n\t] ?", "\n", folded)).strip(" \n")


def _folded(text: str) -> Iterator[str]:
    for character in text:
        category = unicodedata.category(character)
        if category == "Nd":
            yield str(unicodedata.decimal(character))
        elif category == "Zs":
            yield " "
        elif category == "Pd":
            yield "-"
        elif category in ("Zl", "Zp") or character in "\r\v\f\x85":
            yield "\n"
        elif category != "Cf":
            yield character


def shown(text: str) -> str:
    """The text with a code for each character that cannot be seen: format, control, odd spaces, halves of a pair."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    category = unicodedata.category(character)
    if character == " " or (category[0] not in "CZ" and character not in INVISIBLE):
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def read(written: object) -> Written:
    """Take a written number apart. A whole JSON number is a number, with or without a point.

    Raises InvalidPhoneNumber.
    """
    if isinstance(written, bool) or not isinstance(written, int | float | str):
        raise InvalidPhoneNumber(RecipientRefusal.NOT_A_STRING)
    if not isinstance(written, str):
        return Written(_whole(written))
    if len(written) > INPUT_CHARACTERS_MAX:
        raise InvalidPhoneNumber(RecipientRefusal.TOO_LONG)
    text = _bare(clean(written))
    if not text:
        raise InvalidPhoneNumber(RecipientRefusal.EMPTY)
    if thousands := _THOUSANDS.fullmatch(text):
        text = re.sub(r"[,.]", "", thousands[1] or thousands[2])
    if decimal := _DECIMAL.fullmatch(text):
        if decimal[2].strip("0"):
            raise InvalidPhoneNumber(RecipientRefusal.NOT_A_PHONE_NUMBER)
        text = decimal[1]
    _refuse_other_texts(text)
    return _taken_apart(text)


def _whole(number: float) -> str:
    """The digits of a JSON number. NaN, a fraction, and a number that may be rounded are refused."""
    if not 0 < number < 10.0**WRITTEN_CHARACTERS_MAX or number != int(number):
        raise InvalidPhoneNumber(RecipientRefusal.NOT_A_PHONE_NUMBER)
    if number > EXACT_FLOAT_MAX and not isinstance(number, int):
        raise InvalidPhoneNumber(RecipientRefusal.LOST_DIGITS)
    if isinstance(number, JsonNumber) and not _has_all_digits(number.text):
        raise InvalidPhoneNumber(RecipientRefusal.LOST_DIGITS)
    return str(int(number))


def _has_all_digits(text: str) -> bool:
    """Whether a JSON number states each digit of a whole number: 1.4695550124E10 does, and 1.4E10 may be rounded."""
    mantissa, _, exponent = text.lower().partition("e")
    return len(mantissa.partition(".")[2]) >= int(exponent or 0)


def _bare(text: str) -> str:
    """Without what programs put around a number: a formula, quotes, a sign, a scheme, a comma at the end."""
    if formula := _FORMULA.fullmatch(text):
        text = formula[1]
    text = text.strip(" \"'\n")
    while text and unicodedata.category(text[0]) in ("So", "Mn"):
        text = text[1:].lstrip()  # a telephone as a sign or an emoji
    if scheme := _SCHEME.match(text):
        text = text[scheme.end() :]
    if address := _WHATSAPP.fullmatch(text):
        text = f"+{address[1] or address[2]}"
    return text.strip(" \n").rstrip(",;. ")


def _refuse_other_texts(text: str) -> None:
    if _SCIENTIFIC.fullmatch(text) or set(text) == {"#"}:
        raise InvalidPhoneNumber(RecipientRefusal.LOST_DIGITS)
    for extension in (_EXTENSION, _PAUSE, _COPY):
        if found := extension.fullmatch(text):
            raise InvalidPhoneNumber(RecipientRefusal.EXTENSION, found[1])
    if _BETWEEN.search(text) or _SECOND_PLUS.search(text):
        raise InvalidPhoneNumber(RecipientRefusal.SEVERAL_NUMBERS)
    if len(text) > WRITTEN_CHARACTERS_MAX:
        raise InvalidPhoneNumber(RecipientRefusal.TOO_LONG)


def _taken_apart(text: str) -> Written:
    """Read the groups one after another. The text is a number only if they cover all of it."""
    has_sign_last = _SIGN_LAST.fullmatch(text) is not None
    if has_sign_last:
        text = "+" + text[:-1].rstrip()
    if _UNCLEAR_ZEROS.fullmatch(text) or _ENUMERATED.fullmatch(text):
        raise InvalidPhoneNumber(RecipientRefusal.NOT_A_PHONE_NUMBER)
    prefix = _PREFIX.match(text)
    digits = re.sub(r"^\+|^00|[^0-9]", "", prefix["inside"]) if prefix and prefix["inside"] else ""
    place = start = prefix.end() if prefix else 0
    has_trunk = has_bracket = False
    bounds: list[tuple[int, str]] = []
    while place < len(text):
        group = _GROUP.match(text, place)
        if group is None or (group["between"] and place == start and not digits):
            raise InvalidPhoneNumber(RecipientRefusal.NOT_A_PHONE_NUMBER)
        place, bracket = group.end(), group["bracket"]
        if bracket == "0" and prefix and 0 < len(digits) <= _COUNTRY_DIGITS_MAX and not has_trunk:
            has_trunk = True
            continue
        if bracket and (has_bracket or len(digits) > _COUNTRY_DIGITS_MAX + 1):
            raise InvalidPhoneNumber(RecipientRefusal.NOT_A_PHONE_NUMBER)
        has_bracket = has_bracket or bool(bracket)
        bounds.append((len(digits), group["between"] or ""))
        digits += re.sub("[^0-9]", "", bracket or group["plain"])
    if not digits:
        raise InvalidPhoneNumber(RecipientRefusal.NOT_A_PHONE_NUMBER)
    is_national = prefix is None and text.startswith(("(", "0"))
    return Written(
        digits,
        is_international=prefix is not None,
        is_national=is_national,
        has_sign_last=has_sign_last,
        has_trunk=has_trunk,
        bounds=tuple(each for each in bounds if each[0]),
    )
