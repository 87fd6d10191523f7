-- Statements about failed recipients that an operator may repeat.

-- name: find_failed
-- One page of the recipients of a campaign that had a failure, by id, and those of it whose newest attempt failed with one
-- of the codes. Each is `retried`, or why it is not: `already_due`, `exhausted` (no attempt is left), `too_young` (Meta
-- reported the failure moments ago, and a delivery may still overtake it). Others are not read: the index has only those.
WITH page AS MATERIALIZED (
    SELECT id, attempt, status, failure_code, next_attempt_at, accepted_attempts, failed_at
    FROM campaign_recipients WHERE campaign_id = %(campaign)s AND id > %(after)s AND failed_attempts <> 0
    ORDER BY id LIMIT %(rows)s
)
SELECT last.id, failed.id, failed.attempt, CASE
           WHEN failed.attempt >= 62 THEN 'exhausted'
           WHEN failed.next_attempt_at <= now() THEN 'already_due'
           WHEN failed.accepted_attempts & (1::bigint << failed.attempt::integer) <> 0
                AND failed.failed_at > now() - %(young_s)s * interval '1 second' THEN 'too_young'
           ELSE 'retried' END
FROM (SELECT id FROM page ORDER BY id DESC LIMIT 1) AS last
LEFT JOIN page AS failed ON failed.status = 'failed' AND (
    failed.failure_code = ANY (%(codes)s::integer[])
    OR %(unlisted)s AND (failed.failure_code IS NULL OR failed.failure_code <> ALL (%(listed)s::integer[])))
ORDER BY failed.id

-- name: count_by_code
-- The failed recipients of a campaign by key of their failure, from the counters: a code, a reason code or `unknown`.
SELECT key, sum(n)::bigint FROM (
    SELECT key, n FROM campaign_counters WHERE campaign_id = %(campaign)s AND dimension = 'failure'
    UNION ALL
    SELECT key, n FROM campaign_counter_deltas WHERE campaign_id = %(campaign)s AND dimension = 'failure'
) AS counted GROUP BY key HAVING sum(n) > 0 ORDER BY 2 DESC, 1
