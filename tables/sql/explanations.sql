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

-- name: count_paired
-- The due recipients of a campaign whose people are getting another message of its number, or got one within the seconds
-- of a pair, and when the first of these seconds end.
WITH mine AS MATERIALIZED (
    SELECT phone_number_id FROM marketing_campaigns WHERE id = %(campaign)s
), latest AS MATERIALIZED (
    (SELECT recipient_id, now() AS at FROM releases
     WHERE phone_number_id = (SELECT phone_number_id FROM mine) LIMIT %(limit)s)
    UNION ALL
    (SELECT recipient_id, now() FROM send_ledger WHERE outcome IS NULL AND lease_until > now()
     ORDER BY lease_until LIMIT %(limit)s)
    UNION ALL
    (SELECT recipient_id, outcome_at FROM send_ledger
     WHERE outcome = 'accepted' AND outcome_at > now() - %(pair_s)s::double precision * interval '1 second'
     ORDER BY outcome_at DESC LIMIT %(limit)s)
)
SELECT count(DISTINCT r.id)::integer, min(latest.at) + %(pair_s)s::double precision * interval '1 second'
FROM latest
-- Each row is found by an index, also where the planner takes a table for small.
CROSS JOIN LATERAL (SELECT campaign_id, person FROM campaign_recipients WHERE id = latest.recipient_id LIMIT 1) AS o
JOIN marketing_campaigns AS oc ON oc.id = o.campaign_id AND oc.phone_number_id = (SELECT phone_number_id FROM mine)
-- The key of the person, and those that are linked with it directly.
CROSS JOIN LATERAL (SELECT o.person UNION (SELECT linked_to FROM person_links WHERE person = o.person LIMIT 17)) AS k
CROSS JOIN LATERAL (SELECT id, next_attempt_at FROM campaign_recipients
                    WHERE campaign_id = %(campaign)s AND person = k.person AND repetition = 0 LIMIT 1) AS r
WHERE r.next_attempt_at <= now()
