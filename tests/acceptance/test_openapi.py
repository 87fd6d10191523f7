"""The API answers as its OpenAPI document says, to right and to wrong requests: `schemathesis` invents thousands."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.support.paths import ROOT
from tests.support.served_api import ServedApi, served_api, simulated_templates

CONFIGURATION = ROOT / "tests" / "support" / "schemathesis.toml"
EXAMPLES = 25
"""Generated requests of each kind and operation."""


@pytest.mark.slow
def test_every_answer_is_documented_and_every_documented_request_is_accepted(
    database_url: str, kafka: str, topic_prefix: str, tmp_path: Path
) -> None:
    with (
        simulated_templates() as account,
        served_api(database_url, kafka, topic_prefix, tmp_path, with_key=True, account=account) as api,
    ):
        campaign = _active_campaign(api)
        done = subprocess.run(
            [
                Path(sys.executable).with_name("schemathesis"), "--config-file", CONFIGURATION,
                "run", f"{api.url}/openapi.json", "--checks", "all", "--seed", "1", "--max-examples", str(EXAMPLES),
            ],
            cwd=tmp_path,
            env={**os.environ, "API_KEY": ServedApi.key, "CAMPAIGN_ID": campaign, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "No issues found" in done.stdout, done.stdout
        assert "unhandled exception" not in api.process.log


def _active_campaign(api: ServedApi) -> str:
    """Create a campaign with one recipient, and activate it. No scheduler runs, so nothing is sent."""
    campaigns = f"{api.url}/api/marketing/campaigns"
    with httpx.Client(headers={"X-API-Key": api.key}) as http:
        created = http.post(campaigns, json={"name": "Spring", "template_name": "sale", "language_code": "en_US"})
        campaign = str(created.raise_for_status().json()["id"])
        numbers = {"phone_numbers": ["14694652751"]}
        http.post(f"{campaigns}/{campaign}/recipients", json=numbers).raise_for_status()
        http.post(f"{campaigns}/{campaign}/activate").raise_for_status()
    return campaign
