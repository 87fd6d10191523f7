"""What the simulator reports of changed names is read as links, as what Meta documents is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from domain.inbound import PersonEvents, Receipt, decide_message
from domain.keywords import Keywords
from schemas.events import Origin
from schemas.subscriptions import SubscriptionEvent, SubscriptionKind
from schemas.webhook_people import read_message
from simulator.config import SimulatorConfig
from simulator.events.people import identity_value, message_value
from simulator.events.requests import IdentityChange, InboundMessage
from simulator.wamids import user_id_of

AT = datetime(2026, 1, 1, tzinfo=UTC)
OLD, NEW = "15550000001", "15550000002"
CONFIG = SimulatorConfig()


def read(value: dict[str, Any]) -> SubscriptionEvent | None:
    """What the reconciler reads of the one message of a value."""
    receipt = Receipt(AT, Origin(topic="webhooks.raw", partition=0, offset=1), AT)
    decided = decide_message(read_message(value["messages"][0], value), receipt, Keywords.of())
    return decided.subscription if isinstance(decided, PersonEvents) else None


@pytest.mark.parametrize("hides_number", [False, True])
def test_a_changed_number_links_the_new_names_with_the_old_ones(hides_number: bool) -> None:
    change = IdentityChange(number=OLD, new_number=NEW, hides_number=hides_number)
    event = read(identity_value(CONFIG, "1", change, "wamid.1", int(AT.timestamp())))
    assert event is not None
    assert (event.kind, event.person) == (SubscriptionKind.IDENTIFIED, NEW)
    assert event.also_known_as == [f"user:{user_id_of(NEW)}"]
    assert event.formerly == [*([] if hides_number else [OLD]), f"user:{user_id_of(OLD)}"]


def test_a_changed_user_id_links_both() -> None:
    change = IdentityChange(type="user_changed_user_id", user_id="US.1", new_user_id="US.2")
    event = read(identity_value(CONFIG, "1", change, "wamid.1", int(AT.timestamp())))
    assert event is not None
    assert (event.person, event.also_known_as, event.formerly) == ("user:US.2", None, ["user:US.1"])


@pytest.mark.parametrize("hides_number", [False, True])
def test_a_message_links_the_names_that_it_shows(hides_number: bool) -> None:
    message = InboundMessage(number=OLD, hides_number=hides_number)
    event = read(message_value(CONFIG, "1", message, "wamid.1", int(AT.timestamp()), None, ""))
    assert (event is None) is hides_number
    assert event is None or (event.person, event.also_known_as) == (OLD, [f"user:{user_id_of(OLD)}"])
