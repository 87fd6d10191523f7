"""Webhooks that are no statuses: what people write and prefer, and what happens to templates, accounts and numbers."""

from __future__ import annotations

import time
from typing import Any

import orjson

from simulator.account import Account
from simulator.account.templates import Template
from simulator.config import SimulatorConfig, TemplateConfig, TemplateStatus
from simulator.deliveries import Deliveries
from simulator.events.business import (
    account_update_value,
    number_quality_value,
    template_category_value,
    template_components_value,
    template_quality_value,
    template_status_value,
    usual_values,
)
from simulator.events.people import MEDIA_TYPES, identity_value, message_value, number_of, preference_value, user_of
from simulator.events.requests import (
    AccountUpdate,
    BusinessEvent,
    IdentityChange,
    InboundMessage,
    NumberQualityChange,
    PersonEvent,
    PreferenceChange,
    RawEvent,
    TemplateCategoryChange,
    TemplateComponentsChange,
    TemplateEvent,
    TemplateQualityChange,
    TemplateStatusChange,
)
from simulator.wamids import wamid_of

STATUS_AFTER: dict[str, TemplateStatus] = {"UNARCHIVED": "APPROVED", "REINSTATED": "APPROVED"}
"""The status after an event that is no status."""
EventResult = dict[str, Any]


class EventWebhooks:
    """Sends these webhooks, each in a POST of its own, and keeps the account in step with them."""

    def __init__(self, config: SimulatorConfig, salt: str, account: Account, deliveries: Deliveries) -> None:
        self._config = config
        self._salt = salt
        self._account = account
        self._deliveries = deliveries
        self._sequence = 0
        self.origin = ""
        """The address of the simulator, for the addresses of media. The server sets it when it listens."""

    def receive(self, event: InboundMessage) -> EventResult:
        """A person sends a message. The result has its id."""
        wamid, now = self._next_wamid(event), _time_of(event)
        number_id = self._number_id(event)
        self._account.wrote_at[user_of(event)] = now
        medium = None
        if event.type in MEDIA_TYPES:
            mime_type = event.mime_type or MEDIA_TYPES[event.type]
            medium = self._account.media.add(number_id, mime_type, event.content.encode())
        url = (
            f"{self.origin}/whatsapp_business/attachments/?mid={medium.id}&hash={medium.sha256[:16]}" if medium else ""
        )
        self._send("messages", message_value(self._config, number_id, event, wamid, now, medium, url))
        return {"id": wamid}

    def prefer(self, event: PreferenceChange) -> EventResult:
        """A person stops or resumes marketing messages. Sends obey it."""
        if event.value == "stop":
            self._account.stopped.add(user_of(event))
        else:
            self._account.stopped.discard(user_of(event))
        value = preference_value(self._config, self._number_id(event), event, _time_of(event))
        return self._send("user_preferences", value)

    def change_identity(self, event: IdentityChange) -> EventResult:
        """A person changes the number or the user id. The result has the id of the system message."""
        wamid = self._next_wamid(event)
        value = identity_value(self._config, self._number_id(event), event, wamid, _time_of(event))
        self._send("messages", value)
        return {"id": wamid}

    def change_template_status(self, change: TemplateStatusChange) -> EventResult:
        """The status of a template changes."""
        template = self._template_of(change)
        if change.event != "FLAGGED":
            template.status = _status_after(change.event)
        template.rejected_reason = change.reason
        now = _time_of(change)
        value = template_status_value(template, change.event, change.reason, change.title, now)
        return self._send("message_template_status_update", value, now)

    def review(self, template: Template, reason: str) -> None:
        """Report the status that a review gave to a template."""
        template.rejected_reason = reason
        now = int(time.time())
        value = template_status_value(template, template.status, reason, None, now)
        self._send("message_template_status_update", value, now)

    def change_template_quality(self, change: TemplateQualityChange) -> EventResult:
        """The quality of a template changes."""
        template = self._template_of(change)
        previous, template.quality = template.quality, change.quality
        value = template_quality_value(template, previous)
        return self._send("message_template_quality_update", value, _time_of(change))

    def change_template_category(self, change: TemplateCategoryChange) -> EventResult:
        """The category of a template changes."""
        template = self._template_of(change)
        value = template_category_value(template, change.category, template.category, change.is_impending)
        if not change.is_impending:
            template.category = change.category
        return self._send("template_category_update", value, _time_of(change))

    def change_template_components(self, change: TemplateComponentsChange) -> EventResult:
        """Somebody edited a template."""
        template = self._template_of(change)
        template.components = [dict(one) for one in change.components]
        return self._send("message_template_components_update", template_components_value(template), _time_of(change))

    def update_account(self, update: AccountUpdate) -> EventResult:
        """Something happens to the account."""
        now = _time_of(update)
        return self._send("account_update", account_update_value(self._config, update, now), now)

    def change_number_quality(self, change: NumberQualityChange) -> EventResult:
        """The quality or the limit of a number changes."""
        if change.quality is not None and change.phone_number_id is not None:
            self._account.quality_by_number[change.phone_number_id] = change.quality
        elif change.quality is not None:
            self._account.quality = change.quality
        return self._send("phone_number_quality_update", number_quality_value(self._config, change), _time_of(change))

    def send_usual(self, field: str, event: BusinessEvent) -> EventResult:
        """Send the usual value of a field, with these changes."""
        return self._send(field, {**usual_values(self._config)[field], **event.value}, _time_of(event))

    def send_raw(self, event: RawEvent) -> EventResult:
        """Send any value."""
        return self._send(event.field, event.value, event.timestamp)

    def _send(self, field: str, value: dict[str, Any], timestamp: int | None = None) -> EventResult:
        """Queue one webhook. Those of the field `messages` have no time in the entry."""
        if self._config.hyphenated_languages and "message_template_language" in value:
            value["message_template_language"] = value["message_template_language"].replace("_", "-")
        entry: dict[str, Any] = {"id": self._config.waba_id, "changes": [{"value": value, "field": field}]}
        if timestamp is not None:
            entry["time"] = timestamp
        self._deliveries.send(orjson.dumps({"object": "whatsapp_business_account", "entry": [entry]}))
        return {"field": field, "value": value}

    def _template_of(self, event: TemplateEvent) -> Template:
        """The template of an event. A missing one is added as an approved template without variables."""
        found = self._account.templates.find(event.name, event.language)
        if found is not None:
            return found
        settings = TemplateConfig(name=event.name, language=event.language, takes_any_parameters=True)
        return self._account.templates.add(settings)

    def _number_id(self, event: PersonEvent) -> str:
        """The number of the business that an event of a person is for."""
        return event.phone_number_id or self._account.number_ids()[0]

    def _next_wamid(self, event: PersonEvent) -> str:
        """The id of the next message from a person."""
        self._sequence += 1
        return wamid_of(number_of(event), f"{self._salt}|inbound", self._sequence)


def _status_after(event: str) -> TemplateStatus:
    """The status of a template after an event."""
    after: Any = STATUS_AFTER.get(event, event)
    status: TemplateStatus = after
    return status


def _time_of(event: PersonEvent | TemplateEvent | BusinessEvent) -> int:
    """The time of an event, in Unix seconds."""
    return event.timestamp if event.timestamp is not None else int(time.time())
