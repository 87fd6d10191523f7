"""The client and the simulator: what each endpoint takes, and what a wrong number of parameters is answered."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from domain.outcomes import Accepted, Outcome, Rejected
from schemas.jobs import SendJob
from schemas.model import CampaignId, RecipientId
from streams.sender.cloud_api import MESSAGES, CloudApi, Endpoint
from tests.support.simulated_account import TOKEN, SimulatedAccount, simulated_account, template_config
from tests.support.templates import body

MARKETING = Endpoint("marketing_messages", "STRICT")
OFFER = template_config(body("Hi {{1}}"))
NOTICE = template_config(body("Hi {{1}}"), name="notice", category="UTILITY")


async def posted(account: SimulatedAccount, endpoint: Endpoint, name: str, *parameters: str) -> Outcome:
    job = SendJob(
        campaign_id=CampaignId(UUID(int=1)), recipient_id=RecipientId(UUID(int=2)), attempt=1,
        phone_number_id="106540352242922", phone_number="14694652751", template_name=name, language_code="en_US",
        template_parameters=list(parameters), send_before=datetime(2100, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    api = CloudApi(url=account.url, version="v25.0", access_token=SecretStr(TOKEN), timeout_s=5, endpoint=endpoint)
    async with api:
        return await api.post(job, "1.data")


@pytest.mark.parametrize("endpoint", [MESSAGES, MARKETING])
async def test_both_endpoints_take_marketing_templates(endpoint: Endpoint) -> None:
    async with simulated_account(OFFER) as account:
        assert isinstance(await posted(account, endpoint, "spring_offer", "Ana"), Accepted)
        [entry] = account.simulator.ledger.entries
        assert (entry.endpoint, entry.category) == (endpoint.name, "marketing")


@pytest.mark.parametrize(
    ("changed", "endpoint", "name", "parameters", "code"),
    [
        ({"marketing_endpoint_only": True}, MESSAGES, "spring_offer", ("Ana",), 131063),
        ({}, MARKETING, "notice", ("Ana",), 134100),
        ({}, Endpoint("marketing_messages", "SOMETIMES"), "spring_offer", ("Ana",), 100),
        ({}, MESSAGES, "spring_offer", ("Ana", "Bo"), 132000),
        ({}, MESSAGES, "spring_offer", (), 132000),
    ],
)
async def test_what_an_endpoint_does_not_take_is_refused_with_its_code(
    changed: dict[str, Any], endpoint: Endpoint, name: str, parameters: tuple[str, ...], code: int
) -> None:
    async with simulated_account(OFFER, NOTICE, **changed) as account:
        outcome = await posted(account, endpoint, name, *parameters)
    assert isinstance(outcome, Rejected)
    assert outcome.code == code
