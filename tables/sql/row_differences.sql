-- Statements that compare live rows (l) with the rows recomputed in shadow tables (r), and replace their facts.
-- tables/shadow_template.py describes the words in braces.

-- name: is_released
-- A condition for other statements: an attempt that is ahead of the topic has a release or a ledger row. If an earlier
-- attempt has reached the person since, the release is already deleted.
(EXISTS (SELECT FROM releases AS o WHERE o.recipient_id = l.id AND o.attempt = l.attempt)
 OR EXISTS (SELECT FROM send_ledger AS o WHERE o.recipient_id = l.id AND o.attempt = l.attempt)
 OR (l.attempt = coalesce(r.attempt, 0) + 1 AND l.status IN ('sent', 'delivered', 'read')))

-- name: count_rows
-- The number of live rows, and of those that differ from the topic only by a higher attempt (a release, or a claim
-- without an outcome).
SELECT count(*), count(*) FILTER (WHERE l.attempt > coalesce(r.attempt, 0)
    AND ({live_rest}) IS NOT DISTINCT FROM ({r_rest}) AND {is_released})
FROM {live}.campaign_recipients AS l LEFT JOIN campaign_recipients AS r USING (id)
WHERE %(campaign)s::uuid IS NULL OR l.campaign_id = %(campaign)s

-- name: find_differences
-- Rows that differ from the topic: the time of the first claim, the live row, the row from the topic (with the live
-- attempt where it may be ahead), and the ledger's events that the topic does not contain yet. If retention may have
-- deleted the first claim, it is the creation of the row: no event is older.
SELECT l.id, l.campaign_id, c.status, c.created_at,
       CASE WHEN l.created_at < (SELECT newest_at FROM pruned_rows WHERE table_name = 'send_ledger')
                 AND NOT EXISTS (SELECT FROM send_ledger AS s WHERE s.recipient_id = l.id AND s.attempt = 1)
            THEN l.created_at
            ELSE (SELECT min(s.claimed_at) FROM send_ledger AS s WHERE s.recipient_id = l.id) END,
       {live_shown}, {r_raised},
       ARRAY(SELECT s.event FROM send_ledger AS s WHERE s.recipient_id = l.id AND s.event IS NOT NULL
             AND (s.published_at IS NULL OR s.published_at > %(until)s))
FROM {live}.campaign_recipients AS l JOIN campaign_recipients AS r USING (id)
JOIN marketing_campaigns AS c ON c.id = l.campaign_id
CROSS JOIN LATERAL (SELECT CASE WHEN l.attempt > r.attempt AND (%(is_any_ahead)s OR {is_released})
                                THEN l.attempt ELSE r.attempt END AS attempt) AS raised
CROSS JOIN LATERAL recipient_status(
    raised.attempt, r.accepted_attempts, r.failed_attempts, r.delivered_at, r.read_at,
    r.deferred_attempt, r.expired_attempt, r.unknown_attempt, r.skipped_attempt) AS meant
CROSS JOIN LATERAL recipient_next_attempt_at(
    meant, raised.attempt, r.scheduled_send_date, r.created_at, r.deferred_attempt, r.deferred_until, r.expired_attempt,
    r.expired_until, r.retry_attempt, r.failed_attempts, r.held_back_attempts, r.failed_at, r.failure_class,
    r.failure_backoff_s, r.max_retries) AS meant_at
WHERE l.id > %(after)s AND l.id <= %(last)s AND (%(ids)s::uuid[] IS NULL OR l.id = ANY(%(ids)s::uuid[]))
  AND (%(campaign)s::uuid IS NULL OR l.campaign_id = %(campaign)s)
  AND (l.attempt <> raised.attempt OR ({live_rest}) IS DISTINCT FROM ({r_rest}))
ORDER BY l.id LIMIT %(rows_max)s

-- name: hold_campaign
-- Read a campaign's status and lock it against changes until the end of the transaction.
SELECT status FROM {live}.marketing_campaigns WHERE id = %(campaign)s FOR SHARE

-- name: hold_rows
-- Lock live rows, in the order of ids that all statements use.
SELECT id FROM {live}.campaign_recipients WHERE id = ANY(%(ids)s::uuid[]) ORDER BY id FOR NO KEY UPDATE

-- name: swap_rows
-- Write the facts of the shadow tables into locked live rows. The attempt never decreases.
UPDATE {live}.campaign_recipients AS l SET {swap}, attempt = greatest(l.attempt, r.attempt)
FROM campaign_recipients AS r WHERE r.id = l.id AND l.id = ANY(%(ids)s::uuid[])

-- name: read_live
-- Live rows, with the status of their campaign.
SELECT l.id, l.campaign_id, c.status, {live_shown}
FROM {live}.campaign_recipients AS l JOIN marketing_campaigns AS c ON c.id = l.campaign_id WHERE l.id = ANY(%(ids)s::uuid[])
