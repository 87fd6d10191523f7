"""The configuration checks its rules and masks its secrets."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from simulator.config import Rule, SimulatorConfig


def test_a_rule_without_its_code_is_refused() -> None:
    with pytest.raises(ValidationError, match="needs a code"):
        Rule(outcome="reject")


def test_secrets_are_masked_in_every_output_of_the_configuration() -> None:
    config = SimulatorConfig.model_validate({"app_secret": "tell-no-one", "access_token": "tell-no-one"})
    assert "tell-no-one" not in repr(config) + config.model_dump_json()
