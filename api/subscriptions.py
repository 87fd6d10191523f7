"""Routes of subscriptions: the operator's opt-outs and opt-ins."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Query

from api.answers import SubscriptionOut
from api.bodies import Country, SubscriptionIn
from api.formats import PERSON_FORMAT
from api.problem_codes import ProblemCode
from api.problems import Problem
from api.routes import json_router
from api.services import UseListConnection, UseStopConnection
from domain.phone_numbers import NamedPerson, person_named
from domain.written_numbers import InvalidPhoneNumber
from tables import subscriptions
from tables.subscriptions import Subscription

router = json_router("/api/marketing/subscriptions", "subscriptions")


def _person(
    phone: Annotated[
        str,
        Path(description="A phone number in any spelling, or a user id", json_schema_extra={"format": PERSON_FORMAT}),
    ],
    country: Annotated[Country | None, Query(description="Country of a number without + and 00")] = None,
) -> NamedPerson:
    try:
        return person_named(phone, country)
    except InvalidPhoneNumber as invalid:
        detail = f"phone: {invalid.reason.meaning} Name one person by a phone number or a user id."
        raise Problem(ProblemCode.INVALID_FIELD, detail, field="phone") from None


UsePerson = Annotated[NamedPerson, Depends(_person)]
"""The person of the path: a phone number in any spelling, or a user id. An odd number is a person too."""


# The path may contain a slash: 089/123456.
@router.put("/{phone:path}", response_model_exclude_none=True)
async def set_subscription(person: UsePerson, body: SubscriptionIn, connection: UseStopConnection) -> SubscriptionOut:
    """Opt a person out, or revoke that. It is in force with the answer. It does not revoke a person's own STOP.

    It holds for every spelling of the number, and it is accepted also if the number is odd.
    """
    return _answer(person, await subscriptions.state_by_operator(connection, person.person, subscribed=body.subscribed))


@router.get("/{phone:path}", response_model_exclude_none=True)
async def read_subscription(person: UsePerson, connection: UseListConnection) -> SubscriptionOut:
    """Read whether messages to a person are allowed."""
    return _answer(person, await subscriptions.read(connection, person.person))


def _answer(named: NamedPerson, found: Subscription) -> SubscriptionOut:
    person = None if named.doubt is None else named.person
    return SubscriptionOut(subscribed=found.subscribed, out_by=list(found.out_by), doubt=named.doubt, person=person)
