"""One look names every kind of work that the scheduler's loops would find for themselves."""

from __future__ import annotations

from tables.work import WorkKind, find_work
from tests.support.world import World

SHARED = {WorkKind.RELEASED, WorkKind.OUTCOMES, WorkKind.RETURNS, WorkKind.PORTFOLIO, WorkKind.BREAKERS}
"""What may change with each message of an active campaign, and is not searched then."""
CLAIM = (
    "INSERT INTO send_ledger (recipient_id, attempt, campaign_id, budget_day, send_before, token, lease_until,"
    " outcome, outcome_at, event) SELECT gen_random_uuid(), 1, id, now(), now(), gen_random_uuid(), now(), {}"
    " FROM marketing_campaigns"
)
CHANGE = "INSERT INTO breaker_changes (change, scope, key, published_at) VALUES ('opened', 'account', '', {})"
ROWS = [
    (WorkKind.CANCELLED, "UPDATE marketing_campaigns SET status = 'cancelled', pause_reason = NULL"),
    (WorkKind.COMPLETED, "UPDATE marketing_campaigns SET status = 'completed', pause_reason = NULL"),
    (WorkKind.PLANS, "UPDATE marketing_campaigns SET planning = true"),
    (
        WorkKind.RELEASED,
        """INSERT INTO releases (recipient_id, attempt, campaign_id, phone_number_id, send_before, budget_day)
        SELECT gen_random_uuid(), 1, id, '1', now(), now() FROM marketing_campaigns""",
    ),
    (WorkKind.OUTCOMES, CLAIM.format("NULL, NULL, NULL")),
    (WorkKind.OUTCOMES, CLAIM.format("'unknown', now(), '{}'")),
    (WorkKind.RETURNS, "INSERT INTO budget_returns (campaign_id, day, n) SELECT id, now(), 1 FROM marketing_campaigns"),
    (WorkKind.PORTFOLIO, "INSERT INTO portfolio_returns (recipient_id, attempt) VALUES (gen_random_uuid(), 1)"),
    (
        WorkKind.PORTFOLIO,
        """INSERT INTO portfolio_charges (recipient_id, attempt, person, bucket)
        VALUES (gen_random_uuid(), 1, '1', now())""",
    ),
    (WorkKind.PORTFOLIO, "INSERT INTO portfolio_buckets (began_at, people) VALUES (now(), 1)"),
    (WorkKind.BREAKERS, "INSERT INTO breakers (scope, key) VALUES ('account', '')"),
    (WorkKind.BREAKERS, CHANGE.format("NULL")),
    (WorkKind.BREAKERS, CHANGE.format("now() - interval '31 days'")),
    (
        WorkKind.SUBSCRIPTIONS,
        "INSERT INTO subscription_outbox (person, source, subscribed, occurred_at) VALUES ('1', 'api', false, now())",
    ),
]  # fmt: skip


async def test_each_kind_of_work_is_named_and_nothing_else(world: World) -> None:
    assert await find_work(world.connection) == {WorkKind.ACTIVE, *SHARED}
    await world.set_campaign_status("paused")
    assert await find_work(world.connection) == set()
    for kind, statement in ROWS:
        async with world.connection.transaction(force_rollback=True):
            await world.run(statement)
            assert await find_work(world.connection) == {kind}, statement
    await world.run(CHANGE.format("now()"))
    assert await find_work(world.connection) == set(), "a published change is kept for a month"
