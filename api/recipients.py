"""Routes of recipients: add them, so that an invalid number affects no other, and list them."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import Header, Query
from fastapi.responses import JSONResponse, Response, StreamingResponse

from api.bodies import InvalidRecipient, RecipientOut, RecipientsAdded, RecipientsIn, RecipientsOut
from api.idempotency import UseOnce
from api.problems import Problem
from api.routes import json_router
from api.services import Services, UseCampaignId, UseServices
from domain.parameter_texts import InvalidTemplateParameters
from domain.parameters import parse, stored
from domain.phone_numbers import InvalidPhoneNumber, normalise
from domain.status import Status
from schemas.reasons import ParameterRefusal, RecipientRefusal
from tables import campaigns
from tables.campaigns import NewRecipient
from tables.database import Connection
from tables.recipient_pages import COLUMNS, FIRST_ID, Recipient, read_page
from tables.server import read_clock

router = json_router("/api/marketing/campaigns/{campaign_id}/recipients", "recipients")

VALUE_CHARACTERS_MAX = 100
"""Most characters of a refused value in the answer."""
CSV_PAGE_ROWS = 1000
CSV_TYPE = "text/csv"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet would execute a cell that begins with one of these."""


@router.post("", response_model=RecipientsAdded)
async def add_recipients(campaign_id: UseCampaignId, body: RecipientsIn, once: UseOnce) -> JSONResponse:
    """Add recipients. Invalid and repeated numbers are reported one by one; the others are added."""
    people, refused, repeated = await asyncio.to_thread(_judge, body.phone_numbers)

    async def add(connection: Connection) -> RecipientsAdded:
        now = await read_clock(connection)
        added = await campaigns.add_recipients(connection, campaign_id, list(people.values()), now)
        known = [
            _refused(index, person.phone_number, RecipientRefusal.ALREADY_IN_CAMPAIGN)
            for index, person in people.items()
            if person.phone_number not in added
        ]
        duplicates = sorted([*repeated, *known], key=lambda each: each.index)
        return RecipientsAdded(added=len(added), duplicates=duplicates, invalid=refused)

    return await once.do(200, add)


def _judge(given: Sequence[Any]) -> tuple[dict[int, NewRecipient], list[InvalidRecipient], list[InvalidRecipient]]:
    """The recipients to add by position, the invalid ones, and the number of repeated ones."""
    people: dict[int, NewRecipient] = {}
    refused: list[InvalidRecipient] = []
    repeated: list[InvalidRecipient] = []
    seen: set[str] = set()
    for index, item in enumerate(given):
        try:
            person = _person(item)
        except InvalidPhoneNumber as invalid:
            code = next(each for each in RecipientRefusal if each == invalid.reason)
            refused.append(_refused(index, item, code))
            continue
        except InvalidTemplateParameters as invalid:
            refused.append(_refused(index, item, invalid.reason, invalid.field, invalid.detail))
            continue
        if person.phone_number in seen:
            repeated.append(_refused(index, person.phone_number, RecipientRefusal.REPEATED_IN_REQUEST))
            continue
        seen.add(person.phone_number)
        people[index] = person
    return people, refused, repeated


def _person(item: Any) -> NewRecipient:
    if not isinstance(item, dict):
        return NewRecipient(normalise(item))
    if not item.keys() <= {"phone_number", "template_parameters"}:
        raise InvalidPhoneNumber(RecipientRefusal.UNKNOWN_FIELD.value)
    number = normalise(item.get("phone_number"))
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
    value = item.get("phone_number") if isinstance(item, dict) else item
    if value is None or isinstance(value, bool):
        return value
    text = value if isinstance(value, str) else repr(value)
    return text.encode("utf-8", "replace").decode()[:VALUE_CHARACTERS_MAX]


# --------------------------------------------------------------------------------------------------------------- list


@router.get("", response_model=RecipientsOut, responses={200: {"content": {CSV_TYPE: {}}}})
async def list_recipients(
    campaign_id: UseCampaignId,
    services: UseServices,
    status: Annotated[list[Status] | None, Query(description="only these statuses")] = None,
    phone_number: Annotated[str | None, Query(max_length=40)] = None,
    after: Annotated[UUID, Query(description="`next` of the previous page")] = FIRST_ID,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    format: Annotated[str | None, Query(pattern="^(json|csv)$")] = None,  # noqa: A002 - the name of the parameter
    accept: Annotated[str, Header()] = "",
) -> Response:
    """A page of recipients; as CSV (`?format=csv`, or by `Accept`) all of them."""
    statuses = [each.value for each in status] if status else None
    number = None if phone_number is None else _number(phone_number)
    async with services.pool.connection() as connection:
        await campaigns.read(connection, campaign_id)
        if format == "csv" or (format is None and accept.partition(";")[0].strip() == CSV_TYPE):
            rows = _csv(services, campaign_id, statuses, number)
            named = {"Content-Disposition": f'attachment; filename="recipients-{campaign_id}.csv"'}
            return StreamingResponse(rows, media_type=CSV_TYPE, headers=named)
        found = await read_page(
            connection, campaign_id, limit=limit + 1, after=after, statuses=statuses, phone_number=number
        )
    page = [RecipientOut.model_validate(each) for each in found[:limit]]
    body = RecipientsOut(recipients=page, next=page[-1].id if len(found) > limit else None)
    return Response(body.model_dump_json(), media_type="application/json")


def _number(written: str) -> str:
    try:
        return normalise(written)
    except InvalidPhoneNumber as invalid:
        raise Problem(422, "invalid_field", f"phone_number: {invalid.reason}", field="phone_number") from None


async def _csv(
    services: Services, campaign_id: UUID, statuses: list[str] | None, number: str | None
) -> AsyncIterator[str]:
    """All rows, page by page. A connection is held for one page only, even if the client reads slowly."""
    yield ",".join(COLUMNS) + "\r\n"
    after = FIRST_ID
    while True:
        async with services.pool.connection() as connection:
            page = await read_page(
                connection, campaign_id, limit=CSV_PAGE_ROWS, after=after, statuses=statuses, phone_number=number
            )
        if not page:
            return
        yield _csv_rows(page)
        after = page[-1].id


def _csv_rows(page: Sequence[Recipient]) -> str:
    written = io.StringIO()
    writer = csv.writer(written)
    for each in page:
        writer.writerow([_cell(getattr(each, name)) for name in COLUMNS])
    return written.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, list | dict):
        return orjson.dumps(value).decode()
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value.isoformat() if hasattr(value, "isoformat") else value
