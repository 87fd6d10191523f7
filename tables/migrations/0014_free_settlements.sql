-- Renewals and settlements of many attempts share a statement. A ledger row that somebody else has locked delays its own
-- attempt and no other.

DROP FUNCTION settle_attempts(uuid[], smallint[], uuid[], text[], text[], text[], text[], integer[], text[], double precision,
                              double precision);
CREATE FUNCTION settle_attempts(
    recipients uuid[], attempts smallint[], tokens uuid[], outcomes text[], wamids text[], events text[],
    letters text[] DEFAULT NULL, codes integer[] DEFAULT NULL, reasons text[] DEFAULT NULL,
    first_s double precision DEFAULT 5, max_s double precision DEFAULT 300
) RETURNS TABLE (recipient_id uuid, attempt smallint, is_written boolean)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    free bigint[];
BEGIN
    SELECT coalesce(array_agg(f.line), '{}') INTO free FROM (
        SELECT u.line FROM send_ledger AS l
        JOIN unnest(recipients, attempts) WITH ORDINALITY AS u (id, n, line) ON l.recipient_id = u.id AND l.attempt = u.n
        ORDER BY l.recipient_id, l.attempt FOR NO KEY UPDATE OF l SKIP LOCKED
    ) AS f;
    IF EXISTS (SELECT FROM unnest(letters) AS l (signals) WHERE l.signals <> 'ggggg')
       OR EXISTS (SELECT FROM breakers) OR EXISTS (SELECT FROM template_trials WHERE NOT is_over) THEN
        PERFORM feed_breakers(
            array_agg(u.id ORDER BY u.line), array_agg(u.n ORDER BY u.line), array_agg(u.signals ORDER BY u.line),
            array_agg(u.code ORDER BY u.line), array_agg(u.reason ORDER BY u.line), first_s, max_s)
        FROM unnest(recipients, attempts, tokens, outcomes, letters, codes, reasons)
            WITH ORDINALITY AS u (id, n, token, outcome, signals, code, reason, line)
        JOIN send_ledger AS l ON l.recipient_id = u.id AND l.attempt = u.n AND l.token = u.token
        WHERE u.signals IS NOT NULL AND u.line = ANY (free)
          AND (l.outcome IS NULL OR (l.outcome = 'unknown' AND u.outcome <> 'unknown'))
        HAVING count(*) > 0;
    END IF;
    RETURN QUERY
    WITH changed AS (
        UPDATE send_ledger AS l SET
            outcome = u.outcome, outcome_at = clock_timestamp(), wamid = u.wamid, event = u.event, published_at = NULL
        FROM unnest(recipients, attempts, tokens, outcomes, wamids, events)
            WITH ORDINALITY AS u (id, n, token, outcome, wamid, event, line)
        WHERE l.recipient_id = u.id AND l.attempt = u.n AND l.token = u.token AND u.line = ANY (free)
          AND (l.outcome IS NULL OR (l.outcome = 'unknown' AND u.outcome <> 'unknown'))
        RETURNING l.recipient_id, l.attempt, l.campaign_id, l.budget_day, l.outcome
    ), given AS (
        SELECT give_budget_back(array_agg(c.campaign_id), array_agg(c.budget_day))
        FROM changed AS c WHERE c.outcome IN ('deferred', 'expired', 'skipped') HAVING count(*) > 0
    )
    SELECT c.recipient_id, c.attempt, true FROM changed AS c LEFT JOIN given ON true
    UNION ALL
    SELECT u.id, u.n, false FROM unnest(recipients, attempts) WITH ORDINALITY AS u (id, n, line)
    JOIN send_ledger AS l ON l.recipient_id = u.id AND l.attempt = u.n
    WHERE u.line <> ALL (free);
END $$;

