"""The simulator's small parts: reading sends, rules, ids, webhook bodies, configuration."""

import base64
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from simulator.bodies import signature_of, webhook_body
from simulator.cloud_errors import CLOUD_ERRORS, ROWS, error_of
from simulator.command import configured
from simulator.config import Rule, SimulatorConfig, StatusConfig, every_code_by_number
from simulator.ledger import Entry, SentStatus
from simulator.rules import RuleBook
from simulator.sends import MalformedSend, Send, parse_send
from simulator.wamids import wamid_of

TEMPLATE = {"name": "promo", "language": {"code": "en_US"}}
SEND: dict[str, Any] = {
    "messaging_product": "whatsapp",
    "to": "+1 (650) 555-1234",
    "type": "template",
    "template": TEMPLATE,
}


def parsed(**changes: object) -> Send | MalformedSend:
    return parse_send(orjson.dumps({**SEND, **changes}))


def test_a_template_send_is_read() -> None:
    texts = [{"type": "text", "text": "Pablo"}, {"type": "text", "text": "20 %"}]
    template = {**TEMPLATE, "components": [{"type": "body", "parameters": texts}]}
    send = parsed(template=template, biz_opaque_callback_data="1.x")
    assert isinstance(send, Send)
    assert (send.to, send.number, send.callback) == ("+1 (650) 555-1234", "16505551234", "1.x")
    assert (send.template, send.language, send.body_parameters) == ("promo", "en_US", ("Pablo", "20 %"))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"messaging_product": "telegram"}, 100),
        ({"to": None}, 100),
        ({"to": "not a number"}, 131009),
        ({"to": "123"}, 131009),
        ({"type": "fax"}, 100),
        ({"template": None}, 131008),
        ({"template": {"language": {"code": "en"}}}, 131008),
        ({"template": {"name": "promo"}}, 131008),
        ({"template": {**TEMPLATE, "components": [1]}}, 100),
        ({"biz_opaque_callback_data": "x" * 513}, 131009),
        ({"biz_opaque_callback_data": 7}, 131009),
        ({"type": "text", "text": {}}, 131008),
    ],
)
def test_a_malformed_send_gets_the_code_that_the_api_gives(changes: dict[str, object], code: int) -> None:
    refusal = parsed(**changes)
    assert isinstance(refusal, MalformedSend)
    assert refusal.code == code


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"7", b"\xff"])
def test_what_is_no_json_object_is_an_invalid_parameter(raw: bytes) -> None:
    refusal = parse_send(raw)
    assert isinstance(refusal, MalformedSend)
    assert refusal.code == 100


def test_the_most_exact_rule_wins() -> None:
    book = RuleBook(
        [
            Rule(outcome="held"),
            Rule(suffix="34", outcome="hang"),
            Rule(suffix="1234", outcome="cut_before", posts=2),
            Rule(numbers=frozenset({"+16505551234"}), outcome="cut_after", template="promo"),
        ]
    )
    found = [
        book.rule_of("16505551234", "promo", 1),
        book.rule_of("16505551234", "other", 2),
        book.rule_of("16505551234", "other", 3),
        book.rule_of("16505551299", None, 1),
    ]
    assert [rule.outcome for rule in found if rule] == ["cut_after", "cut_before", "hang", "held"]


def test_of_two_equal_rules_the_latest_wins_and_clearing_removes_all() -> None:
    book = RuleBook([Rule(suffix="1", outcome="hang"), Rule(suffix="1", outcome="held")])
    rule = book.rule_of("4911", None, 1)
    assert rule is not None
    assert rule.outcome == "held"
    book.clear()
    assert book.rule_of("4911", None, 1) is None


def test_a_rule_that_needs_a_code_says_so() -> None:
    with pytest.raises(ValidationError, match="needs a code"):
        Rule(outcome="reject")


def test_the_error_table_names_each_code_once() -> None:
    assert len(ROWS) == len(CLOUD_ERRORS)
    assert error_of(999_999_999).http_status == 400


def test_a_wamid_looks_like_metas_and_holds_the_number() -> None:
    wamid = wamid_of("16505551234", "salt", 1)
    assert wamid.startswith("wamid.HBgL")
    assert b"16505551234" in base64.b64decode(wamid.removeprefix("wamid."))
    assert len({wamid_of("16505551234", salt, n) for salt in "ab" for n in range(100)}) == 200


def said(status: str, code: int | None = None, version: str = "v25.0", endpoint: str = "messages") -> SentStatus:
    send = Send("+16505551234", "16505551234", None, "template", "1.x", "promo")
    entry = Entry(1, 0.0, version, "106540352242922", endpoint, send, wamid="wamid.X")
    one = SentStatus(entry, status, 1750000000, code, True, 1)
    entry.statuses = (one,)
    return one


