"""The answer about sending numbers: what it shows, and what it keeps to itself."""

from __future__ import annotations

from datetime import UTC, datetime

from api.numbers import numbers_out
from runtime.settings import Settings
from tables.numbers import ForeignReport, KnownNumber, ShownNumber

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
SETTINGS = Settings.model_validate({
    "database_url": "postgresql://localhost/x", "kafka_bootstrap_servers": "127.0.0.1:1",
    "whatsapp_phone_number_id": "106", "whatsapp_access_token": "shared-secret",
    "whatsapp_numbers": [{"phone_number_id": "107", "mps": 250, "access_token": "own-secret"}],
})  # fmt: skip
UNREAD = ShownNumber(None, None, None, None)


def test_a_number_has_the_pace_and_the_rights_of_the_settings() -> None:
    read = ShownNumber("15550001234", "RED", "HIGH", "FLAGGED")
    known = [
        KnownNumber("106", read, NOON, "Meta flagged the number.", NOON, 7),
        KnownNumber("107", UNREAD, None, None, None, 0),
        KnownNumber("108", UNREAD, None, None, None, 0),
    ]
    first, second, third = numbers_out(SETTINGS, known, []).numbers
    assert (first.is_default, first.is_in_settings, first.messages_per_second, first.has_own_token) == (
        True, True, 80, False
    )  # fmt: skip
    assert (first.quality, first.throughput, first.state, first.sent_last_day) == ("RED", "HIGH", "FLAGGED", 7)
    assert (second.is_default, second.messages_per_second, second.has_own_token) == (False, 250, True)
    assert (third.is_in_settings, third.display_phone_number, third.read_at) == (False, None, None)


def test_neither_a_token_nor_a_whole_phone_number_is_shown() -> None:
    known = [KnownNumber("106", ShownNumber("15550001234", None, None, None), NOON, None, None, 0)]
    text = numbers_out(SETTINGS, known, [ForeignReport("+15550009876", "report", NOON)]).model_dump_json()
    for secret in ("shared-secret", "own-secret", "15550001234", "15550009876"):
        assert secret not in text
    assert "*********34" in text
