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
    entry = LedgerEntry(1, 0.0, version, "106540352242922", endpoint, send, send.number, "marketing", wamid="wamid.X")
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


def test_a_failed_status_has_errors_no_pricing_and_a_contact_without_a_name() -> None:
    body = orjson.loads(webhook_body(SimulatorConfig(), [sent_status("failed", 131049)]))
    value = body["entry"][0]["changes"][0]["value"]
    assert value["contacts"] == [{"wa_id": "16505551234"}]
    status = value["statuses"][0]
    assert "pricing" not in status
    assert status["errors"][0]["code"] == 131049
    assert set(status["errors"][0]) == {"code", "title", "message", "error_data", "href"}


def test_a_failed_status_can_be_without_contacts() -> None:
    config = SimulatorConfig(statuses=StatusConfig(contacts_of_failed=False))
    value = orjson.loads(webhook_body(config, [sent_status("failed", 131049)]))["entry"][0]["changes"][0]["value"]
    assert "contacts" not in value


def test_statuses_to_a_user_id_have_a_contact_and_no_number() -> None:
    one = sent_status("delivered")
    one.entry.send = Send(user_id="US.123", type="template", callback="1.x", template="promo")
    one.entry.wa_id = ""
    value = orjson.loads(webhook_body(SimulatorConfig(), [one]))["entry"][0]["changes"][0]["value"]
    assert value["contacts"] == [{"profile": {"name": "Person .123"}, "user_id": "US.123"}]
    assert value["statuses"][0]["recipient_user_id"] == "US.123"
    assert "recipient_id" not in value["statuses"][0]


def test_a_status_has_the_whatsapp_id_and_not_the_number_that_was_dialled() -> None:
    one = sent_status("delivered")
    one.entry.wa_id = "5215512345678"
    value = orjson.loads(webhook_body(SimulatorConfig(), [one]))["entry"][0]["changes"][0]["value"]
    assert value["contacts"][0]["wa_id"] == value["statuses"][0]["recipient_id"] == "5215512345678"


def test_a_status_of_a_group_message_names_the_group() -> None:
    one = sent_status("delivered")
    one.entry.send = Send(to="Y2FwaV9ncm91cDox", type="text", group="Y2FwaV9ncm91cDox")
    one.entry.wa_id = "12045550100"
    status = status_in(SimulatorConfig(), one)
    assert (status["recipient_type"], status["recipient_id"]) == ("group", "Y2FwaV9ncm91cDox")
    assert status["recipient_participant_id"] == "12045550100"


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
