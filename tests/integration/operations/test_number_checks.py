"""Each number is checked at a simulated Cloud API with its own token; one that fails hides no other."""

from __future__ import annotations

import asyncio

from pydantic import SecretStr

from operations.number_checks import check_numbers
from runtime.sending_numbers import SendingNumber
from runtime.settings import Settings
from tests.support.simulated_account import simulated_account


async def test_each_number_is_checked_with_its_token() -> None:
    numbers = (
        SendingNumber(phone_number_id="106540352242922", access_token=SecretStr("wrong")),
        SendingNumber(phone_number_id="106540352242923"),
    )
    async with simulated_account() as account:
        settings = Settings(
            kafka_bootstrap_servers="k:1", database_url=SecretStr("postgresql://p/d"), whatsapp_numbers=numbers,
            **account.settings,
        )  # fmt: skip
        found = await asyncio.to_thread(lambda: list(check_numbers(settings)))
    assert [(number, judged.state) for number, judged in found] == [
        ("106540352242922", "wrong"), ("106540352242923", "ok"),
    ]  # fmt: skip
    assert "code 190" in found[0][1].found


async def test_a_server_that_does_not_answer_is_a_warning() -> None:
    settings = Settings(
        kafka_bootstrap_servers="k:1", database_url=SecretStr("postgresql://p/d"), whatsapp_phone_number_id="1",
        whatsapp_access_token=SecretStr("simulated"), whatsapp_api_url="http://127.0.0.1:9",
    )  # fmt: skip
    [(_, found)] = await asyncio.to_thread(lambda: list(check_numbers(settings)))
    assert (found.state, "cannot be reached" in found.found) == ("warning", True)
