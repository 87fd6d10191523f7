"""Schemas are registered once, with their compatibility, and a schema that readers could not read is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from cli.confirmation import Consent
from cli.schemas import EXIT_INCOMPATIBLE, register_schemas
from runtime.process import EXIT_OK, EXIT_USAGE, Transient
from runtime.schema_registry import SchemaRegistry, SubjectState
from runtime.settings import Settings, read_settings
from schemas.published import PUBLISHED
from tests.support.registries import PASSWORD, USER, apicurio, small_registry

YES = Consent(is_given=True)
STATS = "own.campaign.stats-value"


def settings_of(url: str) -> Settings:
    return read_settings(
        {
            "CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": "k:1",
            "CAMPAIGNS_DATABASE_URL": "postgresql://x",
            "CAMPAIGNS_TOPIC_PREFIX": "own.",
            "CAMPAIGNS_SCHEMA_REGISTRY_URL": url,
        }
    )


@pytest.fixture(params=["small", pytest.param("apicurio", marks=pytest.mark.slow)])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "apicurio":
        with apicurio(tmp_path) as url:
            yield url
    else:
        with small_registry() as (url, _):
            yield url


def test_schemas_are_registered_once(registry: str, capsys: pytest.CaptureFixture[str]) -> None:
    settings = settings_of(registry)
    assert register_schemas(settings, Consent(is_dry=True)) == EXIT_OK
    assert f"{STATS} (new)" in capsys.readouterr().err
    with SchemaRegistry(settings) as found:
        assert {each.state for each in found.compare()} == {SubjectState.NEW}, "a dry run registers nothing"
    assert register_schemas(settings, YES) == EXIT_OK
    assert capsys.readouterr().err.count("registered own.") == len(PUBLISHED)
    assert register_schemas(settings, YES) == EXIT_OK
    assert "nothing to do" in capsys.readouterr().err
    with httpx.Client(base_url=registry, trust_env=False) as client:
        stored = client.get(f"/subjects/{STATS}/versions").json()
    assert stored == [1]


def test_a_subject_with_another_schema_is_changed_or_refused(registry: str, capsys: pytest.CaptureFixture[str]) -> None:
    settings = settings_of(registry)
    draft = {"$schema": "http://json-schema.org/draft-07/schema#"}
    fewer = {**draft, "type": "object", "properties": {"v": {"type": "integer"}}}
    other = {**draft, "type": "object", "properties": {"sent": {"type": "string"}}}
    with httpx.Client(base_url=registry, trust_env=False) as client:
        for topic, schema in (("campaign.timeline", fewer), ("campaign.stats", other)):
            body = {"schemaType": "JSON", "schema": json.dumps(schema)}
            client.post(f"/subjects/own.{topic}-value/versions", json=body).raise_for_status()
            client.put(f"/config/own.{topic}-value", json={"compatibility": "FORWARD"}).raise_for_status()
        with SchemaRegistry(settings) as found:
            states = {each.name: each.state for each in found.compare()}
        assert states["own.campaign.timeline-value"] is SubjectState.CHANGED
        assert states[STATS] is SubjectState.INCOMPATIBLE
        assert register_schemas(settings, YES) == EXIT_INCOMPATIBLE
        assert "could not read" in capsys.readouterr().err
        listed = client.get("/subjects/own.recipient.events-value/versions")
    assert listed.status_code == 404, "one incompatible schema keeps all from being registered"


def test_the_registry_takes_a_user_and_refuses_others(capsys: pytest.CaptureFixture[str]) -> None:
    with small_registry(password=PASSWORD) as (url, found):
        settings = settings_of(url)
        assert register_schemas(settings, YES) == EXIT_USAGE
        assert "CAMPAIGNS_SCHEMA_REGISTRY_PASSWORD" in capsys.readouterr().err
        given = {"schema_registry_user": SecretStr(USER), "schema_registry_password": SecretStr(PASSWORD)}
        assert register_schemas(settings.model_copy(update=given), YES) == EXIT_OK
        assert found.registered == len(found.levels) == len(PUBLISHED)
        assert set(found.levels.values()) == {"FORWARD"}
    with pytest.raises(Transient, match="does not answer"):
        register_schemas(settings, YES)
    assert register_schemas(settings.model_copy(update={"schema_registry_url": ""}), YES) == EXIT_USAGE
