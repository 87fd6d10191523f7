-- Statements that close campaigns: they skip the recipients of cancelled ones, complete, and reopen.

-- name: find_cancelled
-- Cancelled campaigns that still have recipients to skip: due, released and not claimed, or pending (by the counters).
SELECT c.id, EXISTS (
    SELECT FROM (
        SELECT n FROM campaign_counters WHERE campaign_id = c.id AND dimension = 'status' AND key = 'pending'
        UNION ALL
        SELECT n FROM campaign_counter_deltas WHERE campaign_id = c.id AND dimension = 'status' AND key = 'pending'
    ) AS counted HAVING sum(n) > 0
) AS has_pending
FROM marketing_campaigns AS c
WHERE c.status = 'cancelled' AND (
    EXISTS (SELECT FROM campaign_recipients AS r WHERE r.campaign_id = c.id AND r.next_attempt_at IS NOT NULL)
    OR EXISTS (SELECT FROM releases AS rel WHERE rel.campaign_id = c.id)
    OR EXISTS (
        SELECT FROM (
            SELECT n FROM campaign_counters WHERE campaign_id = c.id AND dimension = 'status' AND key = 'pending'
            UNION ALL
            SELECT n FROM campaign_counter_deltas WHERE campaign_id = c.id AND dimension = 'status' AND key = 'pending'
        ) AS counted HAVING sum(n) > 0
    )
)

-- name: lock_cancelled
-- Lock a chunk of recipients of a cancelled campaign that may have to be skipped. A recipient that another transaction
-- has locked is left to a later round.
WITH waiting AS (
    (SELECT id FROM campaign_recipients WHERE campaign_id = %(campaign)s AND next_attempt_at IS NOT NULL
     LIMIT %(limit)s)
    UNION
    (SELECT recipient_id FROM releases WHERE campaign_id = %(campaign)s LIMIT %(limit)s)
    UNION
    (SELECT id FROM campaign_recipients
     WHERE %(has_pending)s AND campaign_id = %(campaign)s AND id > %(after)s AND attempt = 0
     ORDER BY id LIMIT %(limit)s)
)
SELECT r.id, r.attempt FROM campaign_recipients AS r JOIN waiting ON waiting.id = r.id
ORDER BY r.id FOR NO KEY UPDATE OF r SKIP LOCKED

-- name: skip_cancelled
-- Skip locked recipients of a cancelled campaign: raise the attempt, mark it as skipped, write its event to the ledger,
-- and give the budget back. A claimed attempt is left to its sender. A recipient that waits after its last attempt has no
-- attempt left to raise, so it fails. A released attempt of a row that is `sent` by an older attempt is skipped too: the
-- older attempt may still fail, and the row would then be queued without a release.
WITH locked AS MATERIALIZED (
    SELECT r.id, r.attempt = 62 AND r.next_attempt_at IS NOT NULL AS is_exhausted
    FROM campaign_recipients AS r
    WHERE r.id = ANY (%(ids)s::uuid[]) AND (
        r.status = 'pending' OR r.next_attempt_at IS NOT NULL
        OR ((r.status = 'queued' OR r.status = 'sent' AND EXISTS (
                SELECT FROM releases AS rel WHERE rel.recipient_id = r.id AND rel.attempt = r.attempt))
            AND NOT EXISTS (SELECT FROM send_ledger AS l WHERE l.recipient_id = r.id AND l.attempt = r.attempt)))
), changed AS (
    UPDATE campaign_recipients AS r SET
        attempt           = least(62, r.attempt + 1),
        skipped_attempt   = CASE WHEN is_exhausted THEN r.skipped_attempt ELSE least(62, r.attempt + 1) END,
        skip_reason       = CASE WHEN is_exhausted THEN r.skip_reason ELSE 'campaign_cancelled' END,
        failed_attempts   = CASE WHEN is_exhausted THEN r.failed_attempts | (1::bigint << 62) ELSE r.failed_attempts END,
        failed_attempt    = CASE WHEN is_exhausted THEN 62 ELSE r.failed_attempt END,
        failed_at         = CASE WHEN is_exhausted THEN clock_timestamp() ELSE r.failed_at END,
        failure_code      = CASE WHEN is_exhausted THEN NULL ELSE r.failure_code END,
        failure_text      = CASE WHEN is_exhausted THEN 'attempts_exhausted' ELSE r.failure_text END,
        failure_class     = CASE WHEN is_exhausted THEN 'never' ELSE r.failure_class END,
        failure_backoff_s = CASE WHEN is_exhausted THEN 0 ELSE r.failure_backoff_s END
    FROM locked WHERE r.id = locked.id
    RETURNING r.id, r.attempt, r.status, r.skipped_attempt, r.failed_at, r.failure_text, r.failure_class
), skipped AS (
    INSERT INTO send_ledger (recipient_id, attempt, campaign_id, budget_day, send_before, token, lease_until,
                             outcome, outcome_at, event)
    SELECT id, attempt, %(campaign)s, current_date, clock_timestamp(), gen_random_uuid(), clock_timestamp(), 'skipped',
           clock_timestamp(), ledger_event('skipped', %(campaign)s, id, attempt, %(producer)s, 'campaign_cancelled')
    FROM changed WHERE skipped_attempt = attempt
    ON CONFLICT DO NOTHING
), exhausted AS (
    -- The last attempt already has a ledger row, and its event is applied, or the recipient would not be due. The row now
    -- takes the event of the failure.
    INSERT INTO send_ledger AS l (recipient_id, attempt, campaign_id, budget_day, send_before, token, lease_until,
                                  outcome, outcome_at, event)
    SELECT id, attempt, %(campaign)s, current_date, clock_timestamp(), gen_random_uuid(), clock_timestamp(),
           'rejected', clock_timestamp(), json_build_object(
               'v', 1, 'producer', %(producer)s::text, 'kind', 'rejected', 'campaign_id', %(campaign)s::uuid,
               'recipient_id', id, 'attempt', attempt, 'occurred_at', failed_at, 'received_at', clock_timestamp(),
               'failure', json_build_object('reason', failure_text, 'retry_class', failure_class, 'backoff_s', 0))::text
    FROM changed WHERE status = 'failed'
    ON CONFLICT (recipient_id, attempt) DO UPDATE SET token = excluded.token, outcome = excluded.outcome,
        outcome_at = excluded.outcome_at, event = excluded.event, published_at = NULL
), deleted AS (
    -- All releases of the locked recipients. Those that were not skipped are claimed or have an outcome, and need none.
    DELETE FROM releases AS rel WHERE rel.recipient_id = ANY (%(ids)s::uuid[]) AND rel.campaign_id = %(campaign)s
    RETURNING rel.recipient_id, rel.attempt, rel.campaign_id, rel.budget_day
), given AS (
    SELECT give_budget_back(array_agg(campaign_id), array_agg(budget_day))
    FROM deleted WHERE NOT EXISTS (
        SELECT FROM send_ledger AS l WHERE l.recipient_id = deleted.recipient_id AND l.attempt = deleted.attempt)
    HAVING count(*) > 0
)
-- Always one row, also where no recipient was skipped: with no row the join would not run give_budget_back.
SELECT counted.n FROM (SELECT count(*) AS n FROM changed) AS counted LEFT JOIN given ON true

