"""Which tables retention prunes by which settings."""

from __future__ import annotations

import pytest

from domain.frequency import ATTEMPTS_KEPT_DAYS
from producers.scheduler.retention import KEYS_KEPT_DAYS, days_by_table
from runtime.settings import InvalidSettings, read_settings
from tables.retention import START, Prunable

REQUIRED = {
    "CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092",
    "CAMPAIGNS_DATABASE_URL": "postgresql://localhost/campaigns",
}
VARIABLES = {
    Prunable.LEDGER: "CAMPAIGNS_KEEP_LEDGER_DAYS",
    Prunable.MESSAGES: "CAMPAIGNS_KEEP_MESSAGES_DAYS",
    Prunable.SUBSCRIPTION_OUTBOX: "CAMPAIGNS_KEEP_OUTBOX_DAYS",
    Prunable.BUDGETS: "CAMPAIGNS_KEEP_BUDGETS_DAYS",
    Prunable.TIMELINE: "CAMPAIGNS_KEEP_TIMELINE_DAYS",
    Prunable.DEAD_LETTER_ACTS: "CAMPAIGNS_KEEP_DEAD_LETTER_ACTS_DAYS",
}
ALWAYS = {Prunable.IDEMPOTENCY_KEYS: KEYS_KEPT_DAYS, Prunable.PERSON_ATTEMPTS: ATTEMPTS_KEPT_DAYS}


def test_retention_is_off_by_default() -> None:
    assert days_by_table(read_settings(REQUIRED)) == ALWAYS


def test_each_table_has_a_setting_of_its_own() -> None:
    given = {name: str(40 + place) for place, name in enumerate(VARIABLES.values())}
    expected = {table: 40 + place for place, table in enumerate(VARIABLES)}
    assert days_by_table(read_settings(REQUIRED | given)) == expected | ALWAYS
    assert START.keys() == days_by_table(read_settings(REQUIRED | given)).keys()


@pytest.mark.parametrize("value", ["0", "-1", "0.5", "1h", "off"])
@pytest.mark.parametrize("name", VARIABLES.values())
def test_too_short_a_time_is_refused(name: str, value: str) -> None:
    with pytest.raises(InvalidSettings, match=name):
        read_settings(REQUIRED | {name: value})


def test_the_ledger_stays_for_a_day_at_least_and_acts_longer_than_their_dead_letters() -> None:
    days = days_by_table(read_settings(REQUIRED | {"CAMPAIGNS_KEEP_LEDGER_DAYS": "1"}))
    assert days[Prunable.LEDGER] == 1
    with pytest.raises(InvalidSettings, match="must be at least 31"):
        read_settings(REQUIRED | {"CAMPAIGNS_KEEP_DEAD_LETTER_ACTS_DAYS": "30"})
