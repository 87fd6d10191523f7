"""The webhooks about the business: its templates, its account and its numbers. Pure.

Source: Meta's pages "message_template_status_update", "message_template_quality_update", "template_category_update",
"message_template_components_update", "account_update", "account_alerts", "account_review_update",
"phone_number_quality_update", "phone_number_name_update", "business_capability_update" and "security" of the webhooks
reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from simulator.account import BUSINESS_ID
from simulator.account.templates import Template
from simulator.config import SimulatorConfig
from simulator.events.requests import AccountUpdate, NumberQualityChange

PAUSE_TITLES = {"PAUSED": "FIRST_PAUSE", "DISABLED": "DISABLED", "UNARCHIVED": None, "REINSTATED": "UNPAUSE"}
BAN_DATE = "April 17, 2025"


def _template_head(template: Template) -> dict[str, Any]:
    """The template of an event. The id is a number."""
    return {
        "message_template_id": int(template.id),
        "message_template_name": template.name,
        "message_template_language": template.language,
    }


def template_status_value(
    template: Template, event: str, reason: str, title: str | None, timestamp: int
) -> dict[str, Any]:
    """The status of a template has changed."""
    value = {
        "event": event,
        **_template_head(template),
        "reason": reason,
        "message_template_category": template.category,
    }
    title = title or PAUSE_TITLES.get(event)
    if title is not None:
        value["other_info"] = {"title": title, "description": f"Your template {template.name} has changed: {event}"}
    if event == "DISABLED":
        value["disable_info"] = {"disable_date": str(timestamp)}
    if event == "REJECTED":
        value["rejection_info"] = {"reason": reason, "recommendation": "Edit the template and submit it again"}
    return value


def template_quality_value(template: Template, previous: str) -> dict[str, Any]:
    """The quality of a template has changed."""
    return {
        "previous_quality_score": previous,
        "new_quality_score": template.quality,
        **_template_head(template),
    }


def template_category_value(template: Template, new: str, previous: str, is_impending: bool) -> dict[str, Any]:
    """The category of a template has changed, or will change."""
    if is_impending:
        return {**_template_head(template), "new_category": previous, "correct_category": new}
    return {**_template_head(template), "previous_category": previous, "new_category": new}


def template_components_value(template: Template) -> dict[str, Any]:
    """Somebody edited a template. The webhook has its texts."""
    value = _template_head(template)
    names = {
        "HEADER": "message_template_title",
        "BODY": "message_template_element",
        "FOOTER": "message_template_footer",
    }
    for kind, name in names.items():
        component = template.component(kind)
        if component is not None and component.get("text"):
            value[name] = component["text"]
    buttons: Sequence[dict[str, Any]] = (template.component("BUTTONS") or {}).get("buttons", ())
    if buttons:
        value["message_template_buttons"] = [
            {
                "message_template_button_type": button.get("type"),
                "message_template_button_text": button.get("text", ""),
                **({"message_template_button_url": button["url"]} if "url" in button else {}),
                **(
                    {"message_template_button_phone_number": button["phone_number"]} if "phone_number" in button else {}
                ),
            }
            for button in buttons
        ]
    return value


def account_update_value(config: SimulatorConfig, update: AccountUpdate, now: int) -> dict[str, Any]:
    """The account is restricted, banned, reinstated, ... with the usual details of each event."""
    details: dict[str, dict[str, Any]] = {
        "ACCOUNT_DELETED": {},
        "ACCOUNT_RESTRICTION": {
            "restriction_info": [
                {
                    "restriction_type": "RESTRICTED_BIZ_INITIATED_MESSAGING",
                    "expiration": now + 86_400,
                    "remediation": "Review the messages that were reported",
                }
            ]
        },
        "ACCOUNT_VIOLATION": {"violation_info": {"violation_type": "SCAM"}},
        "DISABLED_UPDATE": {"ban_info": {"waba_ban_state": "DISABLE", "waba_ban_date": BAN_DATE}},
        "PARTNER_REMOVED": {
            "waba_info": {"waba_id": config.waba_id, "owner_business_id": BUSINESS_ID},
            "disconnection_info": {"reason": "ACCOUNT_DISCONNECTED", "initiated_by": "USER"},
        },
        "VOLUME_BASED_PRICING_TIER_UPDATE": {
            "volume_tier_info": {
                "tier_update_time": now,
                "pricing_category": "UTILITY",
                "tier": "25000001:50000000",
                "effective_month": "2025-11",
                "region": "India",
            }
        },
    }
    return {"event": update.event, **details.get(update.event, {}), **update.value}


def number_quality_value(config: SimulatorConfig, change: NumberQualityChange) -> dict[str, Any]:
    """The quality, the limit or the throughput of a number has changed. The webhook has no id of the number."""
    return {
        "display_phone_number": config.display_of(change.phone_number_id or ""),
        "event": change.event,
        "current_limit": change.current_limit,
        "old_limit": change.old_limit,
        "max_daily_conversations_per_business": change.current_limit,
        **change.value,
    }


def usual_values(config: SimulatorConfig) -> dict[str, dict[str, Any]]:
    """The usual value of each other field."""
    number = {"display_phone_number": config.display_phone_number}
    return {
        "account_alerts": {
            "entity_type": "BUSINESS",
            "entity_id": BUSINESS_ID,
            "alert_info": {
                "alert_severity": "WARNING",
                "alert_status": "ACTIVE",
                "alert_type": "INCREASED_CAPABILITIES_ELIGIBILITY_FAILED",
                "alert_description": "The messaging limit cannot be raised yet",
            },
        },
        "account_review_update": {"decision": "APPROVED"},
        "business_capability_update": {
            "max_daily_conversations_per_business": 2000,
            "max_phone_numbers_per_business": 25,
            "max_phone_numbers_per_waba": 25,
        },
        "phone_number_name_update": {
            **number,
            "decision": "APPROVED",
            "requested_verified_name": "Simulator",
            "rejection_reason": None,
        },
        "security": {**number, "event": "PIN_CHANGED", "requester": "61558890000"},
    }
