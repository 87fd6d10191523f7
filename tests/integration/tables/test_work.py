"""One look names every kind of work that the scheduler's loops would find for themselves."""

from __future__ import annotations

from tables.work import Work, find_work
from tests.support.world import World

SHARED = {Work.RELEASED, Work.OUTCOMES, Work.RETURNS, Work.PORTFOLIO, Work.BREAKERS}
"""What may change with each message of an active campaign, and is not searched then."""
CLAIM = (
    "INSERT INTO send_ledger (recipient_id, attempt, campaign_id, budget_day, send_before, token, lease_until,"
    " outcome, outcome_at, event) SELECT gen_random_uuid(), 1, id, now(), now(), gen_random_uuid(), now(), {}"
    " FROM marketing_campaigns"
)
CHANGE = "INSERT INTO breaker_changes (change, scope, key, published_at) VALUES ('opened', 'account', '', {})"
ROWS = [
    (Work.CANCELLED, "UPDATE marketing_campaigns SET status = 'cancelled', pause_reason = NULL"),
    (Work.COMPLETED, "UPDATE marketing_campaigns SET status = 'completed', pause_reason = NULL"),
    (Work.PLANS, "UPDATE marketing_campaigns SET planning = true"),
    (
        Work.RELEASED,
        """INSERT INTO releases (recipient_id, attempt, campaign_id, phone_number_id, send_before, budget_day)
        SELECT gen_random_uuid(), 1, id, '1', now(), now() FROM marketing_campaigns""",
    ),
    (Work.OUTCOMES, CLAIM.format("NULL, NULL, NULL")),
    (Work.OUTCOMES, CLAIM.format("'unknown', now(), '{}'")),
    (Work.RETURNS, "INSERT INTO budget_returns (campaign_id, day, n) SELECT id, now(), 1 FROM marketing_campaigns"),
    (Work.PORTFOLIO, "INSERT INTO portfolio_returns (recipient_id, attempt) VALUES (gen_random_uuid(), 1)"),
    (
        Work.PORTFOLIO,
        """INSERT INTO portfolio_charges (recipient_id, attempt, person, bucket)
        VALUES (gen_random_uuid(), 1, '1', now())""",
    ),
    (Work.PORTFOLIO, "INSERT INTO portfolio_buckets (began_at, people) VALUES (now(), 1)"),
    (Work.BREAKERS, "INSERT INTO breakers (scope, key) VALUES ('account', '')"),
    (Work.BREAKERS, CHANGE.format("NULL")),
    (Work.BREAKERS, CHANGE.format("now() - interval '31 days'")),
    (
        Work.SUBSCRIPTIONS,
        "INSERT INTO subscription_outbox (person, source, subscribed, occurred_at) VALUES ('1', 'api', false, now())",
    ),
]  # fmt: skip


async def test_each_kind_of_work_is_named_and_nothing_else(world: World) -> None:
    assert await find_work(world.connection) == {Work.ACTIVE, *SHARED}
    await world.set_campaign_status("paused")
    assert await find_work(world.connection) == set()
    for kind, statement in ROWS:
        async with world.connection.transaction(force_rollback=True):
            await world.run(statement)
            assert await find_work(world.connection) == {kind}, statement
    await world.run(CHANGE.format("now()"))
    assert await find_work(world.connection) == set(), "a published change is kept for a month"
