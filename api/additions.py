"""Adds recipients to a campaign, for the REST API and the command line: an invalid number affects no other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from api.answers import InvalidRecipient, RecipientsAdded
from api.bodies import RecipientIn
from api.validation import did_you_mean, known_fields
from domain.json_values import JsonNumber
from domain.parameter_texts import InvalidTemplateParameters
from domain.parameters import parse, stored
from domain.people import PersonKey, person_of
from domain.phone_numbers import PhoneNumber, country_of, normalise
from domain.written_numbers import InvalidPhoneNumber, shown
from schemas.reasons import ParameterRefusal, RecipientRefusal
from tables import campaigns
from tables.campaigns import NewRecipient
from tables.database import Connection

VALUE_CHARACTERS_MAX = 100
"""Most characters of a refused value in the answer."""
KNOWN_FIELDS = known_fields(RecipientIn)


class UnknownField(ValueError):
    """A recipient has a field of this name, which the API does not know."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True, slots=True)
class Judged:
    """The recipients to add by position in the request, the invalid ones, and the repeated ones."""

    people: dict[int, NewRecipient]
    countries: dict[str, str]
    """The country of each phone number to add."""
    refused: list[InvalidRecipient]
    repeated: list[InvalidRecipient]


def judge(given: Sequence[Any], country: str | None) -> Judged:
    """Sort recipients as they were given into those to add, invalid ones and repeated ones. No one stops another."""
    judged = Judged({}, {}, [], [])
    seen: dict[PersonKey, int] = {}
    for index, item in enumerate(given):
        try:
            recipient = _recipient(item, country)
        except InvalidPhoneNumber as invalid:
            judged.refused.append(_refused(index, item, invalid.reason))
            continue
        except UnknownField as unknown:
            message = f"There is no field of this name.{did_you_mean(unknown.name, KNOWN_FIELDS)}"
            field = shown(unknown.name[:VALUE_CHARACTERS_MAX])
            judged.refused.append(_refused(index, item, RecipientRefusal.UNKNOWN_FIELD, field, message))
            continue
        except InvalidTemplateParameters as invalid:
            judged.refused.append(_refused(index, item, invalid.reason, invalid.field, invalid.detail))
            continue
        number = recipient.phone_number
        first = seen.setdefault(person_of(number), index)
        if first == index:
            judged.people[index] = recipient
            judged.countries[number] = country_of(PhoneNumber(number))
            continue
        is_same = judged.people[first].phone_number == number
        reason = RecipientRefusal.REPEATED_IN_REQUEST if is_same else RecipientRefusal.SAME_PERSON
        judged.repeated.append(_refused(index, number, reason))
    return judged


async def add(connection: Connection, campaign_id: UUID, judged: Judged) -> RecipientsAdded:
    """Add the judged recipients in one transaction. Raises UnknownCampaign, and ActionNotAllowed if it is cancelled."""
    others = await campaigns.add_recipients(connection, campaign_id, list(judged.people.values()))
    known = [
        _refused(
            index,
            each.phone_number,
            RecipientRefusal.ALREADY_IN_CAMPAIGN
            if each.phone_number in others.present
            else RecipientRefusal.SAME_PERSON,
        )
        for index, each in judged.people.items()
        if each.phone_number in others
    ]
    added = [country for number, country in judged.countries.items() if number not in others]
    return RecipientsAdded(
        added=len(added),
        countries=dict(Counter(added).most_common()),
        duplicates=sorted([*judged.repeated, *known], key=lambda each: each.index),
        invalid=judged.refused,
    )


def _recipient(item: Any, country: str | None) -> NewRecipient:
    if not isinstance(item, dict):
        return NewRecipient(normalise(item, country))
    for name in item:
        if name not in KNOWN_FIELDS:
            raise UnknownField(name)
    number = normalise(item.get("phone_number"), country)
    return NewRecipient(number, stored(parse(item.get("template_parameters"))))


def _refused(
    index: int,
    item: Any,
    reason: RecipientRefusal | ParameterRefusal,
    field: str = "phone_number",
    message: str | None = None,
) -> InvalidRecipient:
    return InvalidRecipient(
        index=index, field=field, value=_echo(item), reason=reason, message=message or reason.meaning
    )


def _echo(item: Any) -> Any:
    """The refused value, cut to a length, with a code for each character that cannot be seen."""
    value = item.get("phone_number") if isinstance(item, dict) else item
    if value is None or isinstance(value, bool):
        return value
    text = value.text if isinstance(value, JsonNumber) else value if isinstance(value, str) else repr(value)
    return shown(text[:VALUE_CHARACTERS_MAX])