-- name: complete_campaigns
-- Complete active campaigns without pending, queued or retrying recipients, and without a recipient that became unknown
-- within the given time.
WITH finished AS (
    SELECT c.id FROM marketing_campaigns AS c
    CROSS JOIN LATERAL (
        SELECT sum(n) FILTER (WHERE (dimension, key) IN (
                   ('status', 'pending'), ('status', 'queued'), ('funnel', 'retrying'))) AS waiting,
               sum(n) FILTER (WHERE (dimension, key) = ('status', 'unknown')) AS unknown,
               sum(n) FILTER (WHERE (dimension, key) = ('funnel', 'total')) AS total
        FROM (
            SELECT dimension, key, n FROM campaign_counters WHERE campaign_id = c.id
            UNION ALL
            SELECT dimension, key, n FROM campaign_counter_deltas WHERE campaign_id = c.id
        ) AS counted
    ) AS counters
    WHERE c.status = 'active' AND counters.total > 0 AND coalesce(counters.waiting, 0) = 0
      AND CASE WHEN coalesce(counters.unknown, 0) = 0 THEN true ELSE NOT EXISTS (
              SELECT FROM campaign_recipients AS r
              WHERE r.campaign_id = c.id AND r.status = 'unknown'
                AND r.updated_at > now() - %(unknown_s)s * interval '1 second')
          END
    FOR NO KEY UPDATE OF c SKIP LOCKED
)
UPDATE marketing_campaigns AS c SET status = 'completed', completed_at = clock_timestamp()
FROM finished WHERE c.id = finished.id AND c.status = 'active'
RETURNING c.id

-- name: reopen_campaigns
-- Reopen completed campaigns in which a recipient is due again, or is queued and not claimed.
WITH open AS (
    SELECT c.id FROM marketing_campaigns AS c
    WHERE c.status = 'completed' AND (
        EXISTS (SELECT FROM campaign_recipients AS r WHERE r.campaign_id = c.id AND r.next_attempt_at IS NOT NULL)
        OR EXISTS (SELECT FROM releases AS rel JOIN campaign_recipients AS r ON r.id = rel.recipient_id
                   WHERE rel.campaign_id = c.id AND r.attempt = rel.attempt AND r.status = 'queued'))
    FOR NO KEY UPDATE OF c SKIP LOCKED
)
UPDATE marketing_campaigns AS c SET status = 'active', completed_at = NULL
FROM open WHERE c.id = open.id AND c.status = 'completed'
RETURNING c.id
