"""The kinds of events by the name that a control request uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from pydantic import BaseModel

from simulator.events import EventWebhooks
from simulator.events.requests import (
    AccountUpdate,
    BusinessEvent,
    IdentityChange,
    InboundMessage,
    NumberQualityChange,
    PreferenceChange,
    RawEvent,
    TemplateCategoryChange,
    TemplateComponentsChange,
    TemplateQualityChange,
    TemplateStatusChange,
)

EventSettings = TypeVar("EventSettings", bound=BaseModel)
EventSender = tuple[type[BaseModel], Callable[[Any], dict[str, Any]]]
"""The model of the settings of an event, and the function that sends it."""
USUAL_FIELDS = {
    "account_alert": "account_alerts",
    "account_review": "account_review_update",
    "business_capability": "business_capability_update",
    "number_name": "phone_number_name_update",
    "security": "security",
}
"""The field of each kind of event that has a usual value and no settings of its own."""


def _sender(model: type[EventSettings], send: Callable[[EventSettings], dict[str, Any]]) -> EventSender:
    """A model and the function that takes it."""
    return model, send


def event_senders(events: EventWebhooks) -> Mapping[str, EventSender]:
    """How to send each kind of event."""
    return {
        "account_update": _sender(AccountUpdate, events.update_account),
        "identity": _sender(IdentityChange, events.change_identity),
        "message": _sender(InboundMessage, events.receive),
        "number_quality": _sender(NumberQualityChange, events.change_number_quality),
        "preference": _sender(PreferenceChange, events.prefer),
        "raw": _sender(RawEvent, events.send_raw),
        "template_category": _sender(TemplateCategoryChange, events.change_template_category),
        "template_components": _sender(TemplateComponentsChange, events.change_template_components),
        "template_quality": _sender(TemplateQualityChange, events.change_template_quality),
        "template_status": _sender(TemplateStatusChange, events.change_template_status),
        **{kind: _sender(BusinessEvent, partial(events.send_usual, field)) for kind, field in USUAL_FIELDS.items()},
    }
