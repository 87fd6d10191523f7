-- Statements of sending windows, and of campaigns that could not send for long.

-- name: list_sending
-- The active campaigns that have started, with what decides whether their windows are open: the days, the times, whose
-- clock, and the countries of their planned recipients, where they follow those.
SELECT c.id, c.phone_number_id, now(),
       CASE WHEN c.window_zone = 'recipient'
           THEN ARRAY(SELECT country FROM campaign_countries AS k WHERE k.campaign_id = c.id ORDER BY country) END,
       c.window_days, c.window_from, c.window_to, c.quiet_from, c.quiet_to, c.window_zone, c.time_zone
FROM marketing_campaigns AS c
WHERE c.status = 'active' AND (c.start_at IS NULL OR c.start_at <= now())
ORDER BY c.id

-- name: watch_campaigns
-- Pause the campaigns that could send nothing for longer than their limit although recipients wait, and return them. Note of
-- the others that their sending is in order, but for those that are blocked: they were due and released nothing. A breaker
-- that has been open for a day pauses its campaigns itself, with its own reason.
WITH active AS MATERIALIZED (
    SELECT c.id, breaker.is_held, CASE
        WHEN breaker.is_held AND c.stale_after_hours >= 24 THEN false
        WHEN greatest(w.in_order_at, c.started_at, c.start_at) < now() - c.stale_after_hours * interval '1 hour' THEN (
            SELECT coalesce(sum(n), 0) > 0 FROM (
                SELECT n FROM campaign_counters WHERE campaign_id = c.id AND dimension = 'funnel' AND key = 'due'
                UNION ALL
                SELECT n FROM campaign_counter_deltas WHERE campaign_id = c.id AND dimension = 'funnel' AND key = 'due'
            ) AS counted)
        ELSE false END AS is_stale
    FROM marketing_campaigns AS c
    LEFT JOIN campaign_watch AS w ON w.campaign_id = c.id
    CROSS JOIN LATERAL campaign_breakers(c.phone_number_id, c.template_name, c.language_code) AS breaker
    WHERE c.status = 'active' AND installation_is_known()
), noted AS (
    INSERT INTO campaign_watch AS w (campaign_id, in_order_at)
    SELECT id, now() FROM active
    WHERE NOT is_stale AND NOT is_held AND id <> ALL (%(blocked)s::uuid[]) ORDER BY id
    ON CONFLICT (campaign_id) DO UPDATE SET in_order_at = greatest(w.in_order_at, excluded.in_order_at)
)
UPDATE marketing_campaigns SET status = 'paused', pause_reason = %(reason)s
WHERE status = 'active' AND id IN (
    SELECT c.id FROM marketing_campaigns AS c JOIN active ON active.id = c.id AND active.is_stale
    ORDER BY c.id FOR NO KEY UPDATE OF c SKIP LOCKED)
RETURNING id