CREATE OR REPLACE FUNCTION renew_claims(
    recipients uuid[], attempts smallint[], tokens uuid[], lease_s double precision, in_producer text
) RETURNS TABLE (recipient_id uuid, attempt smallint, verdict text, event text)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    free bigint[];
BEGIN
    SELECT coalesce(array_agg(f.line), '{}') INTO free FROM (
        SELECT u.line FROM send_ledger AS l
        JOIN unnest(recipients, attempts) WITH ORDINALITY AS u (id, n, line) ON l.recipient_id = u.id AND l.attempt = u.n
        ORDER BY l.recipient_id, l.attempt FOR NO KEY UPDATE OF l SKIP LOCKED
    ) AS f;
    IF EXISTS (SELECT FROM breakers WHERE probe_until IS NOT NULL) THEN  -- a probe keeps its place while it waits
        WITH probed AS MATERIALIZED (
            SELECT b.scope, b.key FROM breakers AS b
            JOIN unnest(recipients, attempts, tokens) WITH ORDINALITY AS u (id, n, token, line)
                ON b.probe_recipient = u.id AND b.probe_attempt = u.n
            JOIN send_ledger AS l ON l.recipient_id = u.id AND l.attempt = u.n AND l.token = u.token
            WHERE l.outcome IS NULL AND u.line = ANY (free)
            ORDER BY b.scope, b.key FOR UPDATE OF b
        )
        UPDATE breakers AS b SET probe_until = clock_timestamp() + lease_s * interval '1 second'
        FROM probed WHERE b.scope = probed.scope AND b.key = probed.key;
    END IF;
    RETURN QUERY
    WITH judged AS MATERIALIZED (
        SELECT l.recipient_id AS id, l.attempt AS n, l.campaign_id, l.budget_day,
               claim_refusal(l.recipient_id, l.attempt, l.send_before) AS refusal
        FROM unnest(recipients, attempts, tokens) WITH ORDINALITY AS u (id, n, token, line)
        JOIN send_ledger AS l ON l.recipient_id = u.id AND l.attempt = u.n AND l.token = u.token
        WHERE l.outcome IS NULL AND u.line = ANY (free)
    ), decided AS MATERIALIZED (
        SELECT judged.*, CASE
            WHEN judged.refusal IS NULL THEN NULL
            WHEN judged.refusal IN ('paused', 'breaker_open') THEN 'deferred'
            WHEN judged.refusal IN ('campaign_cancelled', 'opted_out') THEN 'skipped'
            ELSE 'expired' END AS new_outcome
        FROM judged
    ), changed AS (
        UPDATE send_ledger AS l SET
            lease_until = CASE WHEN d.new_outcome IS NULL
                THEN clock_timestamp() + lease_s * interval '1 second' ELSE l.lease_until END,
            outcome = d.new_outcome,
            outcome_at = CASE WHEN d.new_outcome IS NOT NULL THEN clock_timestamp() END,
            event = CASE WHEN d.new_outcome IS NOT NULL
                THEN ledger_event(d.new_outcome, d.campaign_id, d.id, d.n, in_producer, d.refusal) END
        FROM decided AS d WHERE l.recipient_id = d.id AND l.attempt = d.n
        RETURNING l.recipient_id, l.attempt, l.campaign_id, l.budget_day, l.outcome, l.event
    ), given AS (
        SELECT give_budget_back(array_agg(c.campaign_id), array_agg(c.budget_day))
        FROM changed AS c WHERE c.outcome IS NOT NULL HAVING count(*) > 0
    )
    SELECT c.recipient_id, c.attempt, coalesce(c.outcome, 'renewed'), c.event
    FROM changed AS c LEFT JOIN given ON true
    UNION ALL
    SELECT u.id, u.n, 'busy', NULL FROM unnest(recipients, attempts) WITH ORDINALITY AS u (id, n, line)
    JOIN send_ledger AS l ON l.recipient_id = u.id AND l.attempt = u.n
    WHERE u.line <> ALL (free);
END $$;
