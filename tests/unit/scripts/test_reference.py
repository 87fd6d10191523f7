"""The reference pages equal the code, and no metric, reason, topic or setting is missing from them."""

import re
from pathlib import Path

import pytest

from domain.people import ALIASES
from runtime import metrics
from runtime.settings import Settings
from runtime.settings_setup import SETUP_ONLY
from schemas.reasons import REASON_CODES
from schemas.topics import SPECS, USES, Topic
from scripts import reference

PAGES = reference.documents()
ENTRY = re.compile(r"^(?:- |\| )`([^`]+)`", re.MULTILINE)
SECRETS = {
    "reader_password",
    "database_url", "whatsapp_access_token", "callback_secret", "webhook_app_secrets", "webhook_verify_token",
    "api_keys", "kafka_user", "kafka_password", "kafka_extra", "schema_registry_user",
    "schema_registry_password",
}  # fmt: skip


def entries(page: str) -> list[str]:
    return ENTRY.findall(PAGES[page])


def test_the_files_equal_the_code() -> None:
    found = {path.name: path.read_text(encoding="utf-8") for path in reference.FOLDER.glob("*.md")}
    assert found == PAGES, "run `make docs`"


def test_main_writes_every_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "FOLDER", tmp_path / "new")
    reference.main()
    assert {path.name for path in (tmp_path / "new").iterdir()} == set(PAGES)


def test_every_spelling_is_listed_with_its_source() -> None:
    page = " ".join(PAGES["people.md"].split())
    assert all(alias.source in page and f"`{alias.key}`" in page for alias in ALIASES)
    assert page.count(" → ") == len(ALIASES)


def test_every_metric_that_prometheus_shows_is_listed() -> None:
    shown = set(re.findall(r"^# TYPE (\S+)", metrics.exposition().decode(), re.MULTILINE))
    shown = {name for name in shown if not name.endswith("_created")}
    assert shown
    assert set(entries("metrics.md")) == shown


def test_every_reason_code_is_listed_in_its_table() -> None:
    assert entries("reasons.md") == [code.value for table in REASON_CODES for code in table]


def test_every_topic_is_listed_with_its_use() -> None:
    assert set(entries("topics.md")) == {spec.name for spec in SPECS}
    assert set(USES) == set(Topic)


def test_every_setting_is_listed_with_a_meaning() -> None:
    names = [f"CAMPAIGNS_{name.upper()}" for name in (*Settings.model_fields, *SETUP_ONLY)]
    assert entries("settings.md") == names
    for name, field in Settings.model_fields.items():
        assert re.fullmatch(r"[A-Z].*\.", field.description or ""), name


def test_secrets_are_marked() -> None:
    assert {name for name, field in Settings.model_fields.items() if reference.is_secret(field)} == SECRETS
    marked = re.findall(r"`CAMPAIGNS_(\w+)` \([^)]*\*\*secret\*\*", PAGES["settings.md"])
    assert {name.lower() for name in marked} == SECRETS
