"""Records of version 1. Some are stored forever, so each later version must read them completely.

The files are never edited. A new field needs a default; another shape needs another version, with samples beside these.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.codec import decode, encode
from schemas.control import ControlKind
from schemas.events import EventKind
from schemas.published import PUBLISHED
from schemas.sources import Source
from schemas.subscriptions import SubscriptionKind
from tests.support.paths import FIXTURES

FOLDER = FIXTURES / "records" / "v1"
MODELS = {each.record.__name__: each.record for each in PUBLISHED}
SAMPLES = sorted(FOLDER.glob("*.json"))


def _content(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_bytes())
    return content


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_every_field_of_a_stored_record_is_read(path: Path) -> None:
    again = json.loads(encode(decode(MODELS[path.stem.partition(".")[0]], path.read_bytes())))
    kept = _content(path)
    assert {name: again.get(name) for name in kept} == kept


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_field_of_a_newer_producer_is_ignored(path: Path) -> None:
    model = MODELS[path.stem.partition(".")[0]]
    newer = json.dumps(_content(path) | {"added_later": {"by": "version 2"}}).encode()
    assert decode(model, newer) == decode(model, path.read_bytes())


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_has_every_required_field_and_no_undescribed_field(path: Path) -> None:
    described = MODELS[path.stem.partition(".")[0]].model_json_schema()
    kept = _content(path)
    assert set(described["required"]) <= set(kept) <= set(described["properties"])


def test_there_is_a_sample_of_each_record_and_kind() -> None:
    contents = {path.stem: _content(path) for path in SAMPLES}
    assert {name.partition(".")[0] for name in contents} == set(MODELS)
    assert _values(contents, "RecipientEvent", "kind") == set(EventKind)
    assert _values(contents, "ControlEvent", "kind") == set(ControlKind)
    assert _values(contents, "SubscriptionEvent", "kind") == set(SubscriptionKind)
    assert _values(contents, "SubscriptionEvent", "source") == set(Source)


def _values(contents: dict[str, dict[str, Any]], record: str, field: str) -> set[str]:
    return {content[field] for name, content in contents.items() if name.startswith(f"{record}.")}
