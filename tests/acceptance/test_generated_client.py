"""A client that openapi-python-client generates from the document runs a campaign, and understands every refusal."""

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints
from uuid import uuid4

import httpx
import pytest

from tests.support.served_api import ServedApi, served_api

PACKAGE = "generated_campaigns_client"


class Generated:
    """The generated package, whose modules no type checker can know."""

    def operation(self, tag: str, name: str) -> Any:
        return importlib.import_module(f"{PACKAGE}.api.{tag}.{name}")

    @property
    def models(self) -> Any:
        return importlib.import_module(f"{PACKAGE}.models")

    def client(self, url: str, key: str) -> Any:
        made = importlib.import_module(PACKAGE).AuthenticatedClient
        return made(url, token=key, raise_on_unexpected_status=True)


@pytest.fixture
def api(database_url: str, kafka: str, topic_prefix: str, tmp_path: Path) -> Iterator[ServedApi]:
    with served_api(database_url, kafka, topic_prefix, tmp_path, with_key=True) as served:
        yield served


@pytest.fixture
def generated(api: ServedApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generated:
    document = httpx.get(f"{api.url}/openapi.json", headers={"X-API-Key": api.key}).raise_for_status()
    (tmp_path / "openapi.json").write_bytes(document.content)
    streamed = dict.fromkeys(("text/csv", "application/x-ndjson"), "application/octet-stream")
    configuration = {"post_hooks": [], "content_type_overrides": streamed}
    (tmp_path / "generator.json").write_text(json.dumps(configuration))
    subprocess.run(
        [
            Path(sys.executable).with_name("openapi-python-client"), "generate", "--meta", "none", "--fail-on-warning",
            "--path", "openapi.json", "--config", "generator.json", "--output-path", PACKAGE,
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )  # fmt: skip
    monkeypatch.syspath_prepend(str(tmp_path))
    return Generated()


@pytest.mark.slow
def test_a_generated_client_runs_a_campaign_and_gets_typed_problems(api: ServedApi, generated: Generated) -> None:
    models = generated.models
    with generated.client(api.url, api.key) as client:
        run_campaign(generated, models, client)
    check_types(models)


def run_campaign(generated: Generated, models: Any, client: Any) -> None:
    campaign = generated.operation("campaigns", "create_campaign").sync(
        client=client,
        body=models.CampaignIn(name="Spring", template_name="spring_offer", language_code="en_US"),
        idempotency_key=str(uuid4()),
    )
    assert isinstance(campaign, models.CampaignOut)
    assert campaign.status is models.CampaignStatus.DRAFT

    added = generated.operation("recipients", "add_recipients").sync(
        str(campaign.id),
        client=client,
        body=models.RecipientsIn(
            phone_numbers=[
                "14694652751",
                19453083188,
                models.RecipientIn("+1 469 465 2753", template_parameters=["Ana", "19.90"]),
                models.RecipientIn("+1 469 465 2754", template_parameters=["Ana\n"]),
                "abc",
            ]
        ),
    )
    assert isinstance(added, models.RecipientsAdded)
    assert added.added == 3
    assert [each.reason for each in added.invalid] == [
        models.ParameterRefusal.PARAMETER_WHITESPACE,
        models.RecipientRefusal.NOT_A_PHONE_NUMBER,
    ]

    activated = generated.operation("campaigns", "activate_campaign").sync(str(campaign.id), client=client)
    assert activated.status is models.CampaignStatus.ACTIVE
    stats = generated.operation("campaigns", "read_stats")
    assert stats.sync(str(campaign.id), client=client).total_target == 3

    unknown = stats.sync_detailed(str(uuid4()), client=client)
    assert unknown.status_code == 404
    assert isinstance(unknown.parsed, models.Problem)
    assert unknown.parsed.code is models.ProblemCode.UNKNOWN_CAMPAIGN

    refused = generated.operation("campaigns", "create_campaign").sync_detailed(
        client=client, body=models.CampaignIn(name=" ", template_name="spring offer", language_code="english")
    )
    assert refused.status_code == 422
    assert isinstance(refused.parsed, models.Problem)
    assert refused.parsed.code is models.ProblemCode.INVALID_FIELD
    assert {each.field for each in refused.parsed.errors} == {"name", "template_name", "language_code"}

    conflict = generated.operation("campaigns", "activate_campaign").sync(str(campaign.id), client=client)
    assert conflict.code is models.ProblemCode.WRONG_STATE


def check_types(models: Any) -> None:
    reasons = get_type_hints(models.InvalidRecipient)["reason"]
    assert set(get_args(reasons)) == {models.ParameterRefusal, models.RecipientRefusal}
    module = importlib.import_module(f"{PACKAGE}.models.recipients_in")
    numbers = get_type_hints(models.RecipientsIn, {**vars(module), "RecipientIn": models.RecipientIn})["phone_numbers"]
    (item,) = get_args(numbers)
    assert set(get_args(item)) == {str, float, models.RecipientIn}
