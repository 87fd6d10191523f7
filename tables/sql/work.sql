-- The statement by which the scheduler's leader learns what there is to do. It decides nothing: each loop reads its own rows.

-- name: find_work
-- Which kinds of work there are. It may name work that turns out to be none; it never leaves out any. Each search ends at
-- the first row that it finds by an index. The tables that change with each message are not searched while a campaign is
-- active, because their indexes may be full of entries of deleted rows then.
SELECT
    active,
    EXISTS (SELECT FROM marketing_campaigns WHERE status = 'cancelled') AS cancelled,
    EXISTS (SELECT FROM marketing_campaigns WHERE status = 'completed') AS completed,
    EXISTS (SELECT FROM marketing_campaigns WHERE planning) AS plans,
    active OR EXISTS (SELECT FROM releases) AS released,
    active OR EXISTS (SELECT FROM send_ledger WHERE outcome IS NULL)
        OR EXISTS (SELECT FROM send_ledger WHERE outcome IS NOT NULL AND published_at IS NULL) AS outcomes,
    active OR EXISTS (SELECT FROM budget_returns) AS returns,
    active OR EXISTS (SELECT FROM portfolio_returns) OR EXISTS (SELECT FROM portfolio_charges)
        OR EXISTS (SELECT FROM portfolio_buckets) AS portfolio,
    active OR EXISTS (SELECT FROM breakers) OR EXISTS (SELECT FROM breaker_changes WHERE published_at IS NULL)
        OR (SELECT published_at FROM breaker_changes ORDER BY id LIMIT 1) < now() - interval '30 days' AS breakers,
    EXISTS (SELECT FROM subscription_outbox WHERE published_at IS NULL) AS subscriptions
FROM (SELECT EXISTS (SELECT FROM marketing_campaigns WHERE status = 'active') AS active OFFSET 0) AS campaigns
