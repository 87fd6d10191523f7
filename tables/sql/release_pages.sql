-- Statements that read all releases, a page at a time, in the order of their keys.

-- name: find_page
-- The next releases in the order of their keys: how many they are, the partitions of their jobs, and the last of them.
WITH page AS MATERIALIZED (
    SELECT recipient_id, attempt, job_partition FROM releases
    WHERE (recipient_id, attempt) > (%(after_id)s::uuid, %(after_attempt)s::smallint)
    ORDER BY recipient_id, attempt LIMIT %(limit)s
)
SELECT (SELECT count(*) FROM page),
       ARRAY(SELECT DISTINCT job_partition FROM page WHERE job_partition IS NOT NULL),
       last.recipient_id, last.attempt
FROM (SELECT) AS always
LEFT JOIN (SELECT recipient_id, attempt FROM page ORDER BY recipient_id DESC, attempt DESC LIMIT 1) AS last ON true

-- name: forget_answered
-- Of a page of releases, delete those that can no longer be claimed, and give back the budget of those that were never
-- claimed. One of a deleted recipient is among them: it would count towards the cap of its number for ever.
-- The release of a row that an older attempt made `sent` stays: if that attempt fails, the row is queued again.
-- Returns how many were deleted, the size of the page, and its last release.
WITH page AS MATERIALIZED (
    SELECT recipient_id, attempt, released_at FROM releases
    WHERE (recipient_id, attempt) > (%(after_id)s::uuid, %(after_attempt)s::smallint)
    ORDER BY recipient_id, attempt LIMIT %(limit)s
), closed AS MATERIALIZED (
    SELECT page.recipient_id, page.attempt, l.is_known IS NOT NULL AS is_in_ledger
    FROM page
    -- The limits keep Postgres from reading a whole table for a hash.
    LEFT JOIN LATERAL (
        SELECT r.attempt, r.status FROM campaign_recipients AS r WHERE r.id = page.recipient_id LIMIT 1
    ) AS r ON true
    LEFT JOIN LATERAL (
        SELECT true AS is_known FROM send_ledger AS l
        WHERE l.recipient_id = page.recipient_id AND l.attempt = page.attempt LIMIT 1
    ) AS l ON true
    WHERE (r.attempt IS NULL OR r.attempt > page.attempt OR r.status NOT IN ('queued', 'sent') OR l.is_known)
      AND page.released_at < now() - %(older_than_s)s * interval '1 second'
), locked AS MATERIALIZED (
    SELECT rel.ctid AS place, closed.recipient_id, closed.attempt, closed.is_in_ledger
    FROM closed
    CROSS JOIN LATERAL (
        SELECT rel.ctid FROM releases AS rel
        WHERE rel.recipient_id = closed.recipient_id AND rel.attempt = closed.attempt
        LIMIT 1 FOR UPDATE SKIP LOCKED
    ) AS rel
), deleted AS (
    -- By the places of the locked rows, because Postgres would read all releases for a join.
    DELETE FROM releases WHERE ctid = ANY (ARRAY(SELECT place FROM locked))
    RETURNING recipient_id, attempt, campaign_id, budget_day
), given AS (
    SELECT give_budget_back(array_agg(campaign_id), array_agg(budget_day)),
           give_portfolio_back(array_agg(recipient_id), array_agg(attempt))
    FROM deleted JOIN locked USING (recipient_id, attempt) WHERE NOT is_in_ledger HAVING count(*) > 0
)
SELECT (SELECT count(*) FROM deleted LEFT JOIN given ON true), (SELECT count(*) FROM page), last.recipient_id, last.attempt
FROM (SELECT) AS always
LEFT JOIN (SELECT recipient_id, attempt FROM page ORDER BY recipient_id DESC, attempt DESC LIMIT 1) AS last ON true
