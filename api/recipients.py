"""Routes of recipients: add them, so that an invalid number affects no other, remove one, and list them."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
import structlog
from fastapi import Header, Path, Query
from fastapi.responses import JSONResponse, Response, StreamingResponse

from api.additions import add, judge
from api.answers import RecipientOut, RecipientsAdded, RecipientsOut
from api.bodies import RecipientsIn
from api.formats import PERSON_FORMAT
from api.idempotency import UseOnce
from api.problem_codes import ProblemCode
from api.problems import Problem
from api.routes import json_router
from api.services import Services, UseCampaignId, UseConnection, UseServices
from domain.people import PersonKey
from domain.phone_numbers import person_named
from domain.status import Status
from domain.written_numbers import InvalidPhoneNumber
from tables import campaigns, removal
from tables.database import Connection
from tables.recipient_pages import COLUMNS, FIRST_ID, Recipient, read_page

router = json_router("/api/marketing/campaigns/{campaign_id}/recipients", "recipients")

log = structlog.get_logger("api")

CSV_PAGE_ROWS = 1000
CSV_TYPE = "text/csv"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet would execute a cell that begins with one of these."""


@router.post("", response_model=RecipientsAdded)
async def add_recipients(
    campaign_id: UseCampaignId, body: RecipientsIn, connection: UseConnection, once: UseOnce
) -> JSONResponse:
    """Add recipients. Invalid and repeated numbers are reported one by one; the others are added."""
    country = body.country or (await campaigns.read(connection, campaign_id)).country
    judged = await asyncio.to_thread(judge, body.phone_numbers, country)

    async def add_judged(connection: Connection) -> RecipientsAdded:
        return await add(connection, campaign_id, judged)

    return await once.do(200, add_judged)


@router.delete("/{recipient}", status_code=204)
async def remove_recipient(
    campaign_id: UseCampaignId,
    recipient: Annotated[str, Path(max_length=200, description="The id of the recipient, or a number in any spelling")],
    connection: UseConnection,
) -> None:
    """Remove one recipient that is not released yet. The number may be added again later."""
    await removal.remove(connection, campaign_id, await _named(connection, campaign_id, recipient))
    log.info("recipient removed", campaign_id=str(campaign_id))


async def _named(connection: Connection, campaign_id: UUID, recipient: str) -> UUID | PersonKey:
    """The id of a row, or the person with this number by the country of the campaign.

    Raises Problem: nobody has a number that cannot be read.
    """
    with suppress(ValueError):
        return UUID(recipient)
    country = (await campaigns.read(connection, campaign_id)).country
    try:
        return person_named(recipient, country).person
    except InvalidPhoneNumber as invalid:
        detail = f"The campaign has no such recipient. As a number it cannot be read: {invalid.reason.meaning}"
        raise Problem(ProblemCode.UNKNOWN_RECIPIENT, detail) from None


# --------------------------------------------------------------------------------------------------------------- list


@router.get("", response_model=RecipientsOut, responses={200: {"content": {CSV_TYPE: {"schema": {"type": "string"}}}}})
async def list_recipients(
    campaign_id: UseCampaignId,
    services: UseServices,
    status: Annotated[list[Status] | None, Query(description="Only these statuses")] = None,
    phone_number: Annotated[
        str | None,
        Query(
            max_length=200,
            description="A number in any spelling, or a user id",
            json_schema_extra={"format": PERSON_FORMAT},
        ),
    ] = None,
    after: Annotated[UUID, Query(description="`next` of the previous page")] = FIRST_ID,
    limit: Annotated[int, Query(ge=1, le=1000, description="Most recipients of the page")] = 100,
    format: Annotated[Literal["json", "csv"] | None, Query(description="csv: all rows as CSV")] = None,  # noqa: A002 - the name of the parameter
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response:
    """A page of recipients; as CSV (`?format=csv`, or by `Accept`) all of them.

    A page of a list by status may have fewer rows than `limit`. The list ends with the page whose `next` is null.
    """
    statuses = [each.value for each in status] if status else None
    async with services.lists.connection() as connection:
        campaign = await campaigns.read(connection, campaign_id)
        person = None if phone_number is None else _person(phone_number, campaign.country)
        if format == "csv" or (format is None and accept.partition(";")[0].strip() == CSV_TYPE):
            rows = csv_rows(services, campaign_id, statuses, person)
            named = {"Content-Disposition": f'attachment; filename="recipients-{campaign_id}.csv"'}
            return StreamingResponse(rows, media_type=CSV_TYPE, headers=named)
        page = await read_page(connection, campaign_id, limit=limit, after=after, statuses=statuses, person=person)
    body = RecipientsOut(recipients=[RecipientOut.model_validate(each) for each in page.rows], next=page.after)
    return Response(body.model_dump_json(), media_type="application/json")


def _person(written: str, country: str | None) -> PersonKey:
    try:
        return person_named(written, country).person
    except InvalidPhoneNumber as invalid:
        raise Problem(ProblemCode.INVALID_FIELD, invalid.reason.meaning, field="phone_number") from None


async def csv_rows(
    services: Services, campaign_id: UUID, statuses: list[str] | None, person: str | None
) -> AsyncIterator[str]:
    """All rows, page by page. A connection is held for one page only, even if the client reads slowly."""
    yield ",".join(COLUMNS) + "\r\n"
    after: UUID | None = FIRST_ID
    while after is not None:
        async with services.lists.connection() as connection:
            page = await read_page(
                connection, campaign_id, limit=CSV_PAGE_ROWS, after=after, statuses=statuses, person=person
            )
        if page.rows:
            yield _csv_text(page.rows)
        after = page.after


def _csv_text(page: Sequence[Recipient]) -> str:
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
