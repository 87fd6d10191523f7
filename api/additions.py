"""Adds recipients to a campaign, for the REST API and the command line: an invalid number affects no other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from api.bodies import RecipientIn
from api.recipient_answers import InvalidRecipient, RecipientsAdded
from api.validation import did_you_mean, known_fields
from domain.json_values import JsonNumber
from domain.parameter_texts import InvalidTemplateParameters
from domain.parameters import parse, stored
from domain.people import USER, PersonKey, person_of, person_of_user
from domain.phone_numbers import country_of_name, interpret, normalise
from domain.plain_numbers import plain_number
from domain.written_numbers import InvalidPhoneNumber, shown
from schemas.reasons import ParameterRefusal, RecipientRefusal
from tables import campaigns
from tables.database import Connection
from tables.new_recipients import Keyed, NewRecipient, RecipientBatch, batch_of_keyed
from tables.turns import Turn

VALUE_CHARACTERS_MAX = 100
"""Most characters of a refused value in the answer."""
KNOWN_FIELDS = known_fields(RecipientIn)


class UnknownField(ValueError):
    """A recipient has a field of this name, which the API does not know."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class InvalidUserId(ValueError):
    """A user id does not have the form of WhatsApp's."""


@dataclass(slots=True)
class Judged:
    """The recipients to add by position in the request, the invalid ones, and the repeated ones."""

    people: dict[int, NewRecipient]
    countries: dict[str, str]
    """The country of each recipient to add, by name."""
    refused: list[InvalidRecipient]
    repeated: list[InvalidRecipient]
    keyed: list[Keyed] = field(default_factory=list)
    """Those to add, with the keys of their persons."""
    keys: Set[PersonKey] = frozenset()
    """All keys of those to add."""
    batch: RecipientBatch | None = None
    """Those to add, ready to be inserted. `add` makes it, unless a thread has made it ahead."""


def judge(given: Sequence[Any], country: str | None) -> Judged:
    """Sort recipients as they were given into those to add, invalid ones and repeated ones. No one stops another."""
    seen: dict[PersonKey, int] = {}
    judged = Judged({}, {}, [], [], keys=seen.keys())
    people, keyed, countries = judged.people, judged.keyed, judged.countries
    for index, item in enumerate(given):
        if (plain := plain_number(item, country)) is not None:  # most lines of a list are so
            number, home = plain
            person = person_of(number)
            if person not in seen:
                seen[person] = index
                people[index] = recipient = NewRecipient(number)
                keyed.append((person, recipient))
                countries[number] = home if person == number else country_of_name(number)
                continue
        try:
            recipient, region = _recipient(item, country)
        except InvalidPhoneNumber as invalid:
            judged.refused.append(_refused(index, item, invalid.reason))
            continue
        except UnknownField as unknown:
            message = f"There is no field of this name.{did_you_mean(unknown.name, KNOWN_FIELDS)}"
            field = shown(unknown.name[:VALUE_CHARACTERS_MAX])
            judged.refused.append(_refused(index, item, RecipientRefusal.UNKNOWN_FIELD, field, message))
            continue
        except InvalidUserId:
            judged.refused.append(_refused(index, item, RecipientRefusal.NOT_A_USER_ID, "user_id"))
            continue
        except InvalidTemplateParameters as invalid:
            judged.refused.append(_refused(index, item, invalid.reason, invalid.field, invalid.detail))
            continue
        person, user_id = recipient.person, recipient.user_id
        keys = (person,) if user_id is None else (person, _user_key(user_id))
        first = seen.get(person) if user_id is None else min((seen[key] for key in keys if key in seen), default=None)
        if first is None:
            for key in keys:
                seen[key] = index
            people[index] = recipient
            keyed.append((person, recipient))
            if region is None or person != recipient.phone_number:  # the key of an old spelling may be abroad
                region = country_of_name(recipient.phone_number or user_id or "")
            countries[recipient.name] = region
            continue
        is_same = people[first].name == recipient.name
        reason = RecipientRefusal.REPEATED_IN_REQUEST if is_same else RecipientRefusal.SAME_PERSON
        judged.repeated.append(_refused(index, recipient.name, reason))
    return judged


async def add(connection: Connection, campaign_id: UUID, judged: Judged, turn: Turn | None = None) -> RecipientsAdded:
    """Add the judged recipients in one transaction, in their turn.

    Raises UnknownCampaign, and ActionNotAllowed if it is cancelled.
    """
    batch = judged.batch or batch_of_keyed(judged.keyed)
    others = await campaigns.add_batch(connection, campaign_id, batch, turn)
    known: list[InvalidRecipient] = []
    countries = Counter(judged.countries.values())
    if others:
        countries = Counter(country for name, country in judged.countries.items() if name not in others)
        known = [
            _refused(
                index,
                each.name,
                RecipientRefusal.ALREADY_IN_CAMPAIGN if each.name in others.present else RecipientRefusal.SAME_PERSON,
            )
            for index, each in judged.people.items()
            if each.name in others
        ]
    return RecipientsAdded(
        added=countries.total(),
        countries=dict(countries.most_common()),
        duplicates=sorted([*judged.repeated, *known], key=lambda each: each.index),
        invalid=judged.refused,
    )


def _recipient(item: Any, country: str | None) -> tuple[NewRecipient, str | None]:
    """The recipient, and the country of its number if that was found on the way."""
    if not isinstance(item, dict):
        number, user_id, region = _names(item, None, country)
        return NewRecipient(number, None, user_id), region
    for name in item:
        if name not in KNOWN_FIELDS:
            raise UnknownField(name)
    number, user_id, region = _names(item.get("phone_number"), item.get("user_id"), country)
    return NewRecipient(number, stored(parse(item.get("template_parameters"))), user_id), region


def _names(number: Any, user_id: Any, country: str | None) -> tuple[str | None, str | None, str | None]:
    """The digits of the number, the user id, and the country of a plain number.

    Exports and lists may have a user id in the place of a number. Raises InvalidPhoneNumber and InvalidUserId.
    """
    if user_id is None:
        if (plain := plain_number(number, country)) is not None:
            return plain[0], None, plain[1]
        if isinstance(number, str) and (key := person_of_user(number.strip())) is not None:
            return None, key.removeprefix(USER), None
        return interpret(number, country), None, None
    key = person_of_user(user_id.strip()) if isinstance(user_id, str) else None
    if key is None:
        raise InvalidUserId
    is_empty = number is None or (isinstance(number, str) and not number.strip())
    return None if is_empty else normalise(number, country), key.removeprefix(USER), None


def _user_key(user_id: str) -> PersonKey:
    return PersonKey(USER + user_id)


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
    value = item.get("phone_number", item.get("user_id")) if isinstance(item, dict) else item
    if value is None or isinstance(value, bool):
        return value
    text = value.text if isinstance(value, JsonNumber) else value if isinstance(value, str) else repr(value)
    return shown(text[:VALUE_CHARACTERS_MAX])
