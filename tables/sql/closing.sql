-- Statements that close campaigns: they skip the recipients of cancelled ones, complete, and reopen.

-- name: list_by_status
-- A page of the campaigns in a status, in the order of their ids.
SELECT id FROM marketing_campaigns WHERE status = %(status)s AND id > %(after)s ORDER BY id LIMIT %(limit)s

-- name: find_cancelled
-- Those of these cancelled campaigns that have recipients to skip: due or pending by the counters, or released and not
-- claimed. The index of due rows is not searched here: after a cancellation it is full of entries of skipped rows.
SELECT c.id FROM marketing_campaigns AS c
CROSS JOIN LATERAL (
    SELECT sum(n) FILTER (WHERE key = 'pending') AS pending, sum(n) FILTER (WHERE key = 'due') AS due
    FROM (
        SELECT key, n FROM campaign_counters
        WHERE campaign_id = c.id AND (dimension, key) IN (('status', 'pending'), ('funnel', 'due'))
        UNION ALL
        SELECT key, n FROM campaign_counter_deltas
        WHERE campaign_id = c.id AND (dimension, key) IN (('status', 'pending'), ('funnel', 'due'))
    ) AS counted
) AS counters
WHERE c.id = ANY (%(ids)s::uuid[]) AND c.status = 'cancelled' AND (
    counters.pending > 0 OR counters.due > 0 OR EXISTS (SELECT FROM releases AS rel WHERE rel.campaign_id = c.id))
ORDER BY c.id

-- name: lock_cancelled
-- Lock a chunk of recipients of a cancelled campaign that may have to be skipped: due without and with an earlier attempt,
-- without a planned time, or released. Each search continues where the last chunk ended. A recipient that another
-- transaction has locked is left to a later round.
WITH waiting AS (
    (SELECT id, 'fresh' AS lane, next_attempt_at FROM campaign_recipients
     WHERE campaign_id = %(campaign)s AND attempt = 0 AND next_attempt_at IS NOT NULL
       AND (next_attempt_at, id) > (%(fresh_at)s, %(fresh_id)s)
     ORDER BY next_attempt_at, id LIMIT %(limit)s)
    UNION ALL
    (SELECT id, 'tried', next_attempt_at FROM campaign_recipients
     WHERE campaign_id = %(campaign)s AND attempt > 0 AND next_attempt_at IS NOT NULL
       AND (next_attempt_at, id) > (%(tried_at)s, %(tried_id)s)
     ORDER BY next_attempt_at, id LIMIT %(limit)s)
    UNION ALL
    (SELECT id, 'unplanned', NULL FROM campaign_recipients
     WHERE campaign_id = %(campaign)s AND attempt = 0 AND scheduled_send_date IS NULL AND id > %(unplanned_id)s
     ORDER BY id LIMIT %(limit)s)
    UNION ALL
    (SELECT recipient_id, 'released', NULL FROM releases WHERE campaign_id = %(campaign)s LIMIT %(limit)s)
), locked AS (
    SELECT r.id FROM campaign_recipients AS r WHERE r.id IN (SELECT id FROM waiting)
    ORDER BY r.id FOR NO KEY UPDATE OF r SKIP LOCKED
)
SELECT waiting.id, waiting.lane, waiting.next_attempt_at FROM waiting JOIN locked USING (id)

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
        failure_backoff_s = CASE WHEN is_exhausted THEN 0 ELSE r.failure_backoff_s END,
        updated_at        = clock_timestamp()
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
    SELECT give_budget_back(array_agg(campaign_id), array_agg(budget_day)),
           give_portfolio_back(array_agg(recipient_id), array_agg(attempt))
    FROM deleted WHERE NOT EXISTS (
        SELECT FROM send_ledger AS l WHERE l.recipient_id = deleted.recipient_id AND l.attempt = deleted.attempt)
    HAVING count(*) > 0
)
-- Always one row, also where no recipient was skipped: with no row the join would not run give_budget_back.
SELECT counted.n FROM (SELECT count(*) AS n FROM changed) AS counted LEFT JOIN given ON true

