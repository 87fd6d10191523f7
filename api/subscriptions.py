"""Routes of subscriptions: the operator's opt-outs and opt-ins, and the list of all."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import Depends, Path, Query
from fastapi.responses import Response, StreamingResponse

from api.bodies import SubscriptionIn
from api.exports import CSV_TYPE, PAGE_ROWS
from api.field_types import Country
from api.formats import PERSON_FORMAT
from api.problem_codes import ProblemCode
from api.problems import Problem
from api.routes import json_router
from api.services import Services, UseListConnection, UseServices, UseStopConnection
from api.subscription_answers import SubscriptionOut, SubscriptionsOut, SubscriptionStatement
from domain.phone_numbers import NamedPerson, person_named
from domain.written_numbers import InvalidPhoneNumber
from schemas.sources import Source
from tables import subscriptions
from tables.subscription_pages import STATEMENT_COLUMNS, SubscriptionPlace, read_subscriptions, subscription_pages
from tables.subscriptions import Subscription

router = json_router("/api/marketing/subscriptions", "subscriptions")

SEPARATOR = "/"
"""Between the person and the source in the place after which a page begins. No key of a person has it."""

PLACE = rf"^$|^[^\x00]*{SEPARATOR}({'|'.join(Source)})$"
"""The place after which a page begins."""


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


@router.get(
    "", response_model=SubscriptionsOut, responses={200: {"content": {CSV_TYPE: {"schema": {"type": "string"}}}}}
)
async def list_subscriptions(
    services: UseServices,
    source: Annotated[list[Source] | None, Query(description="Only these sources")] = None,
    subscribed: Annotated[bool | None, Query(description="false: only opt-outs, true: only opt-ins")] = None,
    after: Annotated[str, Query(max_length=200, pattern=PLACE, description="`next` of the previous page")] = "",
    limit: Annotated[int, Query(ge=1, le=1000, description="Most statements of the page")] = 100,
    format: Annotated[Literal["json", "csv"] | None, Query(description="csv: all rows as CSV")] = None,  # noqa: A002 - the name of the parameter
) -> Response:
    """A page of the latest statement of each source about each person; as CSV (`?format=csv`) all of them.

    A page of a filtered list may have fewer rows than `limit`. The list ends with the page whose `next` is null.
    """
    place = _place(after)
    if format == "csv":
        named = {"Content-Disposition": 'attachment; filename="subscriptions.csv"'}
        return StreamingResponse(_csv(services, source, subscribed), media_type=CSV_TYPE, headers=named)
    async with services.lists.connection() as connection:
        page = await read_subscriptions(connection, limit=limit, after=place, sources=source, subscribed=subscribed)
    body = SubscriptionsOut(
        subscriptions=[SubscriptionStatement.model_validate(each) for each in page.rows],
        next=None if page.after is None else SEPARATOR.join(page.after),
    )
    return Response(body.model_dump_json(), media_type="application/json")


def _place(after: str) -> SubscriptionPlace:
    person, _, source = after.rpartition(SEPARATOR)
    return (person, source)


async def _csv(services: Services, sources: list[Source] | None, subscribed: bool | None) -> AsyncIterator[str]:
    """All rows, page by page."""
    yield ",".join(STATEMENT_COLUMNS) + "\r\n"
    async for rows in subscription_pages(services.lists.connection, PAGE_ROWS, sources, subscribed):
        written = io.StringIO()
        csv.writer(written).writerows(
            (each.person, each.source.value, str(each.subscribed).lower(), each.occurred_at.isoformat())
            for each in rows
        )
        yield written.getvalue()


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
