"""A simulated Cloud API whose account has the templates that a test names, and the settings that lead to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from simulator.config import SimulatorConfig, TemplateConfig
from simulator.server import Simulator
from tests.contract.simulator_client import quick
from tests.support.templates import row

TOKEN = "simulated"


@dataclass(frozen=True, slots=True)
class SimulatedAccount:
    """A running simulator and its address."""

    simulator: Simulator
    url: str
    config: SimulatorConfig

    @property
    def settings(self) -> dict[str, Any]:
        """Settings that lead to the account."""
        return {
            "whatsapp_api_url": self.url,
            "whatsapp_account_id": self.config.waba_id,
            "whatsapp_access_token": SecretStr(TOKEN),
        }

    def add(self, *components: dict[str, Any], **changed: Any) -> None:
        """Add a template, which replaces that of the same name and language."""
        self.simulator.account.templates.add(template_config(*components, **changed))


def template_config(*components: dict[str, Any], **changed: Any) -> TemplateConfig:
    """A template of the simulator, named as `tests.support.templates` names it."""
    described: Mapping[str, Any] = row(*components, **changed)
    named = {name: described[name] for name in ("name", "language", "status", "category", "parameter_format")}
    return TemplateConfig.model_validate({**named, "components": described["components"]})


@asynccontextmanager
async def simulated_account(*templates: TemplateConfig, **changed: Any) -> AsyncIterator[SimulatedAccount]:
    """Run a simulator with these templates until the block ends."""
    config = quick(templates=templates, access_token=SecretStr(TOKEN), **changed)
    simulator = Simulator(config)
    port = await simulator.start()
    try:
        yield SimulatedAccount(simulator, f"http://127.0.0.1:{port}", config)
    finally:
        await simulator.stop()
