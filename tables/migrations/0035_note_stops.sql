-- A refusal at send by which Meta states that a person has stopped marketing messages (131050) is an opt-out too.

CREATE OR REPLACE FUNCTION settle_attempts(
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
    IF 131050 = ANY (codes) THEN
        INSERT INTO subscription_outbox (person, source, subscribed, occurred_at)
        SELECT DISTINCT r.person, 'platform', false, now()
        FROM unnest(recipients, attempts, tokens, outcomes, codes)
            WITH ORDINALITY AS u (id, n, token, outcome, code, line)
        JOIN send_ledger AS l ON l.recipient_id = u.id AND l.attempt = u.n AND l.token = u.token
        JOIN campaign_recipients AS r ON r.id = u.id
        WHERE u.code = 131050 AND u.outcome = 'rejected' AND u.line = ANY (free)
          AND (l.outcome IS NULL OR l.outcome = 'unknown');
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
