"""Log lines of the processes have the same fields for the same things, and show neither people nor secrets."""

from __future__ import annotations

import ast
import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from runtime import logs
from runtime.settings import Settings
from tests.support.paths import ROOT

PACKAGES = ("api", "producers", "runtime", "sinks", "streams", "tables", "topics")
METHODS = {"debug", "info", "warning", "error", "exception"}
OTHER_NAMES = {
    "campaign": "campaign_id", "recipient": "recipient_id", "phone": "mask_phone", "phone_number": "mask_phone",
    "person": "mask_phone", "number": "phone_number_id", "body": "nothing", "value": "nothing", "token": "nothing",
    "secret": "nothing", "password": "nothing", "url": "nothing", "id": "the name of what it identifies",
}  # fmt: skip
"""Fields that no line has, and what to log instead."""
MASKED = {"wamid": "mask_wamid"}
"""Fields whose value must be the result of a function."""
PHONE, WAMID, TOKEN = "14694652751", "wamid.HBgLMTQ2OTQ2NTI3NTEVAgARGBI5QTNDQTVCM0Q0Q0Q2RTY3RTcA", "EAAtokenmarker0123"
BARE_PHONE = re.compile(PHONE)


def calls() -> Iterator[tuple[Path, ast.Call]]:
    """Every call of a logger in the processes."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
                    owner = ast.unparse(node.func.value)
                    if re.search(r"(^|\.)_?log$|get_logger\(", owner):
                        yield path.relative_to(ROOT), node


CALLS = list(calls())


def test_each_field_has_one_name_in_all_lines() -> None:
    assert len(CALLS) > 60
    found = [
        f"{path}:{call.lineno} {field.arg}: log {OTHER_NAMES[field.arg]}"
        for path, call in CALLS
        for field in call.keywords
        if field.arg in OTHER_NAMES
    ]
    assert found == []


def test_a_message_id_is_masked_where_it_is_logged() -> None:
    found = [
        f"{path}:{call.lineno} {field.arg}"
        for path, call in CALLS
        for field in call.keywords
        if field.arg in MASKED and not ast.unparse(field.value).startswith(MASKED[field.arg])
    ]
    assert found == []


def test_an_event_is_a_fixed_text() -> None:
    """Lines are counted and found by their event, so values are in fields."""
    found = [
        f"{path}:{call.lineno}"
        for path, call in CALLS
        for text in call.args[:1]
        if isinstance(text, ast.JoinedStr)
        for part in text.values
        if isinstance(part, ast.FormattedValue) and not ast.unparse(part.value).endswith("kind.value")
    ]
    assert found == []


def test_each_event_has_an_action_and_only_events_of_one_package_share_one() -> None:
    by_action: dict[str, set[str]] = {}
    packages: dict[str, set[str]] = {}
    for path, call in CALLS:
        if call.args and isinstance(call.args[0], ast.Constant):
            event = str(call.args[0].value)
            action = logs.action_of(event)
            assert re.fullmatch(r"[a-z][a-z0-9_]{3,59}", action), f"{path}:{call.lineno}: {action}"
            by_action.setdefault(action, set()).add(event)
            packages.setdefault(action, set()).add(str(path.parent))
    assert {action: packages[action] for action, events in by_action.items() if len(events) > 1} == {
        "a_row_is_locked": {"producers/scheduler"},
        "kafka_is_away": {"producers/scheduler"},
    }


def test_a_json_line_has_an_action(lines: io.StringIO) -> None:
    structlog.get_logger("test").warning("batch failed; it is retried", records=3)
    logging.getLogger("librdkafka").warning("GETPID: failed")
    ours, of_library = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert (ours["action"], ours["event"]) == ("batch_failed", "batch failed; it is retried")
    assert of_library["action"] == "library_line"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    logs.configure(Settings.model_validate({"kafka_bootstrap_servers": "k:1", "database_url": "postgresql://x",
                                            "log_format": "json"}), process="sink")  # fmt: skip
    written = io.StringIO()
    (handler,) = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(written)
    yield written
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize("field", ["event", "error", "reason", "work", "line", "settings", "detail"])
def test_no_field_of_a_line_shows_a_phone_number_a_message_id_or_a_secret(field: str, lines: io.StringIO) -> None:
    text = f"refused for {PHONE} with {WAMID} and Bearer {TOKEN}"
    log = structlog.get_logger("test")
    if field == "event":
        log.warning(text)
    else:
        log.warning("refused", **{field: text})
        log.warning("refused", **{field: [text, {"inner": (text,)}]})
    logging.getLogger("librdkafka").warning(text)
    for line in lines.getvalue().splitlines():
        found = json.loads(line)
        assert {"event", "level", "logger", "timestamp", "process"} <= found.keys()
        assert not BARE_PHONE.search(line)
        assert WAMID not in line
        assert TOKEN not in line


def test_ids_stay_as_they_are(lines: io.StringIO) -> None:
    fields = {"campaign_id": "0190b7f2-6a3c-7d41-8e55-3f9a1c2e77b0", "phone_number_id": "106540352242922",
              "place": "webhooks.raw/3@170000000", "key": "106540352242922/spring_offer"}  # fmt: skip
    structlog.get_logger("test").info("kept", offsets={0: 12345678901}, **fields)
    found = json.loads(lines.getvalue())
    assert {name: found[name] for name in fields} == fields
    assert found["offsets"] == {"0": 12345678901}
