"""The public description equals the models and topics, and has all that a reader of the records needs."""

import json
import sys
from pathlib import Path

import pytest

from schemas.topics import BY_NAME, Topic
from scripts import export_schemas
from tests.support.paths import ROOT

FOLDER = ROOT / "docs" / "schemas"


def test_the_files_equal_the_models() -> None:
    found = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    assert found == export_schemas.documents(), "run `make docs`"


def test_main_writes_every_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["export", str(tmp_path / "new")])
    export_schemas.main()
    assert {path.name for path in (tmp_path / "new").iterdir()} == set(export_schemas.documents())


def test_each_channel_names_its_key_and_retention() -> None:
    document = json.loads(export_schemas.documents()[export_schemas.ASYNCAPI])
    assert set(document["channels"]) == {
        Topic.SEND_JOBS,
        Topic.RECIPIENT_EVENTS,
        Topic.SUBSCRIPTION_EVENTS,
        Topic.CAMPAIGN_CONTROL,
        Topic.CAMPAIGN_STATS,
        Topic.CAMPAIGN_TIMELINE,
    }
    for name, channel in document["channels"].items():
        kafka = channel["bindings"]["kafka"]
        assert kafka["topicConfiguration"]["retention.ms"] == BY_NAME[name].retention_ms
        assert kafka["partitions"] == BY_NAME[name].partitions
    for message in document["components"]["messages"].values():
        assert message["bindings"]["kafka"]["key"]["description"]


def test_every_property_is_described() -> None:
    documents = {name: json.loads(text) for name, text in export_schemas.documents().items()}
    bare = [
        f"{name}: {title}.{field}"
        for name, content in documents.items()
        for title, model in [(name, content), *content.get("$defs", {}).items()]
        for field, schema in model.get("properties", {}).items()
        if not schema.get("description")
    ]
    assert bare == []


def test_every_reference_has_a_target() -> None:
    documents = {name: json.loads(text) for name, text in export_schemas.documents().items()}
    references = [(name, each) for name, content in documents.items() for each in _references(content)]
    assert references
    for name, reference in references:
        file, _, pointer = reference.partition("#")
        found = documents[file.removeprefix("./") or name]
        for part in pointer.split("/")[1:]:
            found = found[part]


def _references(content: object) -> list[str]:
    if isinstance(content, list):
        return [each for inner in content for each in _references(inner)]
    if not isinstance(content, dict):
        return []
    own = [content["$ref"]] if isinstance(content.get("$ref"), str) else []
    return own + [each for inner in content.values() for each in _references(inner)]
