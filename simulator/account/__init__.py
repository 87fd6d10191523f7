"""The business account that the simulator pretends to be: its templates, media, groups and numbers."""

from __future__ import annotations

from typing import Any

from simulator.account.groups import GroupStore
from simulator.account.media import MediaStore
from simulator.account.templates import TemplateStore
from simulator.config import SimulatorConfig
from simulator.portfolio import tier_of

BUSINESS_ID = "506914307656634"
"""The id of the business portfolio that owns the account."""


class Account:
    """The account and what it owns.

    Source of the fields: Meta's pages "WhatsApp Business Account" and "WhatsApp Business Account to number current
    status" of the Graph API reference.
    """

    def __init__(self, config: SimulatorConfig) -> None:
        self._config = config
        self.templates = TemplateStore(config.templates, not config.are_templates_known)
        self.media = MediaStore()
        self.groups = GroupStore()
        self.quality = "GREEN"
        self.quality_by_number: dict[str, str] = {}
        """The quality of the numbers that have another one."""
        self.stopped: set[str] = set()
        """The user ids of people who stopped marketing messages."""
        self.wrote_at: dict[str, int] = {}
        """When people wrote last, in Unix seconds, by their user ids."""
        self.blocked: dict[str, None] = {}
        """The WhatsApp ids of blocked people, in order."""

    def account_fields(self) -> dict[str, Any]:
        """The account itself."""
        owner = {"name": "Simulated business", "id": BUSINESS_ID}
        return {
            "id": self._config.waba_id,
            "name": "Simulated account",
            "currency": "USD",
            "timezone_id": "1",
            "message_template_namespace": "5d8f9d1a_0b71_4a2c_8c43_5b7f7e1c0001",
            "account_review_status": "APPROVED",
            "business_verification_status": "verified",
            "ownership_type": "SELF",
            "country": "US",
            "is_enabled_for_insights": True,
            "marketing_messages_onboarding_status": "ONBOARDED",
            "marketing_messages_lite_api_status": "ONBOARDED",
            "disable_marketing_messages_on_cloud_api": self._config.marketing_endpoint_only,
            "health_status": {"can_send_message": "AVAILABLE", "entities": []},
            "status": "ACTIVE",
            "owner_business_info": owner,
            "on_behalf_of_business_info": {**owner, "status": "APPROVED", "type": "SELF"},
        }

    def number_fields(self, phone_number_id: str) -> dict[str, Any]:
        """One number of the account."""
        return {
            "id": phone_number_id,
            "display_phone_number": self._config.display_of(phone_number_id),
            "verified_name": "Simulator",
            "name_status": "APPROVED",
            "quality_rating": self.quality_by_number.get(phone_number_id, self.quality),
            "quality_score": {"score": self.quality_by_number.get(phone_number_id, self.quality)},
            "code_verification_status": "VERIFIED",
            "platform_type": "CLOUD_API",
            "account_mode": "LIVE",
            "status": "CONNECTED",
            "is_official_business_account": False,
            "is_pin_enabled": True,
            "host_platform": "NOT_APPLICABLE",
            "throughput": {"level": "STANDARD" if self._config.mps else "HIGH"},
            "messaging_limit_tier": tier_of(self._config.portfolio_limit),
            "whatsapp_business_manager_messaging_limit": tier_of(self._config.portfolio_limit),
            "certificate": "",
            "health_status": {"can_send_message": "AVAILABLE", "entities": []},
        }

    def number_ids(self) -> list[str]:
        """The ids of the numbers of the account. If every id is known, there is one example."""
        return sorted(self._config.phone_number_ids or {"106540352242922"})
