"""Webhook bodies and their signature have Meta's form."""

from __future__ import annotations

from typing import Any

import orjson

from simulator.bodies import signature_of, webhook_body
from simulator.config import SimulatorConfig, StatusConfig
from simulator.ledger import LedgerEntry, SentStatus
from simulator.sends import Send


def sent_status(status: str, code: int | None = None, version: str = "v25.0", endpoint: str = "messages") -> SentStatus:
    send = Send("+16505551234", "16505551234", None, "template", "1.x", "promo")
    entry = LedgerEntry(1, 0.0, version, "106540352242922", endpoint, send, wamid="wamid.X")
    one = SentStatus(entry, status, 1750000000, code, True, 1)
    entry.statuses = (one,)
    return one


def status_in(config: SimulatorConfig, one: SentStatus) -> dict[str, Any]:
    value = orjson.loads(webhook_body(config, [one]))["entry"][0]["changes"][0]["value"]
    status: dict[str, Any] = value["statuses"][0]
    return status


def test_a_webhook_has_metas_envelope() -> None:
    body = orjson.loads(webhook_body(SimulatorConfig(), [sent_status("sent")]))
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
    assert "conversation" not in status_in(SimulatorConfig(), sent_status("sent", version="v24.0"))
    old = status_in(SimulatorConfig(), sent_status("sent", version="v23.0"))
    assert old["conversation"]["expiration_timestamp"] == "1750086400"
    assert (
        "expiration_timestamp" not in status_in(SimulatorConfig(), sent_status("read", version="v23.0"))["conversation"]
    )
    configured = SimulatorConfig(statuses=StatusConfig(version="v21.0"))
    assert "conversation" in status_in(configured, sent_status("sent", version="v25.0"))


def test_a_failed_status_has_errors_and_neither_contacts_nor_pricing() -> None:
    body = orjson.loads(webhook_body(SimulatorConfig(), [sent_status("failed", 131049)]))
    value = body["entry"][0]["changes"][0]["value"]
    assert "contacts" not in value
    status = value["statuses"][0]
    assert "pricing" not in status
    assert status["errors"][0]["code"] == 131049
    assert set(status["errors"][0]) == {"code", "title", "message", "error_data", "href"}


def test_the_marketing_endpoint_is_charged_as_marketing_lite() -> None:
    status = status_in(SimulatorConfig(), sent_status("sent", endpoint="marketing_messages"))
    assert status["pricing"]["category"] == "marketing_lite"


def test_several_entries_hold_each_status_once() -> None:
    batch = [sent_status("sent"), sent_status("read"), sent_status("failed", 1)]
    entries = orjson.loads(webhook_body(SimulatorConfig(), batch, in_entries=True))["entry"]
    assert [len(entry["changes"][0]["value"]["statuses"]) for entry in entries] == [1, 2]


def test_the_signature_equals_the_published_example() -> None:
    body = b'{"t":"\\u00e4\\u00f6\\u00e5"}'
    expected = "babc2e7d2e280433f172439f1039aa1304bb810c040520c21dfd5ed1a9729b09"
    assert signature_of(b"app_secret", body) == f"sha256={expected}"
