"""The history of recipients as Postgres has it."""

from __future__ import annotations

from datetime import timedelta

from tables.recipient_events import read_events
from tests.support.histories import START
from tests.support.world import World

LEDGER = """
    INSERT INTO send_ledger (recipient_id, attempt, campaign_id, budget_day, send_before, token, claimed_at,
                             lease_until, outcome, outcome_at, wamid, event)
    SELECT id, %s, campaign_id, current_date, now(), id, %s, now(), %s, %s, %s, %s
    FROM campaign_recipients WHERE id = %s
"""
REJECTED = '{"failure": {"code": 131026, "reason": "Undeliverable"}}'


async def test_the_events_of_a_recipient_are_in_the_order_of_time(world: World) -> None:
    one, two = await world.add_recipients(2)
    times = [START + timedelta(minutes=minute) for minute in range(8)]
    await world.run(LEDGER, 1, times[0], "rejected", times[1], None, REJECTED, one)
    await world.run(LEDGER, 2, times[2], "accepted", times[3], "wamid.1", "{}", one)
    await world.run(
        "INSERT INTO messages (wamid, recipient_id, attempt, sent_at, delivered_at, failed_at, failure_code,"
        " failure_text) VALUES ('wamid.1', %s, 2, %s, %s, %s, 131049, 'Held back')", one, times[4], times[5], times[6],
    )  # fmt: skip
    await world.run(LEDGER, 1, times[7], None, None, None, None, two)
    found = await read_events(world.connection, [one, two])
    of_one = [(each.attempt, each.event, each.at) for each in found if each.recipient_id == one]
    assert of_one == [
        (1, "claimed", times[0]), (1, "rejected", times[1]), (2, "claimed", times[2]), (2, "accepted", times[3]),
        (2, "sent", times[4]), (2, "delivered", times[5]), (2, "failed", times[6]),
    ]  # fmt: skip
    assert [(each.failure_code, each.reason) for each in found if each.reason] == [
        (131026, "Undeliverable"), (131049, "Held back"),
    ]  # fmt: skip
    assert [(each.event, each.at) for each in found if each.recipient_id == two] == [("claimed", times[7])]
    assert {each.phone_number for each in found} == {"15550000000", "15550000001"}
