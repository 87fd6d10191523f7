"""Opt-outs and opt-ins that an operator enters by hand."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from cli.confirmation import Consent, decline
from cli.console import note, printable
from domain.phone_numbers import NamedPerson, person_named
from domain.written_numbers import InvalidPhoneNumber
from operations.options import InvalidOptions
from runtime.process import EXIT_OK
from schemas.reasons import RecipientRefusal
from tables.database import Connection
from tables.subscriptions import state_by_operator


def named_people(texts: Sequence[str], country: str | None) -> list[NamedPerson]:
    """The people of these phone numbers and user ids. Raises InvalidOptions for a text that names nobody."""
    found: dict[str, NamedPerson] = {}
    for text in texts:
        try:
            named = person_named(text, country)
        except InvalidPhoneNumber as invalid:
            raise InvalidOptions(f"{text}: {invalid.reason.meaning} Nothing was done.") from None
        if named.doubt is not None:
            note(printable(doubt_of(named.person, named.doubt)))
        found.setdefault(named.person, named)
    return list(found.values())


async def enter(
    connection: Connection, people: Sequence[NamedPerson], consent: Consent, *, subscribed: bool, as_json: bool
) -> int:
    """Opt these people out as an operator, or revoke that, and print whether each may get messages now."""
    act = "revoke the operator's opt-out of" if subscribed else "opt out, for all campaigns,"
    if (ending := decline(consent, f"{act} {', '.join(each.person for each in people)}")) is not None:
        return ending
    states = [(each, await state_by_operator(connection, each.person, subscribed=subscribed)) for each in people]
    if as_json:
        listed = [{"person": each.person, "subscribed": now.subscribed, "out_by": now.out_by} for each, now in states]
        print(orjson.dumps({"people": listed}).decode())
        return EXIT_OK
    for each, now in states:
        sources = ", ".join(now.out_by)
        print(printable(f"{each.person}  {f'opted out by {sources}' if sources else 'subscribed'}"))
    return EXIT_OK


def doubt_of(person: str, doubt: RecipientRefusal) -> str:
    """A sentence about an opt-out for a number that is not valid: it may not be the number that was meant."""
    return f"{person} is taken as it is, and a campaign would refuse it: {doubt.meaning}"
