"""The stage of a demo that uses a running installation: its addresses, once its parts are ready."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx

from cli.demo.stage import Stage
from cli.pipeline import PROBE_TIMEOUT_S, NotReady, answers
from operations.startup import usable_settings
from runtime.settings import InvalidSettings

READY_WITHIN_S = 120.0
PROBE_EVERY_S = 0.5


def running_site(api_url: str, simulator_url: str, note: Callable[[str], None]) -> Stage:
    """Wait until API and simulator answer.

    Raises InvalidSettings if the senders of these settings would not post to that simulator, and NotReady at the
    deadline.
    """
    settings = usable_settings()
    if settings.whatsapp_api_url.rstrip("/") != simulator_url.rstrip("/"):
        raise InvalidSettings(
            "CAMPAIGNS_WHATSAPP_API_URL: is not the address of --simulator. The demo sends to made-up numbers, "
            "so it runs against a simulator only"
        )
    _wait({"simulator": f"{simulator_url}/_simulator/state", "api": f"{api_url}/ready"}, note)
    return Stage(settings, api_url, simulator_url)


def _wait(addresses: dict[str, str], note: Callable[[str], None]) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    with httpx.Client(timeout=PROBE_TIMEOUT_S, trust_env=False) as client:
        for name, address in addresses.items():
            while not answers(client, address):
                if time.monotonic() > deadline:
                    raise NotReady(f"{name} did not answer at {address} within {READY_WITHIN_S:.0f} s")
                time.sleep(PROBE_EVERY_S)
            note(f"{name} is ready")
