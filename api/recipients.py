"""Routes of recipients: add them, so that an invalid number affects no other, remove one, and list them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Annotated, Literal
from uuid import UUID

import structlog
from fastapi import Header, Path, Query
from fastapi.responses import JSONResponse, Response

from api.additions import add, judge
from api.bodies import RecipientsIn
from api.exports import CSV_TYPE, Selection, export_events, export_recipients, table_answer
from api.formats import PERSON_FORMAT
from api.idempotency import UseOnce
from api.problem_codes import ProblemCode
from api.problems import Problem
from api.recipient_answers import RecipientOut, RecipientsAdded, RecipientsOut
from api.routes import json_router
from api.services import UseCampaignId, UseConnection, UseServices
from domain.people import PersonKey
from domain.phone_numbers import person_named
from domain.status import Status
from domain.table_files import TableForm
from domain.written_numbers import InvalidPhoneNumber
from tables import campaigns, removal
from tables.database import Connection
from tables.recipient_pages import FIRST_ID, read_page

router = json_router("/api/marketing/campaigns/{campaign_id}/recipients", "recipients")

log = structlog.get_logger("api")

UsePhoneNumber = Annotated[
    str | None,
    Query(
        max_length=200,
        description="A number in any spelling, or a user id",
        json_schema_extra={"format": PERSON_FORMAT},
    ),
]


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
    phone_number: UsePhoneNumber = None,
    after: Annotated[UUID, Query(description="`next` of the previous page")] = FIRST_ID,
    limit: Annotated[int, Query(ge=1, le=1000, description="Most recipients of the page")] = 100,
    format: Annotated[  # noqa: A002 - the name of the parameter
        Literal["json", "csv", "excel"] | None, Query(description="csv: all rows; excel: all rows as Excel opens them")
    ] = None,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response:
    """A page of recipients; as CSV (`?format=csv`, or by `Accept`) or for Excel (`?format=excel`) all of them.

    A page of a list by status may have fewer rows than `limit`. The list ends with the page whose `next` is null.
    """
    statuses = [each.value for each in status] if status else None
    async with services.lists.connection() as connection:
        campaign = await campaigns.read(connection, campaign_id)
        person = None if phone_number is None else person_of_number(phone_number, campaign.country)
        form = format or ("csv" if accept.partition(";")[0].strip() == CSV_TYPE else "json")
        if form != "json":
            chosen = Selection(campaign_id, status, person)
            rows = export_recipients(services.lists.connection, chosen, TableForm(form))
            return table_answer("recipients", chosen, TableForm(form), rows)
        page = await read_page(connection, campaign_id, limit=limit, after=after, statuses=statuses, person=person)
    body = RecipientsOut(recipients=[RecipientOut.model_validate(each) for each in page.rows], next=page.after)
    return Response(body.model_dump_json(), media_type="application/json")


@router.get("/events", responses={200: {"content": {CSV_TYPE: {"schema": {"type": "string"}}}}})
async def list_recipient_events(
    campaign_id: UseCampaignId,
    services: UseServices,
    status: Annotated[list[Status] | None, Query(description="Only recipients with these statuses")] = None,
    phone_number: UsePhoneNumber = None,
    format: Annotated[TableForm, Query(description="excel: as Excel opens it")] = TableForm.CSV,  # noqa: A002 - the name of the parameter
) -> Response:
    """The events of all recipients as CSV: claims, outcomes, and the statuses of the messages, in the order of time."""
    async with services.lists.connection() as connection:
        campaign = await campaigns.read(connection, campaign_id)
    person = None if phone_number is None else person_of_number(phone_number, campaign.country)
    chosen = Selection(campaign_id, status, person)
    return table_answer("events", chosen, format, export_events(services.lists.connection, chosen, format))


def person_of_number(written: str, country: str | None) -> PersonKey:
    """The person with this number, by the country of the campaign. Raises Problem."""
    try:
        return person_named(written, country).person
    except InvalidPhoneNumber as invalid:
        raise Problem(ProblemCode.INVALID_FIELD, invalid.reason.meaning, field="phone_number") from None
