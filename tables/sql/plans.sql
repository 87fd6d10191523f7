-- Statements that read what the plan of a campaign depends on.

-- name: read_counts
-- The counters of a campaign by status, prefix and canary, its use of the daily limit, and the other active campaigns of its
-- number.
SELECT now(), coalesce((
           SELECT jsonb_object_agg(dimension || '/' || key, n)
           FROM (SELECT dimension, key, sum(n) AS n
                 FROM (SELECT dimension, key, n FROM campaign_counters WHERE campaign_id = c.id
                       UNION ALL
                       SELECT dimension, key, n FROM campaign_counter_deltas WHERE campaign_id = c.id) AS every
                 WHERE dimension IN ('status', 'prefix', 'funnel')
                 GROUP BY dimension, key HAVING sum(n) <> 0) AS summed), '{}'),
       coalesce((SELECT jsonb_object_agg(day, used) FROM campaign_days
                 WHERE campaign_id = c.id AND day BETWEEN now()::date - 2 AND now()::date + 2), '{}'),
       (SELECT count(*)::integer FROM marketing_campaigns AS o
        WHERE o.status = 'active' AND o.phone_number_id = c.phone_number_id AND o.id <> c.id),
       k.step, k.allowed, k.released
FROM marketing_campaigns AS c LEFT JOIN campaign_canaries AS k ON k.campaign_id = c.id
WHERE c.id = %(campaign)s

-- name: sample_unplanned
-- How many of the first recipients without a planned time the release would skip. Each is judged once.
WITH judged AS MATERIALIZED (
    SELECT is_unsubscribed(person) AS is_out, repetition > 0 AS is_repeated,
           jsonb_typeof(template_parameters) NOT IN ('array', 'object', 'null')
               OR octet_length(template_parameters::text) > 262144 AS is_invalid,
           %(excluding)s AND is_excluded(person, %(excluded)s::uuid[], %(excluded_ones)s) AS is_left_out,
           %(capping)s AND is_capped(person, id) AS is_above
    FROM (SELECT id, person, repetition, template_parameters FROM campaign_recipients
          WHERE campaign_id = %(campaign)s AND attempt = 0 AND scheduled_send_date IS NULL
          ORDER BY id LIMIT %(limit)s) AS first
)
SELECT count(*)::integer, count(*) FILTER (WHERE is_out)::integer, count(*) FILTER (WHERE is_repeated)::integer,
       count(*) FILTER (WHERE is_invalid)::integer, count(*) FILTER (WHERE is_left_out)::integer,
       count(*) FILTER (WHERE is_above)::integer,
       count(*) FILTER (WHERE is_out OR is_repeated OR is_invalid OR is_left_out OR is_above AND %(cap_skips)s)::integer
FROM judged

-- name: sample_planned
-- The same for the first planned recipients.
WITH judged AS MATERIALIZED (
    SELECT is_unsubscribed(person) AS is_out, repetition > 0 AS is_repeated,
           jsonb_typeof(template_parameters) NOT IN ('array', 'object', 'null')
               OR octet_length(template_parameters::text) > 262144 AS is_invalid,
           %(excluding)s AND is_excluded(person, %(excluded)s::uuid[], %(excluded_ones)s) AS is_left_out,
           %(capping)s AND is_capped(person, id) AS is_above
    FROM (SELECT id, person, repetition, template_parameters FROM campaign_recipients
          WHERE campaign_id = %(campaign)s AND attempt = 0 AND next_attempt_at IS NOT NULL
          ORDER BY next_attempt_at, id LIMIT %(limit)s) AS first
)
SELECT count(*)::integer, count(*) FILTER (WHERE is_out)::integer, count(*) FILTER (WHERE is_repeated)::integer,
       count(*) FILTER (WHERE is_invalid)::integer, count(*) FILTER (WHERE is_left_out)::integer,
       count(*) FILTER (WHERE is_above)::integer,
       count(*) FILTER (WHERE is_out OR is_repeated OR is_invalid OR is_left_out OR is_above AND %(cap_skips)s)::integer
FROM judged