-- name: complete_campaigns
-- Complete those of these active campaigns that have no pending, queued or retrying recipient, and no recipient that
-- became unknown within the given time. A campaign is judged later if too many of its deltas are not folded, and it stays
-- active if so many attempts became unknown that the newest ones do not prove anything about the others.
WITH finished AS (
    SELECT c.id FROM marketing_campaigns AS c
    CROSS JOIN LATERAL (
        SELECT sum(n) FILTER (WHERE (dimension, key) IN (
                   ('status', 'pending'), ('status', 'queued'), ('funnel', 'retrying'))) AS waiting,
               sum(n) FILTER (WHERE (dimension, key) = ('status', 'unknown')) AS unknown,
               sum(n) FILTER (WHERE (dimension, key) = ('funnel', 'total')) AS total,
               count(*) FILTER (WHERE is_delta) AS deltas
        FROM (
            SELECT dimension, key, n, false AS is_delta FROM campaign_counters WHERE campaign_id = c.id
            UNION ALL
            (SELECT dimension, key, n, true FROM campaign_counter_deltas WHERE campaign_id = c.id
             LIMIT %(deltas_max)s)
        ) AS counted
    ) AS counters
    WHERE c.id = ANY (%(ids)s::uuid[]) AND c.status = 'active' AND counters.deltas < %(deltas_max)s
      AND counters.total > 0 AND coalesce(counters.waiting, 0) = 0
      AND CASE WHEN coalesce(counters.unknown, 0) = 0 THEN true ELSE NOT EXISTS (
              SELECT FROM (
                  SELECT l.recipient_id, l.attempt FROM send_ledger AS l
                  WHERE l.campaign_id = c.id AND l.outcome = 'unknown'
                    AND l.outcome_at > now() - %(unknown_s)s * interval '1 second'
                  ORDER BY l.outcome_at DESC LIMIT %(unknowns_max)s
              ) AS fresh
              JOIN campaign_recipients AS r ON r.id = fresh.recipient_id
              HAVING bool_or(r.status = 'unknown' AND r.attempt = fresh.attempt) OR count(*) = %(unknowns_max)s)
          END
    FOR NO KEY UPDATE OF c SKIP LOCKED
)
UPDATE marketing_campaigns AS c SET status = 'completed', completed_at = clock_timestamp()
FROM finished WHERE c.id = finished.id AND c.status = 'active'
RETURNING c.id

-- name: reopen_campaigns
-- Reopen those of these completed campaigns in which a recipient is due again, or is queued and not claimed.
WITH open AS (
    SELECT c.id FROM marketing_campaigns AS c
    CROSS JOIN LATERAL (
        SELECT sum(n) FILTER (WHERE key = 'pending') AS pending, sum(n) FILTER (WHERE key = 'due') AS due
        FROM (
            SELECT key, n FROM campaign_counters
            WHERE campaign_id = c.id AND (dimension, key) IN (('status', 'pending'), ('funnel', 'due'))
            UNION ALL
            SELECT key, n FROM campaign_counter_deltas
            WHERE campaign_id = c.id AND (dimension, key) IN (('status', 'pending'), ('funnel', 'due'))
        ) AS counted
    ) AS counters
    WHERE c.id = ANY (%(ids)s::uuid[]) AND c.status = 'completed' AND (
        counters.due > 0
        OR EXISTS (SELECT FROM releases AS rel JOIN campaign_recipients AS r ON r.id = rel.recipient_id
                   WHERE rel.campaign_id = c.id AND r.attempt = rel.attempt AND r.status = 'queued'))
    FOR NO KEY UPDATE OF c SKIP LOCKED
)
UPDATE marketing_campaigns AS c SET status = 'active', completed_at = NULL, started_at = clock_timestamp()
FROM open WHERE c.id = open.id AND c.status = 'completed'
RETURNING c.id