def status_in(config: SimulatorConfig, one: SentStatus) -> dict[str, Any]:
    value = orjson.loads(webhook_body(config, [one]))["entry"][0]["changes"][0]["value"]
    status: dict[str, Any] = value["statuses"][0]
    return status


def test_a_webhook_has_metas_envelope() -> None:
    body = orjson.loads(webhook_body(SimulatorConfig(), [said("sent")]))
    assert body["object"] == "whatsapp_business_account"
    change = body["entry"][0]["changes"][0]
    assert change["field"] == "messages"
    assert change["value"]["messaging_product"] == "whatsapp"
    assert change["value"]["metadata"]["phone_number_id"] == "106540352242922"
    assert change["value"]["contacts"][0]["wa_id"] == "16505551234"
    status = change["value"]["statuses"][0]
    assert (status["id"], status["status"], status["timestamp"]) == ("wamid.X", "sent", "1750000000")
    assert (status["recipient_id"], status["biz_opaque_callback_data"]) == ("16505551234", "1.x")
    assert status["pricing"] == {"billable": True, "pricing_model": "PMP", "category": "marketing", "type": "regular"}


def test_conversations_ended_with_v24() -> None:
    assert "conversation" not in status_in(SimulatorConfig(), said("sent", version="v24.0"))
    old = status_in(SimulatorConfig(), said("sent", version="v23.0"))
    assert old["conversation"]["expiration_timestamp"] == "1750086400"
    assert "expiration_timestamp" not in status_in(SimulatorConfig(), said("read", version="v23.0"))["conversation"]
    told = SimulatorConfig(statuses=StatusConfig(version="v21.0"))
    assert "conversation" in status_in(told, said("sent", version="v25.0"))


def test_a_failed_status_has_errors_and_neither_contacts_nor_pricing() -> None:
    body = orjson.loads(webhook_body(SimulatorConfig(), [said("failed", 131049)]))
    value = body["entry"][0]["changes"][0]["value"]
    assert "contacts" not in value
    status = value["statuses"][0]
    assert "pricing" not in status
    assert status["errors"][0]["code"] == 131049
    assert set(status["errors"][0]) == {"code", "title", "message", "error_data", "href"}


def test_the_marketing_endpoint_is_charged_as_marketing_lite() -> None:
    status = status_in(SimulatorConfig(), said("sent", endpoint="marketing_messages"))
    assert status["pricing"]["category"] == "marketing_lite"


def test_several_entries_hold_each_status_once() -> None:
    batch = [said("sent"), said("read"), said("failed", 1)]
    entries = orjson.loads(webhook_body(SimulatorConfig(), batch, in_entries=True))["entry"]
    assert [len(entry["changes"][0]["value"]["statuses"]) for entry in entries] == [1, 2]


def test_the_signature_is_that_of_the_published_vector() -> None:
    body = b'{"t":"\\u00e4\\u00f6\\u00e5"}'
    expected = "babc2e7d2e280433f172439f1039aa1304bb810c040520c21dfd5ed1a9729b09"
    assert signature_of(b"app_secret", body) == f"sha256={expected}"


def test_secrets_are_masked_wherever_the_configuration_is_shown() -> None:
    config = SimulatorConfig.model_validate({"app_secret": "tell-no-one", "access_token": "tell-no-one"})
    assert "tell-no-one" not in repr(config) + config.model_dump_json()


def test_options_go_over_the_file_and_the_file_over_the_preset(tmp_path: Path) -> None:
    file = tmp_path / "simulator.json"
    file.write_bytes(orjson.dumps({"seed": 7, "port": 1, "answers": {"errors": {"2": 1.0}}, "app_secret": "s"}))
    config = configured("realistic", file, {"port": 9}, batch=1, codes_by_number=True)
    assert (config.seed, config.port, config.webhooks.batch_statuses_max) == (7, 9, 1)
    assert config.answers.errors == {2: 1.0}
    assert config.answers.held_share == 0.01
    assert config.app_secret.get_secret_value() == "s"
    assert config.rules == every_code_by_number()


def test_a_misspelled_setting_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "simulator.json"
    file.write_bytes(b'{"sead": 7}')
    with pytest.raises(ValidationError, match="sead"):
        configured("tidy", file, {}, None, codes_by_number=False)


def test_it_imports_nothing_of_the_pipeline() -> None:
    code = (
        "import simulator.command, sys; "
        "ours = {'domain', 'streams', 'schemas', 'sinks', 'producers', 'runtime'}; "
        "print(ours & {name.partition('.')[0] for name in sys.modules})"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"
