-- Statements that explain why recipients of a campaign have no message yet.

-- name: read_situation
-- The counters of a campaign, folded or not, and what the whole campaign waits for.
SELECT c.status, c.pause_reason, c.start_at, c.daily_send_limit, statement_timestamp(), coalesce((
           SELECT jsonb_object_agg(dimension || '/' || key, n)
           FROM (SELECT dimension, key, sum(n) AS n
                 FROM (SELECT dimension, key, n FROM campaign_counters WHERE campaign_id = c.id
                       UNION ALL
                       SELECT dimension, key, n FROM campaign_counter_deltas WHERE campaign_id = c.id) AS every
                 GROUP BY dimension, key HAVING sum(n) <> 0) AS summed), '{}'),
       coalesce((SELECT jsonb_object_agg(day, used) FROM campaign_days
                 WHERE campaign_id = c.id AND day BETWEEN statement_timestamp()::date - 2 AND statement_timestamp()::date + 2),
                '{}'),
       coalesce(k.step, 0), CASE WHEN c.canary THEN k.allowed END, coalesce(k.released, 0), k.filled_at, k.base,
       c.canary_wait_minutes,
       (SELECT string_agg(e.name, ', ' ORDER BY e.name) FROM marketing_campaigns AS e WHERE e.id = ANY (c.exclude_campaigns)),
       c.window_days, c.window_from, c.window_to, c.quiet_from, c.quiet_to, c.window_zone, c.time_zone
FROM marketing_campaigns AS c LEFT JOIN campaign_canaries AS k ON k.campaign_id = c.id
WHERE c.id = %(campaign)s

-- name: find_retry_times
-- The earliest due time of each kind of wait among the first recipients with an attempt.
SELECT kind, min(next_attempt_at) FROM (
    SELECT wait_counter_key(status, next_attempt_at, attempt, deferred_attempt, capped_until, retry_attempt, failure_class) AS kind,
           next_attempt_at
    FROM campaign_recipients
    WHERE campaign_id = %(campaign)s AND attempt > 0 AND next_attempt_at IS NOT NULL
    ORDER BY next_attempt_at, id LIMIT %(limit)s) AS first
GROUP BY kind
