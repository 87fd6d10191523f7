"""The page of test sends: the message of a campaign goes to oneself, and the page shows what becomes of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError

from api.bodies import TestSendIn
from api.pages import reading
from api.pages.forms import UseForm, UseSession, once_key, once_of
from api.pages.paths import CAMPAIGNS
from api.pages.rendering import page
from api.pages.session import PageSession
from api.pages.story import PERSON_STATUS, masked
from api.problem_codes import ProblemCode
from api.problems import Problem
from api.services import Services, UseCampaignId, UseServices
from api.template_checks import TemplateRefused
from api.test_sends import start_test
from domain.lifecycle import CampaignStatus
from tables import recipient_pages, test_sends
from tables.test_sends import MESSAGES_MAX

TESTS_SHOWN = 5
_SEPARATORS = re.compile(r"[\n,;]+")

router = APIRouter(include_in_schema=False)


@router.get(CAMPAIGNS + "/{campaign_id}/test-send")
async def show_tests(
    campaign_id: UseCampaignId,
    services: UseServices,
    session: UseSession,
    recipient: Annotated[UUID | None, Query()] = None,
) -> Response:
    """Show the form and the newest tests. `recipient`: the person whose parameters the message has."""
    return await _tests_page(services, session, campaign_id, {"recipient": "" if recipient is None else str(recipient)})


@router.post(CAMPAIGNS + "/{campaign_id}/test-send")
async def send_tests(campaign_id: UseCampaignId, form: UseForm, services: UseServices, session: UseSession) -> Response:
    """Send the message to these numbers, once however often the form is sent."""
    values = {name: form.text(name) for name in ("numbers", "recipient", "once")}
    numbers = [each.strip() for each in _SEPARATORS.split(values["numbers"]) if each.strip()]
    try:
        body = TestSendIn(
            phone_numbers=list[str | int](numbers),
            recipient_id=UUID(values["recipient"]) if values["recipient"] else None,
            ignore_template=form.text("ignore_template") == "1",
        )
    except (ValidationError, ValueError):
        error = f"Write 1 to {MESSAGES_MAX} numbers. Nothing was sent."
        return await _tests_page(services, session, campaign_id, values, error)
    try:
        async with services.pool.connection() as connection:
            await start_test(services, connection, campaign_id, body, once_of(form, connection, (campaign_id, body)))
    except TemplateRefused as refused:
        return await _tests_page(services, session, campaign_id, values, str(refused), is_refused=True)
    except Problem as problem:
        if problem.code is not ProblemCode.INVALID_FIELD:
            raise
        error = " ".join(f"{numbers[_place(each['field'])]}: {each['message']}" for each in problem.errors)
        return await _tests_page(services, session, campaign_id, values, f"Nothing was sent. {error}")
    return RedirectResponse(f"{CAMPAIGNS}/{campaign_id}/test-send", 303)


def _place(field: str) -> int:
    """The index of the number that a field such as `phone_numbers.1` names."""
    return int(field.rpartition(".")[2])


async def _tests_page(
    services: Services,
    session: PageSession,
    campaign_id: UUID,
    values: Mapping[str, str],
    error: str = "",
    *,
    is_refused: bool = False,
) -> Response:
    recipient = values.get("recipient", "")
    person = None
    async with services.lists.connection() as connection:
        known = await reading.read_campaign(connection, services.board, campaign_id)
        tests = await test_sends.newest(connection, campaign_id, TESTS_SHOWN)
        if recipient:
            person = await recipient_pages.read_one(connection, campaign_id, UUID(recipient))
            if person is None:
                raise Problem(ProblemCode.UNKNOWN_RECIPIENT)
    shown = [
        (each, [(masked(message.phone_number), PERSON_STATUS[message.status], message) for message in each.messages])
        for each in tests
    ]
    return page(
        "test_send.html",
        session=session,
        status=422 if error else 200,
        view=known.view(),
        person=None if person is None else masked(person.phone_number or person.person),
        tests=shown,
        is_moving=any(each.status is CampaignStatus.ACTIVE for each in tests),
        values=values,
        once=once_key(values),
        numbers_max=MESSAGES_MAX,
        error=error,
        is_refused=is_refused,
    )
