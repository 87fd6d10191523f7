"""The forms that decide about messages with an unknown outcome: count them as sent, or send them again.

They do what `campaigns unknown` does. Each form first states the consequence. A message that may still be answered is
refused, and only a second form sends it all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, assert_never
from uuid import UUID

import structlog
from fastapi import APIRouter, Query
from fastapi.responses import RedirectResponse, Response

from api.pages import reading
from api.pages.forms import Form, UseForm, UseSession
from api.pages.paths import CAMPAIGNS
from api.pages.rendering import page
from api.pages.session import PageSession
from api.pages.story import masked
from api.problem_codes import ProblemCode
from api.problems import Problem
from api.services import Services, UseCampaignId, UseServices
from api.unknown_acts import ActPublished, Unconfirmed, UnknownOptions, act
from api.unknowns import UnknownRefusal
from domain.status import Status
from runtime.process import Transient
from schemas.events import EventKind
from tables import recipient_pages
from topics.publisher import PublishFailed

router = APIRouter(include_in_schema=False)
log = structlog.get_logger("api")


class UnknownChoice(StrEnum):
    """What an operator may do."""

    ASSUME_SENT = "assume-sent"
    RETRY = "retry"


_KINDS: Mapping[UnknownChoice, EventKind] = MappingProxyType(
    {UnknownChoice.ASSUME_SENT: EventKind.ASSUMED_SENT, UnknownChoice.RETRY: EventKind.RETRY}
)


@dataclass(frozen=True, slots=True)
class UnknownOrder:
    """What a form names: the choice, and one recipient or all of the campaign."""

    choice: UnknownChoice
    recipient_id: UUID | None = None


@router.get(CAMPAIGNS + "/{campaign_id}/unknown")
async def show_choice(
    campaign_id: UseCampaignId,
    services: UseServices,
    session: UseSession,
    choice: Annotated[UnknownChoice, Query()],
    recipient: Annotated[UUID | None, Query()] = None,
) -> Response:
    """State the consequence, before anything is decided."""
    return await _question(services, session, campaign_id, UnknownOrder(choice, recipient), None)


@router.post(CAMPAIGNS + "/{campaign_id}/unknown")
async def decide(campaign_id: UseCampaignId, form: UseForm, services: UseServices, session: UseSession) -> Response:
    """Do it. Doing it twice changes nothing more."""
    order = _order(form)
    ids = () if order.recipient_id is None else (order.recipient_id,)
    is_forced = form.text("force") == "1"
    options = UnknownOptions(_KINDS[order.choice], ids, campaign_id, is_sure=True, is_forced=is_forced)
    try:
        result = await act(services.settings, options)
    except PublishFailed:
        raise Problem(
            ProblemCode.UNAVAILABLE,
            "Kafka did not acknowledge every decision, so some may count and some not. Repeat it: nothing counts twice",
        ) from None
    except Transient as error:
        raise Problem(
            ProblemCode.UNAVAILABLE, f"Nothing was decided, because a server does not answer. {error}"
        ) from None
    match result:
        case ActPublished(selection):
            log.info(
                "unknown sends were decided on the page", campaign_id=str(campaign_id), choice=order.choice.value,
                recipients=len(selection.recipients), is_forced=is_forced,
            )  # fmt: skip
            return RedirectResponse(f"{CAMPAIGNS}/{campaign_id}?done=unknown-{order.choice}", 303)
        case UnknownRefusal():
            return await _question(services, session, campaign_id, order, result)
        case Unconfirmed():
            raise AssertionError("the form is the confirmation")
        case _:
            assert_never(result)


def _order(form: Form) -> UnknownOrder:
    recipient = form.text("recipient")
    try:
        return UnknownOrder(UnknownChoice(form.text("choice")), UUID(recipient) if recipient else None)
    except ValueError:
        raise Problem(ProblemCode.INVALID_FIELD, "The form names no decision, so nothing was done.") from None


async def _question(
    services: Services, session: PageSession, campaign_id: UUID, order: UnknownOrder, refusal: UnknownRefusal | None
) -> Response:
    """The form with its consequence, or with the reason why nothing was done."""
    async with services.lists.connection() as connection:
        known = await reading.read_campaign(connection, services.board, campaign_id)
        found = None
        if order.recipient_id is not None:
            found = await recipient_pages.read_one(connection, campaign_id, order.recipient_id)
            if found is None:
                raise Problem(ProblemCode.UNKNOWN_RECIPIENT)
    view = known.view()
    return page(
        "unknown.html",
        session=session,
        status=409 if refusal else 200,
        view=view,
        choice=order.choice.value,
        recipient_id=order.recipient_id,
        person=None if found is None else masked(found.phone_number or found.person),
        count=view.stats.unknown if found is None else int(found.status == Status.UNKNOWN),
        refusal=refusal,
    )
