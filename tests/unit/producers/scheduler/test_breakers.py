"""The event of a breaker's change."""

from datetime import UTC, datetime
from uuid import UUID

from domain.breakers import Scope
from producers.scheduler.breakers import control_event
from schemas.control import ControlKind
from tables.breakers import BreakerChange

NOW = datetime(2026, 11, 26, tzinfo=UTC)


def test_an_opening_is_keyed_by_its_scope() -> None:
    change = BreakerChange(1, "opened", Scope.ACCOUNT, "", None, 190, "code 190: access token expired", True, NOW)
    event = control_event(change)
    assert (event.kind, event.code, event.needs_human) == (ControlKind.OPENED, 190, True)
    assert event.record_key == b"account/"


def test_a_pause_is_keyed_by_its_campaign() -> None:
    campaign = UUID(int=7)
    change = BreakerChange(1, "campaign_paused", Scope.TEMPLATE, "t/en", campaign, 132015, "x" * 900, True, NOW)
    event = control_event(change)
    assert event.record_key == str(campaign).encode()
    assert len(event.reason or "") == 400


def test_the_person_of_a_pair_is_masked() -> None:
    change = BreakerChange(1, "opened", Scope.RECIPIENT, "1055/4917112345678", None, 131056, None, False, NOW)
    assert control_event(change).key == "1055/***********78"
