"""Finds the columns of a file: the one with the phone numbers, and those of the template parameters.

The column of phone numbers is the one that the operator names; else the one whose header is a word for it; else the one
whose cells are phone numbers. Nothing is guessed between two: the operator then has to name it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from domain.parameter_texts import is_name
from domain.parameters import FIELD, TEXTS_MAX
from domain.people import person_of_user
from domain.phone_numbers import normalise
from domain.recipient_files.cells import looks_like_number
from domain.template_slots import column_key, extra_slots_of, slots_of
from domain.templates import MessageTemplate
from domain.written_numbers import InvalidPhoneNumber, shown

_WHATSAPP = "whatsapp whatsappnumber whatsappnummer whatsappphone waid"
_MOBILE = """
mobile mobilenumber mobilephone mobil mobilnummer mobiltelefon handy handynummer cell cellphone cellnumber celular movil
móvil telemovel telemóvel portable cellulare gsm msisdn
"""
_PHONE = """
phone phonenumber phoneno telephone telephonenumber tel telefon telefonnummer telefonnr rufnummer telefono teléfono
telefone téléphone telefoon telefoonnummer recipient to
"""
_NUMBER = "number nummer numero número numéro"
NUMBER_HEADERS = tuple(frozenset(words.split()) for words in (_WHATSAPP, _MOBILE, _PHONE, _NUMBER))
"""Words for a phone number without spaces and signs. A word of an earlier set goes before those of later sets."""
USER_HEADERS = frozenset(["userid", "bsuid", "whatsappuserid", "whatsappid", "businessscopeduserid"])
"""Words for WhatsApp's user id."""
REFUSED_COLUMNS = ("refused_line", "refused_reason", "refused_message")
"""The columns that a file of refused lines has more than its source. They are left out when it is imported."""
_DECIMAL_COMMA = re.compile(r"-?[0-9]{1,3}(?:\.?[0-9]{3})*,[0-9]{1,4}")
_INVISIBLE = r"\s\u00ad\u200b-\u200f\u2060\ufeff"
_INVISIBLE_ENDS = re.compile(rf"^[{_INVISIBLE}]+|[{_INVISIBLE}]+$")
"""Spaces and characters without a width, which nobody can type into the name of a column."""
_BRACES = re.compile(r"\{\{ ?([A-Za-z0-9_]+) ?\}\}")
_HEADERS_SHOWN = 20
_HEADER_CHARACTERS_SHOWN = 40


class UnusableFile(ValueError):
    """The file cannot be imported as it is. The text says what to do."""


class InvalidMapping(ValueError):
    """A text does not name a parameter and its column."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What the operator names. Whatever is not named is found."""

    phone_column: str | None = None
    """The header of the column, or its place from 1."""
    parameters: Mapping[str, str] | None = None
    """Parameter of the template to the header or the place of its column."""
    country: str | None = None
    template: MessageTemplate | None = None
    """The template of the campaign, if it is known: columns are then found by its names."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The places of the columns that are read, from 0."""

    headers: tuple[str, ...]
    """The headers of the file, or names by place for a file without."""
    has_headers: bool
    phone: int
    """The column of the phone numbers, which may also have user ids."""
    user: int | None
    """The column of user ids beside it."""
    parameters: tuple[tuple[str, int], ...]
    """Parameter and place of its column, in the order of positional parameters."""
    json_parameters: int | None
    """The column `template_parameters`, whose cells are the JSON of the REST API."""
    decimal_commas: tuple[str, ...]
    """Columns of numbers that are written as 19,90."""

    @property
    def unused(self) -> tuple[str, ...]:
        """The columns that are not read."""
        used = {self.phone, self.user, self.json_parameters, *(place for _, place in self.parameters)}
        return tuple(
            header for place, header in enumerate(self.headers) if place not in used and header not in REFUSED_COLUMNS
        )


def read_mapping(given: Sequence[str]) -> dict[str, str] | None:
    """Parameter to column, from texts as 1=first_name; None without any. Raises InvalidMapping."""
    found: dict[str, str] = {}
    for each in given:
        name, separator, column = (part.strip() for part in each.partition("="))
        if not (separator and name and column):
            raise InvalidMapping(f"{_shown(each)}: write the parameter, = and its column, as 1=first_name.")
        if name in found:
            raise InvalidMapping(f"{_shown(each)}: the parameter {_shown(name)} is given twice.")
        found[name] = column
    return found or None


def find_columns(rows: Sequence[Sequence[str]], choices: Choices) -> Columns:
    """The columns of a file by its first rows. Raises UnusableFile."""
    first = rows[0]
    has_headers = not any(map(looks_like_number, first))
    data = rows[1:] if has_headers else rows
    headers = tuple(_INVISIBLE_ENDS.sub("", each) for each in first) if has_headers else ()
    user = _user_column(headers, data)
    try:
        phone = _phone_column(headers, len(first), data, choices)
    except UnusableFile:
        if user is None or choices.phone_column is not None:
            raise
        phone = user
    user = None if user == phone else user
    names = headers or tuple("phone_number" if place == phone else f"column_{place + 1}" for place in range(len(first)))
    parameters = _parameters(headers, len(first), choices)
    in_json = headers.index(FIELD) if FIELD in headers and not parameters else None
    commas = tuple(name for place, name in enumerate(names) if place != phone and _has_decimal_commas(data, place))
    return Columns(names, has_headers, phone, user, parameters, in_json, commas)


def _user_column(headers: Sequence[str], data: Sequence[Sequence[str]]) -> int | None:
    """The column that is named like user ids and has WhatsApp's. Ids of another system have another form."""
    words = [re.sub(r"[\W_]", "", header).casefold() for header in headers]
    found = [
        place for place, word in enumerate(words) if word in USER_HEADERS and _share(data, place, _is_user) >= 1 / 2
    ]
    return found[0] if found else None


