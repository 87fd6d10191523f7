"""Test sends: an operator sends the message of a campaign to himself before everybody else gets it.

The parameters are those of a recipient of the campaign, or given ones. The message is checked against the template
first. `tables/test_sends.py` has the way that it takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

import structlog
from fastapi import Query
from fastapi.responses import JSONResponse

from api.additions import judge
from api.bodies import TestSendIn
from api.idempotency import Once, UseOnce
from api.problem_codes import ProblemCode
from api.problems import Problem
from api.recipient_answers import InvalidRecipient
from api.routes import json_router
from api.services import Services, UseCampaignId, UseConnection, UseListConnection, UseServices
from api.template_answers import TestSendOut, TestSendsOut
from api.template_checks import require_message
from tables import campaigns, planning, template_checks, test_sends
from tables.campaigns import Campaign
from tables.database import Connection
from tables.new_recipients import NewRecipient

router = json_router("/api/marketing/campaigns/{campaign_id}", "templates")
log = structlog.get_logger("api")
TESTS_SHOWN = 20


class UnsendableTest(ValueError):
    """Some of the numbers or parameters of a test cannot be used; nothing is sent."""

    def __init__(self, refused: Sequence[InvalidRecipient]) -> None:
        self.refused = tuple(refused)
        super().__init__(" ".join(f"{each.value}: {each.message}" for each in refused))


@router.post("/test-send", status_code=201, response_model=TestSendOut)
async def send_test(
    campaign_id: UseCampaignId, body: TestSendIn, services: UseServices, connection: UseConnection, once: UseOnce
) -> JSONResponse:
    """Send the message of a campaign to some numbers now, as a test. The campaign and its counters do not change.

    The test is a campaign of its own: it takes budgets, breakers and the rate of the number as every message does. A
    person who has opted out is skipped. It is sent at any hour, and never repeated by itself.
    """
    return await start_test(services, connection, campaign_id, body, once)


@router.get("/test-sends")
async def list_test_sends(
    campaign_id: UseCampaignId,
    connection: UseListConnection,
    limit: Annotated[int, Query(ge=1, le=TESTS_SHOWN, description="Most tests")] = TESTS_SHOWN,
) -> TestSendsOut:
    """List the newest tests of a campaign, with what happened to each message."""
    await campaigns.read(connection, campaign_id)
    found = await test_sends.newest(connection, campaign_id, limit)
    return TestSendsOut(tests=[TestSendOut.model_validate(each) for each in found])


async def start_test(
    services: Services, connection: Connection, campaign_id: UUID, body: TestSendIn, once: Once
) -> JSONResponse:
    """Start a test, once. Raises Problem, UnknownCampaign, ActionNotAllowed and TemplateRefused."""
    campaign = await campaigns.read(connection, campaign_id)
    parameters = body.template_parameters
    if parameters is None:
        parameters = await parameters_of(connection, campaign, body.recipient_id)
    try:
        people = testers(body.phone_numbers, parameters, campaign.country)
    except UnsendableTest as unsendable:
        errors = [
            {"field": f"phone_numbers.{each.index}", "message": each.message, "type": each.reason}
            for each in unsendable.refused
        ]
        raise Problem(
            ProblemCode.INVALID_FIELD, f"{errors[0]['field']}: {errors[0]['message']}", errors=errors
        ) from None
    if not body.ignore_template:
        await require_message(services.settings, services.templates, campaign, parameters)
    created: list[UUID] = []

    async def start(found: Connection) -> TestSendOut:
        created.append(await test_sends.start(found, campaign, people))
        return await read_test(found, campaign.id, created[0])

    answer = await once.do(201, start)
    if created:  # a repeated request gets the answer of the first
        await planning.plan_now(connection, created[0])
        log.info("test send started", campaign_id=str(campaign_id), test_id=str(created[0]), messages=len(people))
    return answer


async def parameters_of(connection: Connection, campaign: Campaign, recipient_id: UUID | None) -> Any:
    """The parameters of a recipient, or of the first one; None for a campaign without. Raises Problem."""
    found = await template_checks.read_one(connection, campaign.id, recipient_id)
    if found is None and recipient_id is not None:
        raise Problem(ProblemCode.UNKNOWN_RECIPIENT)
    return None if found is None else found.template_parameters


def testers(phone_numbers: Sequence[object], parameters: Any, country: str | None) -> list[NewRecipient]:
    """The recipients of a test. Raises UnsendableTest, also for two numbers of one person."""
    items = [{"phone_number": each, "template_parameters": parameters} for each in phone_numbers]
    judged = judge(items, country)
    if judged.refused or judged.repeated:
        raise UnsendableTest(sorted([*judged.refused, *judged.repeated], key=lambda each: each.index))
    return list(judged.people.values())


async def read_test(connection: Connection, campaign_id: UUID, test_id: UUID) -> TestSendOut:
    """A test that is one of the newest of its campaign."""
    found = await test_sends.newest(connection, campaign_id, TESTS_SHOWN)
    return next(TestSendOut.model_validate(each) for each in found if each.id == test_id)
