-- Statements of send_ledger. The functions and the rule that they guard are in schema.sql.

-- name: claim_attempts
-- Claim or refuse attempts under one token. A repeated call with the same token returns the same result.
SELECT recipient_id, attempt, verdict, event
FROM claim_attempts(%(token)s, %(recipients)s::uuid[], %(attempts)s::smallint[], %(deadlines)s::timestamptz[], %(lease_s)s::double precision, %(producer)s)

-- name: renew_claims
-- Renew claims of this process before a POST, or settle them as certainly not sent.
SELECT recipient_id, attempt, verdict, event
FROM renew_claims(%(recipients)s::uuid[], %(attempts)s::smallint[], %(tokens)s::uuid[], %(lease_s)s::double precision, %(producer)s)

-- name: settle_attempts
-- Write the outcomes of claims of this process, each with its event and its signals for the breakers.
SELECT recipient_id, attempt, is_written
FROM settle_attempts(%(recipients)s::uuid[], %(attempts)s::smallint[], %(tokens)s::uuid[], %(outcomes)s::text[], %(wamids)s::text[], %(events)s::text[],
                     %(letters)s::text[], %(codes)s::integer[], %(reasons)s::text[], %(first_s)s::double precision, %(max_s)s::double precision)

-- name: mark_published
-- Mark events as published. An outcome that has changed since, or whose row is locked, is not marked, so it is published
-- again.
WITH free AS MATERIALIZED (
    SELECT l.recipient_id, l.attempt
    FROM unnest(%(recipients)s::uuid[], %(attempts)s::smallint[], %(outcomes)s::text[]) AS u (id, n, outcome)
    JOIN send_ledger AS l ON l.recipient_id = u.id AND l.attempt = u.n AND l.outcome = u.outcome
    WHERE l.published_at IS NULL
    FOR NO KEY UPDATE OF l SKIP LOCKED
)
UPDATE send_ledger AS l SET published_at = clock_timestamp()
FROM free WHERE l.recipient_id = free.recipient_id AND l.attempt = free.attempt

-- name: read_unpublished
-- The sweep: outcomes whose sender has not published the event in time.
SELECT recipient_id, attempt, outcome, event FROM send_ledger
WHERE outcome IS NOT NULL AND published_at IS NULL
  AND outcome_at < clock_timestamp() - %(older_than_s)s::double precision * interval '1 second'
ORDER BY outcome_at LIMIT %(limit)s

-- name: declare_unknown
-- The sweep: claims whose lease has ended without an outcome become `unknown`. They may have been sent.
WITH lost AS MATERIALIZED (
    SELECT recipient_id, attempt FROM send_ledger
    WHERE outcome IS NULL AND lease_until < clock_timestamp()
    ORDER BY lease_until LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE send_ledger AS l SET
    outcome = 'unknown', outcome_at = clock_timestamp(),
    event = ledger_event('unknown', l.campaign_id, l.recipient_id, l.attempt, %(producer)s)
FROM lost WHERE l.recipient_id = lost.recipient_id AND l.attempt = lost.attempt
RETURNING l.recipient_id, l.attempt, l.outcome, l.event
