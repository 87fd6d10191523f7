"""Routes of subscriptions: the operator's opt-outs and opt-ins."""

from __future__ import annotations

from api.bodies import SubscriptionIn, SubscriptionOut
from api.problems import Problem
from api.routes import json_router
from api.services import UseConnection, UseServices
from domain.phone_numbers import InvalidPhoneNumber, normalise
from schemas.subscriptions import Source
from tables import subscriptions

router = json_router("/api/marketing/subscriptions", "subscriptions")


@router.put("/{phone}")
async def state_subscription(
    phone: str, body: SubscriptionIn, services: UseServices, connection: UseConnection
) -> SubscriptionOut:
    """Opt a person out, or revoke that. It is in force with the answer. It does not revoke a person's own STOP."""
    found = await subscriptions.state(
        connection,
        _person(phone),
        Source.OPERATOR,
        subscribed=body.subscribed,
        occurred_at=services.clock(),
    )
    return SubscriptionOut(subscribed=found.subscribed, out_by=list(found.out_by))


@router.get("/{phone}")
async def read_subscription(phone: str, connection: UseConnection) -> SubscriptionOut:
    """Read whether messages to a person are allowed."""
    found = await subscriptions.read(connection, _person(phone))
    return SubscriptionOut(subscribed=found.subscribed, out_by=list(found.out_by))


def _person(phone: str) -> str:
    try:
        return normalise(phone)
    except InvalidPhoneNumber as invalid:
        raise Problem(422, "invalid_field", f"phone: {invalid.reason}", field="phone") from None