def _is_user(cell: str) -> bool:
    return person_of_user(cell.strip()) is not None


def _phone_column(headers: Sequence[str], width: int, data: Sequence[Sequence[str]], choices: Choices) -> int:
    if choices.phone_column is not None:
        return _place(choices.phone_column, headers, width)
    if width == 1:
        return 0
    words = [re.sub(r"[\W_]", "", header).casefold() for header in headers]
    for known in NUMBER_HEADERS:
        if found := [place for place, word in enumerate(words) if word in known]:
            return _only(found, headers, "are named like phone numbers")
    found = [place for place in range(width) if _share(data, place, looks_like_number) >= 1 / 2]
    if len(found) > 1:
        valid = [
            place for place in found if _share(data, place, lambda cell: _is_valid(cell, choices.country)) >= 1 / 2
        ]
        found = valid or found
    if not found:
        raise UnusableFile(f"No column has phone numbers. Name it with phone_column. {_listed(headers, width)}")
    return _only(found, headers, "have phone numbers")


def _only(found: Sequence[int], headers: Sequence[str], what: str) -> int:
    if len(found) == 1:
        return found[0]
    names = ", ".join(_shown(headers[place]) if headers else str(place + 1) for place in found)
    raise UnusableFile(f"Several columns {what}: {names}. Name one with phone_column.")


def _share(data: Sequence[Sequence[str]], place: int, holds: object) -> float:
    cells = [row[place] for row in data if len(row) > place and row[place].strip()]
    assert callable(holds)
    return sum(bool(holds(cell)) for cell in cells) / len(cells) if cells else 0.0


def _is_valid(cell: str, country: str | None) -> bool:
    with suppress(InvalidPhoneNumber):
        return bool(normalise(cell, country))
    return False


def _has_decimal_commas(data: Sequence[Sequence[str]], place: int) -> bool:
    return _share(data, place, lambda cell: _DECIMAL_COMMA.fullmatch(cell.strip()) is not None) >= 1 / 2


def _place(column: str, headers: Sequence[str], width: int) -> int:
    """The place of a column that is named by its header, or else by its place. Raises UnusableFile."""
    for spelled in (str, str.casefold):
        found = [place for place, header in enumerate(headers) if spelled(header) == spelled(column.strip())]
        if len(found) == 1:
            return found[0]
        if found:
            places = ", ".join(str(place + 1) for place in found)
            raise UnusableFile(f"Several columns are named {_shown(column)}: name one by its place, one of {places}.")
    if column.isascii() and column.isdecimal() and 1 <= int(column[:9]) <= width:
        return int(column) - 1
    raise UnusableFile(f"There is no column {_shown(column)}. {_listed(headers, width)}")


def _listed(headers: Sequence[str], width: int) -> str:
    if not headers:
        return f"The file has no headers and {width} columns."
    more = f" and {len(headers) - _HEADERS_SHOWN} more" if len(headers) > _HEADERS_SHOWN else ""
    return f"The columns are {', '.join(map(_shown, headers[:_HEADERS_SHOWN]))}{more}."


def _shown(header: str) -> str:
    return shown(header[:_HEADER_CHARACTERS_SHOWN]) or '""'


# --------------------------------------------------------------------------------------------------------- parameters


def _parameters(headers: Sequence[str], width: int, choices: Choices) -> tuple[tuple[str, int], ...]:
    """Each parameter with its column: as named; else the columns that are headed 1, 2, 3 or {{first_name}}."""
    if choices.parameters is not None:
        named = {name: _place(column, headers, width) for name, column in choices.parameters.items()}
    elif choices.template is not None and (named := _by_template(headers, choices.template)):
        pass
    else:
        named = {}
        for place, header in enumerate(headers):
            braces = _BRACES.fullmatch(header)
            name = braces[1] if braces else header if header.isascii() and header.isdecimal() else None
            if name in named:
                raise UnusableFile(f"Several columns are headed {_shown(header)}. Name one with parameter.")
            if name is not None:
                named[name] = place
    extra = () if choices.template is None else extra_slots_of(choices.template)
    of_body = {name: place for name, place in named.items() if name not in extra}
    return (*_ordered(of_body), *((name, named[name]) for name in extra if name in named))


def _by_template(headers: Sequence[str], template: MessageTemplate) -> dict[str, int]:
    """The columns whose headers are the names of the template, such as `First name` for first_name."""
    found: dict[str, int] = {}
    for place, header in enumerate(headers):
        slot = next((slot for slot in slots_of(template) if column_key(header) == column_key(slot)), None)
        if slot in found:
            raise UnusableFile(f"Several columns are headed {_shown(header)}. Name one with parameter.")
        if slot is not None:
            found[slot] = place
    return found


def _ordered(named: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    numbers = [name for name in named if name.isascii() and name.isdecimal()]
    if len(named) > TEXTS_MAX:
        raise UnusableFile(f"There are {len(named):,} parameters. At most {TEXTS_MAX} are possible.")
    if not numbers:
        if wrong := [name for name in named if not is_name(name)]:
            raise UnusableFile(f"No template can have a parameter {_shown(wrong[0])}.")
        return tuple(named.items())
    if len(numbers) < len(named):
        raise UnusableFile("A template has positional parameters (1, 2, 3) or named ones, not both.")
    for place in range(1, len(named) + 1):
        if str(place) not in named:
            raise UnusableFile(f"There are {len(named)} positional parameters, and none of them is {place}.")
    return tuple(sorted(named.items(), key=lambda each: int(each[0])))
