"""pywa, a client library of the Cloud API that others wrote, as a client of the simulator."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import httpx
from pywa import WhatsApp

PHONE_NUMBER_ID = "106540352242922"
ACCOUNT_ID = "102290129340398"
APP_SECRET = "simulator-app-secret"
Result = TypeVar("Result")


async def use_library(url: str, act: Callable[[WhatsApp], Result]) -> Result:
    """Use the library's client with a simulator at this address. It blocks, so it runs in a thread."""

    def call() -> Result:
        with httpx.Client(timeout=10.0, trust_env=False) as session:
            client = WhatsApp(
                phone_id=PHONE_NUMBER_ID, token="token", session=session, waba_id=ACCOUNT_ID, api_version=25.0
            )
            session.base_url = httpx.URL(f"{url}/v25.0")
            return act(client)

    return await asyncio.to_thread(call)


def library_receiver() -> WhatsApp:
    """The library's receiver of webhooks: it checks the signature and parses the body."""
    return WhatsApp(server=None, verify_token="verify", app_secret=APP_SECRET)
